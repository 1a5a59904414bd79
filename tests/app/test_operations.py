"""What operators do by hand, on a real store with the work loop by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from app import accounts, operations
from app.accounts import WrongAccount
from app.bells import Bell
from app.errors import (
    Conflict,
    InvalidRequest,
    ModelNotFound,
    PaymentRequired,
    TaskNotFound,
)
from app.lifecycle import State, SubmissionState
from app.operations import KeyChange
from app.store import ledger
from app.store.ids import new_task_id
from app.store.operator_views import Filter
from providers import errors
from providers.flow import Flow
from providers.types import Remote, Snapshot
from tests.workers.bench import LUMEN, START, Bench, bench, ok, refused
from workers import deliver
from workers.http import Answer

__all__ = ["bench"]

HOOK = "https://client.example/hook"
NO_TASK = new_task_id()


def a_parked_task(bench: Bench, **fields: object) -> str:
    """A task whose upstream may have it."""
    bench.a_channel()
    task_id = bench.a_task(**fields)
    bench.submit(errors.OutcomeUnknown("cut off, by sk-abcdefgh"))
    return task_id


def a_failed_task(bench: Bench, **fields: object) -> str:
    bench.a_channel()
    task_id = bench.a_task(**fields)
    fetched = [ok()] if "inputs" in fields else []  # its image
    bench.submit(*fetched, refused(400, "moderated"))
    return task_id


def an_answer(status: int) -> Answer:
    return Answer(status, "thanks", None)


# Tasks


def test_tasks_are_listed_newest_first_by_what_they_are(bench: Bench) -> None:
    failed = a_failed_task(bench)
    waiting = bench.a_task(model="other")

    def ids(**wanted: object) -> list[str]:
        found = operations.list_tasks(bench.base, Filter(**wanted), limit=10)  # type: ignore[arg-type]
        return [row["id"] for row in found]

    assert set(ids()) == {failed, waiting}
    assert ids(states=["failed"]) == ids(channel="main") == [failed]
    assert ids(model="other") == ids(states=["queued"]) == [waiting]
    assert set(ids(client="client")) == {failed, waiting}
    assert ids(client="nobody") == ids(channel="second") == []
    now_ms = int(START * 1000)
    assert ids(since=now_ms + 1) == ids(until=now_ms) == []
    assert len(ids(since=now_ms, until=now_ms + 1)) == 2


def test_a_page_of_tasks_follows_the_one_before(bench: Bench) -> None:
    made = {bench.a_task() for _ in range(3)}
    first = operations.list_tasks(bench.base, Filter(), limit=2)
    second = operations.list_tasks(
        bench.base, Filter(), before=first[-1]["id"], limit=2
    )

    ids = [row["id"] for row in first + second]
    assert ids == sorted(made, reverse=True)


def test_a_task_is_shown_with_all_that_happened_but_not_its_prompt(
    bench: Bench,
) -> None:
    bench.a_channel()
    with bench.base.transaction() as tx:
        ledger.top_up(tx, bench.client.client_id, Decimal(5))
    task_id = bench.a_task(callback_url=HOOK)
    with bench.base.transaction() as tx:
        ledger.set_price(
            tx, ledger.Price("lumen-1", "", ledger.Unit.CALL, Decimal("0.10"))
        )
        ledger.hold(tx, bench.client.client_id, task_id, "lumen-1", ["main"], {})
    bench.submit(ok(inline=1))
    bench.engine.receivers[HOOK] = [an_answer(500)]
    bench.deliver()

    shown = operations.show_task(bench.base, task_id)

    assert (shown["state"], shown["client"]) == ("succeeded", "client")
    assert shown["created_at"] == datetime.fromtimestamp(START, UTC).isoformat()
    (submission,) = shown["submissions"]
    assert submission["channel"] == "main"
    assert submission["key"] == "key-1"
    assert submission["reason"] == "the only free channel of priority 0"
    (delivery,) = shown["deliveries"]
    assert (delivery["host"], delivery["state"]) == ("client.example", "pending")
    assert [attempt["status"] for attempt in delivery["attempts"]] == [500]
    assert [(e["kind"], e["amount"]) for e in shown["entries"]] == [
        ("hold", "0.1"),
        ("settle", "0.1"),
    ]
    assert "lighthouse" not in str(shown)


def test_errors_of_upstreams_are_shown_short_and_without_secrets(
    bench: Bench,
) -> None:
    bench.a_channel()
    task_id = bench.a_task()
    bench.submit(errors.OutcomeUnknown("key sk-abcdefgh " + "x" * 600))

    (submission,) = operations.show_task(bench.base, task_id)["submissions"]

    assert submission["verdict"] == "unknown"
    assert submission["error"].startswith("key sk-***")
    assert len(submission["error"]) == operations.SHOWN_CHARS


def test_a_cancelled_task_is_called_off_and_told(bench: Bench) -> None:
    bench.a_channel()
    task_id = bench.a_task(callback_url=HOOK)
    bench.submit(ok(id="job-1"))

    assert operations.cancel_task(bench.base, task_id)["state"] == "cancelled"

    assert {Bell.POLL, Bell.DELIVER} <= set(bench.rung)
    with pytest.raises(Conflict, match="has ended: it is cancelled"):
        operations.cancel_task(bench.base, task_id)


def test_a_task_on_its_way_is_not_cancelled(bench: Bench) -> None:
    bench.a_channel()
    task_id = bench.a_task()
    bench.claim()

    with pytest.raises(Conflict, match="being handed over"):
        operations.cancel_task(bench.base, task_id)


def test_a_retry_is_a_new_task_with_the_same_inputs_and_its_own_files(
    bench: Bench,
) -> None:
    bench.storage.put("inputs/a", b"png")
    inputs = {
        "prompt": "a pier",
        "images": [{"upload": "inputs/a", "content_type": "image/png"}],
    }
    failed = a_failed_task(bench, inputs=inputs, metadata={"x": 1}, callback_url=HOOK)

    made = operations.retry_task(bench.base, failed, bench.providers)
    bench.storage.delete("inputs/a")  # as the sweep does with the old task

    assert made["retry_of"] == failed
    again = bench.task(made["task_id"])
    assert (again.state, again.metadata) == (State.QUEUED, {"x": 1})
    assert again.callback_url == HOOK
    (handing,) = bench.claim()
    (upload,) = handing.uploads.values()
    assert bench.storage.open(upload.storage_key).read() == b"png"
    assert bench.task(failed).state is State.FAILED


def test_only_a_failed_task_that_somebody_serves_is_tried_again(bench: Bench) -> None:
    failed = a_failed_task(bench)
    waiting = bench.a_task()

    with pytest.raises(Conflict, match="it is queued"):
        operations.retry_task(bench.base, waiting, bench.providers)
    operations.drain_channel(bench.base, "main")
    with pytest.raises(ModelNotFound, match="no channel serves 'lumen-1'"):
        operations.retry_task(bench.base, failed, bench.providers)
    with pytest.raises(TaskNotFound):
        operations.retry_task(bench.base, NO_TASK, bench.providers)


def test_a_retry_that_cannot_be_paid_leaves_nothing(
    bench: Bench, tmp_path: Path
) -> None:
    bench.storage.put("inputs/a", b"png")
    images = [{"upload": "inputs/a", "content_type": "image/png"}]
    failed = a_failed_task(bench, inputs={"prompt": "a pier", "images": images})
    operations.set_price(bench.base, "lumen-1", "2", unit="call")
    operations.top_up(bench.base, "client", "1.5")

    with pytest.raises(PaymentRequired):
        operations.retry_task(bench.base, failed, bench.providers)

    assert len(operations.list_tasks(bench.base, Filter(), limit=10)) == 1
    kept = [path for path in tmp_path.rglob("inputs/**/*") if path.is_file()]
    assert [path.name for path in kept] == ["a"]


# Unknown outcomes


def test_an_unknown_outcome_is_listed_with_its_end(bench: Bench) -> None:
    task_id = a_parked_task(bench)

    (row,) = operations.list_unknown(bench.base)

    assert (row["task_id"], row["channel"], row["key"]) == (task_id, "main", "key-1")
    assert row["error"] == "cut off, by sk-***"
    assert row["since"] == datetime.fromtimestamp(START, UTC).isoformat()
    assert row["deadline_at"] == datetime.fromtimestamp(START + 600, UTC).isoformat()


def test_a_task_assumed_lost_is_sent_again_once(bench: Bench) -> None:
    task_id = a_parked_task(bench)

    assert operations.assume_lost(bench.base, task_id)["state"] == "queued"

    with pytest.raises(Conflict, match="it is queued"):
        operations.assume_lost(bench.base, task_id)
    bench.submit(ok(id="job-2"))
    first, second = bench.submissions(task_id)
    assert (first.state, first.verdict) == (SubmissionState.ENDED, "assumed_lost")
    assert (second.state, second.remote_id) == (SubmissionState.ACCEPTED, "job-2")
    assert bench.engine.paid == ["main", "main"]


def test_a_late_answer_changes_nothing_after_it_was_assumed_lost(
    bench: Bench,
) -> None:
    bench.a_channel()
    task_id = bench.a_task()
    (handing,) = bench.claim()
    bench.script(ok(id="job-1"))
    late = bench.hand_over(handing)
    bench.wait(bench.settings.lease_s + 1)
    bench.claim()  # finds a call that left, and parks the task
    operations.assume_lost(bench.base, task_id)

    bench.record((handing, late))

    assert bench.task(task_id).state is State.QUEUED
    (first,) = bench.submissions(task_id)
    assert first.verdict == "assumed_lost"


@pytest.mark.parametrize("act", [operations.assume_lost, operations.adopt])
def test_nothing_is_settled_that_is_not_unknown(
    bench: Bench, act: Callable[..., object]
) -> None:
    bench.a_channel()
    task_id = bench.a_task()
    bench.submit(ok(id="job-1"))
    more = () if act is operations.assume_lost else ("job-2", bench.providers)

    with pytest.raises(Conflict, match="no outcome of this task is unknown"):
        act(bench.base, task_id, *more)


def test_a_task_that_is_sent_again_by_itself_is_not_assumed_lost(
    bench: Bench,
) -> None:
    bench.a_channel(provider=replace(LUMEN, idempotent=True))
    task_id = bench.a_task()
    bench.submit(errors.OutcomeUnknown("cut off"))

    with pytest.raises(Conflict, match="sent again by itself"):
        operations.assume_lost(bench.base, task_id)

    (submission,) = bench.submissions(task_id)
    assert submission.state is SubmissionState.UNKNOWN


def test_an_adopted_job_is_followed_to_its_end(bench: Bench) -> None:
    task_id = a_parked_task(bench)

    assert operations.adopt(bench.base, task_id, "job-7", bench.providers)

    assert Bell.POLL in bench.rung
    bench.engine.files["https://cdn.example/a.png"] = b"png"
    bench.look(ok(id="job-7", phase="succeeded", urls=["https://cdn.example/a.png"]))
    assert bench.engine.calls[-1][1].url == "/jobs/job-7"
    assert bench.task(task_id).state is State.SUCCEEDED
    assert bench.engine.paid == ["main"]


def test_a_job_adopted_before_it_was_sent_again_is_not_paid_twice(
    bench: Bench,
) -> None:
    bench.a_channel(provider=replace(LUMEN, idempotent=True))
    task_id = bench.a_task()
    bench.submit(errors.OutcomeUnknown("cut off"))

    shown = operations.adopt(bench.base, task_id, "job-7", bench.providers)
    assert shown["state"] == "processing"
    bench.wait(600)
    bench.submit()

    assert bench.task(task_id).state is State.PROCESSING
    assert bench.engine.paid == ["main"]


def test_a_job_is_adopted_with_the_links_that_its_provider_needs(
    bench: Bench,
) -> None:
    asked: list[Remote] = []

    def look(remote: Remote) -> Flow[Snapshot]:
        asked.append(remote)
        return (yield from LUMEN.poll(remote))

    task_id = a_parked_task(bench)
    bench.providers["lumen"] = replace(LUMEN, poll=look)
    links = {"status_url": "https://api.lumen.example/v2/jobs/job-7"}
    operations.adopt(bench.base, task_id, "job-7", bench.providers, links)
    bench.look(ok(id="job-7", phase="running"))
    assert asked == [Remote("job-7", links)]


@pytest.mark.parametrize(
    "links",
    [
        {"": "x"},
        {"a": ""},
        {"a": "x" * 2001},
        {"a" * 61: "x"},
        {"a": "b\nc"},
        {str(n): "x" for n in range(11)},
    ],
)
def test_a_link_that_no_upstream_gives_is_refused(
    bench: Bench, links: dict[str, str]
) -> None:
    with pytest.raises(InvalidRequest, match="links must"):
        operations.adopt(bench.base, NO_TASK, "job-7", bench.providers, links)


@pytest.mark.parametrize("remote_id", ["", "x" * 301, "a\nb"])
def test_an_id_that_no_upstream_gives_is_refused(bench: Bench, remote_id: str) -> None:
    with pytest.raises(InvalidRequest, match="remote_id must be"):
        operations.adopt(bench.base, NO_TASK, remote_id, bench.providers)


def test_one_job_is_not_adopted_by_two_tasks(bench: Bench) -> None:
    first = a_parked_task(bench)
    second = bench.a_task()
    bench.submit(errors.OutcomeUnknown("cut off"))
    operations.adopt(bench.base, first, "job-7", bench.providers)

    with pytest.raises(Conflict, match=first):
        operations.adopt(bench.base, second, "job-7", bench.providers)


# Channels


def test_a_paused_channel_gets_nothing_until_its_time_is_over(bench: Bench) -> None:
    bench.a_channel()
    task_id = bench.a_task()
    told = operations.pause_channel(bench.base, "main", pause_s=90, reason="invoice")
    assert told["pause_reason"] == "by an operator: invoice"
    bench.rt.forget_channels()

    bench.submit()
    assert bench.engine.paid == []
    bench.wait(150)
    bench.submit(ok(id="job-1"))

    assert bench.task(task_id).state is State.PROCESSING
    assert bench.channel().paused_until is None


def test_workers_neither_end_nor_shorten_an_operators_pause(bench: Bench) -> None:
    bench.a_channel()
    for _ in range(2):  # one failure is counted, so that a success has news
        bench.a_task()
    bench.submit(errors.NotSent("refused"), errors.NotSent("refused"))
    bench.wait(60)
    well, ill = bench.claim()
    operations.pause_channel(bench.base, "main")
    bench.script(ok(id="job-1"))
    bench.record((well, bench.hand_over(well)))
    bench.script(refused(403, "no_money"))
    bench.record((ill, bench.hand_over(ill)))

    (stats,) = operations.channel_stats(bench.base)

    assert stats["pause_reason"] == "by an operator"
    assert stats["paused_until"] > "2030"
    told = operations.resume_channel(bench.base, "main")
    assert (told["paused_until"], told["enabled"]) == (None, True)


def test_a_drained_channel_is_followed_but_gets_nothing_new(bench: Bench) -> None:
    bench.a_channel()
    bench.a_task()
    bench.submit(ok(id="job-1"))

    told = operations.drain_channel(bench.base, "main")

    assert (told["enabled"], told["in_flight"]) == (False, 1)
    bench.engine.files["https://cdn.example/a.png"] = b"png"
    bench.wait(60)
    bench.look(ok(id="job-1", phase="succeeded", urls=["https://cdn.example/a.png"]))
    assert operations.drain_channel(bench.base, "main")["in_flight"] == 0


def test_stats_count_what_became_of_the_last_hour(bench: Bench) -> None:
    bench.a_channel()
    for reply in (
        ok(id="job-1"),
        refused(400, "moderated"),
        errors.OutcomeUnknown("cut off"),
    ):
        bench.a_task()
        bench.submit(reply)
    wanted = ("in_flight", "submits", "accepts", "refusals", "unknown")

    (stats,) = operations.channel_stats(bench.base)
    assert [stats[name] for name in wanted] == [2, 3, 1, 1, 1]
    assert [stats["keys"][0][name] for name in wanted] == [2, 3, 1, 1, 1]
    bench.wait(3601)
    (later,) = operations.channel_stats(bench.base)
    assert [later[name] for name in wanted] == [2, 0, 0, 0, 0]


def test_a_channel_that_is_not_there_is_named(bench: Bench) -> None:
    for act in (operations.pause_channel, operations.drain_channel):
        with pytest.raises(TaskNotFound, match="no channel named 'gone'"):
            act(bench.base, "gone")
    with pytest.raises(InvalidRequest, match="for must be above 0"):
        operations.pause_channel(bench.base, "main", pause_s=-1)


# Deliveries


def test_a_stopped_callback_is_sent_again_with_a_fresh_schedule(bench: Bench) -> None:
    task_id = a_failed_task(bench, callback_url=HOOK)
    bench.engine.receivers[HOOK] = [an_answer(410), an_answer(500), an_answer(200)]
    bench.deliver()
    (stopped,) = operations.list_deliveries(
        bench.base, Filter(states=["stopped"], host="Client.example"), limit=10
    )

    assert operations.redeliver(bench.base, stopped["id"]) == 1
    bench.deliver()
    (again,) = operations.show_task(bench.base, task_id)["deliveries"]
    assert (again["state"], again["attempt_count"]) == ("pending", 1)
    bench.wait(60)
    bench.deliver()

    (done,) = operations.show_task(bench.base, task_id)["deliveries"]
    assert done["state"] == "delivered"
    assert [attempt["status"] for attempt in done["attempts"]] == [410, 500, 200]
    ids = {headers["webhook-id"] for _, headers, _ in bench.engine.delivered}
    assert ids == {stopped["id"]}


def test_a_redelivery_does_not_wait_for_the_receivers_breaker(bench: Bench) -> None:
    a_failed_task(bench, callback_url=HOOK)
    bench.engine.receivers[HOOK] = [an_answer(n) for n in (500,) * 5 + (200,)]
    for _ in range(5):
        bench.deliver()
        bench.wait(7200)
    wait = bench.row("SELECT paused_until FROM receivers")["paused_until"]
    bench.clock = wait / 1000 - 10  # within the pause
    assert bench.deliver() == []

    assert operations.redeliver_many(bench.base, Filter(host="client.example")) == 1

    assert [tried.taken for _, tried in bench.deliver()] == [True]


def test_callbacks_in_hand_are_left_to_their_worker(bench: Bench) -> None:
    task_id = a_failed_task(bench, callback_url=HOOK)
    (owed,) = operations.show_task(bench.base, task_id)["deliveries"]
    assert len(deliver.claim(bench.rt, 10, ())) == 1

    assert operations.redeliver_many(bench.base, Filter(task_id=task_id)) == 0
    with pytest.raises(Conflict, match="being sent"):
        operations.redeliver(bench.base, owed["id"])


def test_redelivery_needs_to_know_what(bench: Bench) -> None:
    with pytest.raises(InvalidRequest, match="say which"):
        operations.redeliver_many(bench.base, Filter())
    with pytest.raises(InvalidRequest, match="state must be one of pending"):
        operations.redeliver_many(bench.base, Filter(states=["lost"]))
    with pytest.raises(TaskNotFound, match="no delivery 'msg_1'"):
        operations.redeliver(bench.base, "msg_1")


# Keys and money


def test_a_key_is_changed_in_the_parts_that_are_given(bench: Bench) -> None:
    change = KeyChange(
        group="gold", limits={"daily": 5, "in_flight": 2}, budget="12.50"
    )
    operations.change_key(bench.base, "client", change)

    told = operations.change_key(
        bench.base, "client", KeyChange(priority="high", limits={"daily": None})
    )

    assert (told["group"], told["priority"]) == ("gold", "high")
    assert told["limits"] == {"in_flight": 2}
    assert told["budget"] == "12.5"
    none = operations.change_key(bench.base, "client", KeyChange(budget="none"))
    assert none["budget"] is None


def test_a_wrong_part_changes_nothing_of_a_key(bench: Bench) -> None:
    for change in (
        KeyChange(group="gold", limits={"weekly": 1}),
        KeyChange(group="x" * 61),
        KeyChange(priority="urgent"),
    ):
        with pytest.raises(WrongAccount):
            operations.change_key(bench.base, "client", change)
    with pytest.raises(InvalidRequest, match="budget must"):
        operations.change_key(
            bench.base, "client", KeyChange(group="gold", budget="-1")
        )
    with pytest.raises(TaskNotFound, match="no key named 'gone'"):
        operations.change_key(bench.base, "gone", KeyChange())

    (key,) = operations.list_keys(bench.base)
    assert key["group"] == "default"


def test_topups_are_exact(bench: Bench) -> None:
    operations.top_up(bench.base, "client", "0.1")
    operations.top_up(bench.base, "client", "0.20000001")

    told = operations.top_up(bench.base, "client", "-0.00000001")

    assert told["balance"] == "0.3"


def test_the_same_topup_sent_twice_counts_once(bench: Bench) -> None:
    operations.top_up(bench.base, "client", "5", "invoice-7")
    told = operations.top_up(bench.base, "client", "5.00", "invoice-7")
    assert told["balance"] == "5"
    assert operations.top_up(bench.base, "client", "5", "invoice-8")["balance"] == "10"
    with bench.base.transaction() as tx:
        accounts.create_key(bench.base, tx, "another")
    assert operations.top_up(bench.base, "another", "5", "invoice-7")["balance"] == "5"


def test_a_reference_stands_for_one_amount(bench: Bench) -> None:
    operations.top_up(bench.base, "client", "5", "invoice-7")
    with pytest.raises(Conflict, match="was one of 5"):
        operations.top_up(bench.base, "client", "6", "invoice-7")
    (key,) = operations.list_keys(bench.base)
    assert key["balance"] == "5"


@pytest.mark.parametrize("reference", ["", "x" * 101, "a\nb"])
def test_a_reference_that_nobody_could_read_is_refused(
    bench: Bench, reference: str
) -> None:
    with pytest.raises(InvalidRequest, match="reference must be"):
        operations.top_up(bench.base, "client", "5", reference)


def test_amounts_have_no_exponents(bench: Bench) -> None:
    told = operations.top_up(bench.base, "client", "0.00000001")
    assert told["balance"] == "0.00000001"
    change = KeyChange(budget="100.00")
    assert operations.change_key(bench.base, "client", change)["budget"] == "100"


@pytest.mark.parametrize("amount", ["0", "1e3", "NaN", "0.123456789", "", "1,5", " 1"])
def test_an_inexact_amount_is_refused(bench: Bench, amount: str) -> None:
    with pytest.raises(InvalidRequest, match="amount must"):
        operations.top_up(bench.base, "client", amount)


def test_prices_are_set_listed_and_removed(bench: Bench) -> None:
    bench.a_channel()
    operations.set_price(bench.base, "lumen-1", "0.04", unit="image")
    operations.set_price(bench.base, "lumen-1", "0.05", unit="call", channel="main")

    told = operations.list_prices(bench.base)
    assert [(p["channel"], p["unit"], p["amount"]) for p in told] == [
        (None, "image", "0.04"),
        ("main", "call", "0.05"),
    ]
    operations.remove_price(bench.base, "lumen-1", channel="main")
    with pytest.raises(TaskNotFound, match="no price of 'lumen-1' on 'main'"):
        operations.remove_price(bench.base, "lumen-1", channel="main")
    with pytest.raises(TaskNotFound, match="no channel named 'gone'"):
        operations.set_price(bench.base, "lumen-1", "1", unit="call", channel="gone")
    with pytest.raises(InvalidRequest, match="unit must be one of call"):
        operations.set_price(bench.base, "lumen-1", "1", unit="year")


def test_usage_adds_up_what_was_settled(bench: Bench) -> None:
    bench.a_channel()
    operations.set_price(bench.base, "lumen-1", "0.1", unit="image")
    for _ in range(3):
        task_id = bench.a_task()
        with bench.base.transaction() as tx:
            ledger.hold(tx, bench.client.client_id, task_id, "lumen-1", ["main"], {})
        bench.submit(ok(inline=1))
    day = datetime.fromtimestamp(START, UTC).date().isoformat()

    rows = operations.usage(bench.base, by=["day", "key", "model", "channel"])

    counted = {"tasks": 3, "amount": "0.3", "quantity": "3"}
    where = {"day": day, "key": "client", "model": "lumen-1", "channel": "main"}
    assert rows == [{**where, **counted}]
    assert operations.usage(bench.base, by=["key"], client_id="other") == []
    assert operations.usage(bench.base, by=["key"], until=int(START * 1000)) == []
    assert operations.account(bench.base, bench.client.client_id) == {
        "balance": None,
        "budget": None,
        "spent": "0.3",
    }
    with pytest.raises(InvalidRequest, match="by must be some of day, key"):
        operations.usage(bench.base, by=["week"])


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-02", 86_400),
        ("1970-01-01T01:00+01:00", 0),
        ("1970-01-01T00:00:05", 5),
        ("90s", 999_910),
        ("2h", 992_800),
        ("20d", 0),
    ],
)
def test_instants_are_read_as_dates_or_as_ago(text: str, seconds: int) -> None:
    assert operations.read_instant(text, 1_000_000, "since") == seconds * 1000


@pytest.mark.parametrize("text", ["", "soon", "2h30", "2026-13-01", "-5s", "999999d"])
def test_an_instant_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="since must be a date"):
        operations.read_instant(text, 1_000_000, "since")
