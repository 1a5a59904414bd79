"""What operators rely on: failover, key pools, health, limits, fairness."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from app import accounts
from app.lifecycle import State
from app.store import tasks
from app.store.ids import new_task_id
from app.store.tasks import NewTask
from providers import errors
from providers.flow import Reply
from tests.workers.bench import LUMEN, Bench, bench, granted, ok, refused
from workers import poll

__all__ = ["bench"]

NOT_SENT = errors.NotSent("no address")
LOST = errors.AnswerLost("reset")

# class of what was seen: what becomes of the task with another channel at hand, with
# another key of the same channel, and alone.
MATRIX: list[tuple[str, Reply | errors.ProviderError, str, str, str]] = [
    ("not_sent", NOT_SENT, "other channel", "same channel later", "same channel later"),
    (
        "rate_limited",
        refused(429),
        "other channel",
        "same channel later",
        "same channel later",
    ),
    ("refused_quota", refused(402), "other channel", "other key", "failed"),
    ("refused_key", refused(401), "other channel", "other key", "failed"),
    ("refused_channel", refused(403), "other channel", "failed", "failed"),
    ("refused_model", refused(404), "other channel", "failed", "failed"),
    ("refused_content", refused(400, "moderated"), "failed", "failed", "failed"),
    ("refused_request", refused(422), "failed", "failed", "failed"),
    ("unknown", LOST, "parked", "parked", "parked"),
]
CELLS = [
    pytest.param(verdict, answer, surroundings, expected, id=f"{verdict}, {name}")
    for verdict, answer, *row in MATRIX
    for (name, surroundings), expected in zip(
        {
            "another channel": {"others": 1, "keys": 1},
            "another key": {"others": 0, "keys": 2},
            "alone": {"others": 0, "keys": 1},
        }.items(),
        row,
        strict=True,
    )
]


@pytest.mark.parametrize(("verdict", "answer", "surroundings", "expected"), CELLS)
def test_failover_goes_where_the_matrix_says(
    bench: Bench,
    verdict: str,
    answer: Reply | errors.ProviderError,
    surroundings: dict[str, int],
    expected: str,
) -> None:
    secrets = tuple(f"secret-{n}" for n in range(surroundings["keys"]))
    bench.a_channel(secrets=secrets)
    if surroundings["others"]:
        bench.a_channel("other", priority=-1)
    task_id = bench.a_task()
    bench.submit(answer)
    assert bench.submissions(task_id)[0].verdict == verdict
    bench.submit()
    if expected == "failed":
        assert bench.task(task_id).state is State.FAILED
        return
    if expected == "parked":
        bench.wait(30)
        bench.submit()
        assert bench.task(task_id).state is State.PROCESSING
        assert len(bench.submissions(task_id)) == 1
        return
    if expected == "same channel later":
        assert bench.task(task_id).state is State.QUEUED
        bench.wait(10)
    bench.engine.replies.clear()
    bench.submit(ok(id="job-2"))
    first, second = bench.submissions(task_id)
    assert bench.task(task_id).state is State.PROCESSING
    assert (second.channel_id != first.channel_id) is (expected == "other channel")
    assert (second.key_id != first.key_id) is (expected != "same channel later")


def test_submissions_spread_over_the_keys_of_a_channel(bench: Bench) -> None:
    bench.a_channel(secrets=("one", "two", "three"))
    for n in range(6):
        bench.a_task()
        bench.submit(ok(id=f"job-{n}"))
        bench.rt.forget_channels()
    used = Counter(key.name for key in keys_used(bench))
    assert sorted(used.values()) == [2, 2, 2]


def test_look_uses_the_key_that_sent_the_submission(bench: Bench) -> None:
    bench.a_channel(secrets=("one", "two"))
    task_id = bench.a_task()
    bench.submit(ok(id="job-1"))
    (submission,) = bench.submissions(task_id)
    account = bench.rt.account(submission.channel_id, submission.key_id)
    assert account.key.id == submission.key_id


def test_removed_key_drains(bench: Bench) -> None:
    bench.a_channel(secrets=("old",))
    task_id = bench.a_task()
    bench.submit(ok(id="job-1"))
    plan = accounts.ChannelPlan(name="main", provider="lumen", secrets=("new",))
    with bench.base.transaction() as tx:
        accounts.change_channel(
            bench.base, tx, bench.channel(), plan, bench.providers, origin="cli"
        )
    bench.rt.forget_channels()
    bench.wait(30)
    bench.look(ok(id="job-1", phase="running"))
    assert bench.task(task_id).started_at is not None
    bench.a_task()
    (handing,) = bench.claim()
    assert [key.name for key in bench.channel().usable_keys] == ["key-2"]
    assert handing.key.name == "key-2"


def test_refused_key_is_paused_alone(bench: Bench) -> None:
    bench.a_channel(secrets=("one", "two"))
    bench.a_task()
    bench.submit(refused(401))
    paused = [key.paused_until is not None for key in bench.channel().keys]
    assert sorted(paused) == [False, True]
    assert bench.channel().paused_until is None


def test_pause_grows_with_every_failed_probe_and_ends_with_a_success(
    bench: Bench,
) -> None:
    bench.a_channel()
    pauses = []
    for _ in range(3):
        bench.a_task()
        bench.submit(refused(401))
        (key,) = bench.channel().keys
        assert key.paused_until is not None
        pauses.append(key.paused_until / 1000 - bench.clock)
        bench.wait(pauses[-1] + 1)
    assert pauses[0] < pauses[1] < pauses[2]
    bench.a_task()
    bench.submit(ok(id="job-1"))
    (key,) = bench.channel().keys
    assert (key.paused_until, key.failure_count) == (None, 0)


def test_one_task_at_a_time_probes_a_channel_after_its_pause(bench: Bench) -> None:
    bench.a_channel()
    bench.a_task()
    bench.submit(refused(403))
    bench.wait(60)
    for _ in range(3):
        bench.a_task()
    assert len(bench.claim()) == 1


def test_channel_that_cannot_be_reached_is_paused_after_five_in_a_row(
    bench: Bench,
) -> None:
    bench.a_channel()
    for n in range(5):
        assert bench.channel().paused_until is None, n
        bench.a_task()
        bench.submit(NOT_SENT)
    assert bench.channel().paused_until is not None
    assert "no address" in (bench.channel().pause_reason or "")


def test_channel_that_loses_answers_is_paused_after_three(bench: Bench) -> None:
    bench.a_channel()
    for n in range(3):
        assert bench.channel().paused_until is None, n
        bench.a_task()
        bench.submit(LOST)
    assert bench.channel().paused_until is not None


def test_channel_of_other_groups_gets_nothing(bench: Bench) -> None:
    bench.a_channel(groups=("vip",))
    task_id = bench.a_task()
    bench.submit()
    assert bench.task(task_id).error_code == "upstream_refused"
    bench.a_channel("open")
    bench.a_task()
    bench.submit(ok(id="job-1"))
    assert bench.engine.paid == ["open"]


def test_channel_that_cannot_express_the_request_gets_nothing(bench: Bench) -> None:
    small = replace(LUMEN.models[0], max_n=1)
    bench.a_channel(
        provider=replace(LUMEN, name="small", describe=lambda name: small), priority=5
    )
    bench.a_channel("large", provider=replace(LUMEN, name="large"))
    bench.a_task(inputs={"prompt": "p", "n": 4})
    bench.submit(ok(id="job-1"))
    assert bench.engine.paid == ["large"]


def test_reason_of_the_choice_is_kept(bench: Bench) -> None:
    bench.a_channel("a", weight=3)
    bench.a_channel("b", weight=1)
    task_id = bench.a_task()
    bench.submit(ok(id="job-1"))
    (submission,) = bench.submissions(task_id)
    assert submission.reason == "weight 3 of 4 among a, b (priority 0)"


@pytest.mark.parametrize("limit", ["in_flight", "key_in_flight"])
def test_full_channel_lets_tasks_wait_in_order(bench: Bench, limit: str) -> None:
    bench.a_channel(limits={limit: 2})
    ids = [bench.a_task() for _ in range(4)]
    bench.script(ok(id="job-1"), ok(id="job-2"))
    handings = bench.claim()
    assert [handing.id for handing in handings] == ids[:2]
    for handing in handings:
        bench.record((handing, bench.hand_over(handing)))
    bench.wait(5)
    assert bench.claim() == []
    with bench.base.reading() as tx:
        states = tasks.find_states(tx, ids[2:])
    assert {state for state, _ in states.values()} == {State.QUEUED}
    assert bench.row("SELECT max(claim_count) AS n FROM tasks")["n"] == 0


def test_task_goes_to_another_channel_when_the_first_is_full(bench: Bench) -> None:
    bench.a_channel(limits={"in_flight": 1})
    bench.a_channel("other", priority=-1)
    for _ in range(2):
        bench.a_task()
    names = [handing.offer.channel.name for handing in bench.claim()]
    assert names == ["main", "other"]


def test_submits_leave_no_faster_than_the_rate(bench: Bench) -> None:
    bench.a_channel(limits={"submits_per_s": 5})
    for _ in range(20):
        bench.a_task()
    starts = sorted(handing.starts_at for handing in bench.claim(20))
    assert 5 <= len(starts) <= 6
    assert min(b - a for a, b in itertools.pairwise(starts)) >= 0.2


def test_submit_that_missed_its_place_takes_a_new_one(bench: Bench) -> None:
    bench.a_channel(limits={"submits_per_s": 4})
    for _ in range(2):
        bench.a_task()
    late, next_one = bench.claim(2)
    late = replace(late, starts_at=time.monotonic() - 1)
    bench.script(ok(id="job-1"))
    bench.hand_over(late)
    assert time.monotonic() >= next_one.starts_at + 1 / 4


def test_key_that_is_slower_than_its_channel_does_not_make_calls_crowd(
    bench: Bench,
) -> None:
    limits = {"submits_per_s": 8, "key_submits_per_s": 4}
    bench.a_channel(limits=limits, secrets=("one", "two"))
    for _ in range(12):
        bench.a_task()
    starts = sorted(handing.starts_at for handing in bench.claim(20))
    assert len(starts) >= 4
    assert min(b - a for a, b in itertools.pairwise(starts)) >= 1 / 8


def test_look_that_missed_its_place_takes_a_new_one(bench: Bench) -> None:
    bench.a_channel(limits={"polls_per_s": 4})
    bench.a_task()
    bench.submit(ok(id="job-1"))
    bench.wait(60)
    (claimed,) = poll.claim(bench.rt, 10, ())
    late = replace(claimed, starts_at=time.monotonic() - 1)
    bench.script(ok(id="job-1", phase="running"))
    bench.loop.run(poll.look(bench.rt, bench.many, late, granted))
    assert time.monotonic() >= claimed.starts_at + 1 / 4


def test_looks_over_the_rate_wait_and_count_as_none(bench: Bench) -> None:
    bench.a_channel(limits={"polls_per_s": 2})
    for n in range(6):
        bench.a_task()
        bench.submit(ok(id=f"job-{n}"))
    bench.wait(60)
    seen = len(bench.look(*[ok(id="job", phase="running")] * 6))
    bench.engine.replies.clear()
    assert 2 <= seen <= 3
    counts = bench.row(
        "SELECT sum(look_count) AS looks, sum(claim_count) AS claims FROM submissions"
    )
    assert (counts["looks"], counts["claims"]) == (seen, 0)


def test_client_with_many_tasks_does_not_delay_anothers_single_one(
    bench: Bench,
) -> None:
    bench.a_channel()
    for _ in range(500):
        bench.a_task()
    bench.wait(1)
    lone = a_task_of(bench, "someone else")
    claimed: list[str] = []
    for _ in range(2):
        claimed += [handing.id for handing in bench.claim(20)]
    assert lone in claimed


def test_clients_of_high_priority_get_a_larger_share(bench: Bench) -> None:
    bench.a_channel()
    low = {a_task_of(bench, "low", priority="low") for _ in range(40)}
    high = {a_task_of(bench, "high", priority="high") for _ in range(40)}
    claimed = {handing.id for handing in bench.claim(20)}
    assert len(claimed & high) == 16
    assert len(claimed & low) == 4


def a_task_of(bench: Bench, name: str, **fields: Any) -> str:
    """A task of a client that is made when there is none of this name."""
    task_id = new_task_id()
    with bench.base.transaction() as tx:
        known = accounts.clients.find_by_name(tx, name)
        client_id = (
            known.id
            if known
            else accounts.create_key(bench.base, tx, name, **fields).client_id
        )
        new = NewTask(
            id=task_id, model="lumen-1", media_type="image", inputs={"prompt": "p"}
        )
        tasks.add(tx, client_id, new)
    return task_id


def keys_used(bench: Bench) -> list[Any]:
    with bench.base.reading() as tx:
        rows = tx.exec_driver_sql("SELECT key_id FROM submissions").scalars().all()
    by_id = {key.id: key for key in bench.channel().keys}
    return [by_id[key_id] for key_id in rows]
