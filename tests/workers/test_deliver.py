"""Callbacks: signed, at least once, patiently, and no faster than a receiver can."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from standardwebhooks.webhooks import Webhook

from app import accounts, answers
from app.bells import Bell
from app.lifecycle import Event
from app.security.addresses import UnsafeUrl
from app.store import deliveries, operator_views, tasks
from app.store.deliveries import Attempt
from app.store.operator_views import AttemptRow
from tests.workers.bench import Bench, a_bench, bench
from workers import deliver, schedules
from workers.http import Answer, NoAnswer

__all__ = ["bench"]

URL = "https://client.example/hook"
OTHER = "https://other.example/hook"
OK = Answer(200, "thanks", None)
BUSY = Answer(503, "busy", None)


def owed(bench: Bench, url: str = URL, event: Event = Event.FAIL, **fields: Any) -> str:
    """A task that has ended and owes a callback, due now."""
    task_id = bench.a_task(callback_url=url, **fields)
    with bench.rt.transaction() as tx:
        assert tasks.advance(tx, task_id, event, error_code="x", error="went wrong")
    return task_id


def answering(bench: Bench, *answered: Answer | Exception, url: str = URL) -> None:
    bench.engine.receivers.setdefault(url, []).extend(answered)


def delivery(bench: Bench) -> dict[str, Any]:
    return dict(bench.row("SELECT * FROM deliveries"))


def attempts(bench: Bench) -> Sequence[AttemptRow]:
    with bench.rt.base.reading() as tx:
        return operator_views.attempts_of(tx, delivery(bench)["id"])


def state(bench: Bench) -> str:
    return str(delivery(bench)["state"])


def wait_s(bench: Bench) -> float:
    return float(delivery(bench)["due_at"] / 1000 - bench.clock)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_success_delivers(bench: Bench, status: int) -> None:
    owed(bench)
    answering(bench, Answer(status, "", None))
    bench.deliver()
    assert state(bench) == "delivered"


@pytest.mark.parametrize(
    "status", [100, 199, 300, 301, 302, 304, 307, 400, 404, 429, 500]
)
def test_whatever_is_no_success_is_tried_again(bench: Bench, status: int) -> None:
    owed(bench)
    answering(bench, Answer(status, "", None))
    bench.deliver()
    assert state(bench) == "pending"
    assert delivery(bench)["last_status"] == status


def test_receiver_that_is_gone_is_not_called_again(bench: Bench) -> None:
    owed(bench)
    answering(bench, Answer(410, "", None))
    bench.deliver()
    assert (state(bench), delivery(bench)["due_at"]) == ("stopped", None)


def test_forbidden_url_is_not_called_again_and_tells_nothing(bench: Bench) -> None:
    owed(bench)
    answering(bench, UnsafeUrl("address 10.0.0.1"))
    bench.deliver()
    assert state(bench) == "stopped"
    assert "10.0.0.1" not in (attempts(bench)[0].error or "")
    assert bench.row("SELECT count(*) AS n FROM receivers")["n"] == 0


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError(),
        NoAnswer("ServerDisconnectedError: Server disconnected"),
        OSError("refused"),
        ValueError("odd"),
    ],
)
def test_receiver_that_cannot_be_reached_is_tried_again(
    bench: Bench, error: Exception
) -> None:
    owed(bench)
    answering(bench, error)
    bench.deliver()
    (attempt,) = attempts(bench)
    assert (state(bench), attempt.status) == ("pending", None)
    assert attempt.error


def test_whole_schedule_is_kept_and_then_the_delivery_has_failed(bench: Bench) -> None:
    """`chance` is 0: every step comes a fifth earlier than it is written."""
    owed(bench)
    waits = []
    while state(bench) == "pending":
        answering(bench, BUSY)
        assert bench.deliver()
        if state(bench) == "pending":
            waits.append(wait_s(bench))
            bench.wait(waits[-1] - 0.1)
            assert bench.deliver() == []
            bench.wait(3600.2)  # and the pause of the breaker
            bench.clock -= 3600
            with bench.rt.transaction() as tx:
                deliveries.receiver_answered(tx, "client.example")
    schedule = bench.settings.callback_schedule
    assert schedule == (0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
    assert waits == pytest.approx([step * 0.8 for step in schedule[1:]], abs=0.01)
    assert (state(bench), len(attempts(bench))) == ("failed", 10)


@pytest.mark.parametrize(("chance", "wanted"), [(0.0, 240), (0.5, 300), (1.0, 360)])
def test_steps_are_spread_by_a_fifth_to_both_sides(
    bench: Bench, chance: float, wanted: float
) -> None:
    bench.rt.chance = lambda: chance
    owed(bench)
    answering(bench, BUSY, BUSY)
    bench.deliver()
    bench.wait(7)
    bench.deliver()
    assert wait_s(bench) == pytest.approx(wanted, abs=0.01)


@pytest.mark.parametrize(
    ("retry_after_s", "wanted"), [(0, 300), (100, 300), (450, 450), (99999, 600)]
)
def test_retry_after_counts_between_one_and_two_steps(
    bench: Bench, retry_after_s: float, wanted: float
) -> None:
    owed(bench)
    answering(bench, BUSY, Answer(503, "", retry_after_s))
    bench.deliver()
    bench.wait(7)
    bench.deliver()
    assert wait_s(bench) == pytest.approx(wanted, abs=0.01)


def test_every_attempt_is_logged_with_what_the_receiver_said(bench: Bench) -> None:
    owed(bench)
    answering(bench, Answer(500, "x" * 4096, None), OK)
    bench.deliver()
    bench.wait(7)
    bench.deliver()
    assert [(a.status, a.excerpt) for a in attempts(bench)] == [
        (500, "x" * 4096),
        (200, "thanks"),
    ]
    assert attempts(bench)[0].started_at > 0


def test_text_of_a_receiver_that_no_database_holds_is_no_trouble(bench: Bench) -> None:
    owed(bench)
    answering(bench, Answer(500, "a\x00b", None))
    bench.deliver()
    assert len(attempts(bench)[0].excerpt or "") in (2, 3)


def test_body_is_what_get_answers(bench: Bench) -> None:
    task_id = owed(bench, metadata={"order": 7})
    answering(bench, OK)
    bench.deliver()
    url, headers, body = bench.engine.delivered[0]
    sent = json.loads(body)
    bench_task = bench.task(task_id)
    before = replace(bench_task, callback_state="pending", callback_attempts=0)
    assert sent["data"] == json.loads(json.dumps(answers.task_data(bench.base, before)))
    assert sent["type"] == "task.failed"
    assert sent["timestamp"] == "2026-05-28T20:26:40.000Z"
    assert (url, headers["Content-Type"]) == (URL, "application/json")


def test_id_is_the_events_and_the_timestamp_the_attempts(bench: Bench) -> None:
    owed(bench)
    answering(bench, BUSY, OK)
    bench.deliver()
    bench.wait(7)
    bench.deliver()
    (_, first, _), (_, second, _) = bench.engine.delivered
    assert first["webhook-id"] == second["webhook-id"] == delivery(bench)["id"]
    signed_at = int(first["webhook-timestamp"])
    started_at = attempts(bench)[0].started_at
    assert signed_at == started_at // 1000


def verify(bench: Bench, secret: str, n: int = -1) -> Any:
    _, headers, body = bench.engine.delivered[n]
    return Webhook(secret).verify(body.decode(), dict(headers))


def test_receiver_verifies_with_the_library_of_the_standard(bench: Bench) -> None:
    task_id = owed(bench, metadata={"name": "Zoë ☃"})
    answering(bench, OK)
    bench.deliver()
    verified = verify(bench, bench.client.webhook_secret)
    assert verified["data"]["task_id"] == task_id
    assert verified["data"]["metadata"] == {"name": "Zoë ☃"}


def test_old_and_new_secret_sign_while_one_rotates(bench: Bench) -> None:
    with bench.rt.transaction() as tx:
        new = accounts.rotate_webhook_secret(bench.base, tx, "client")
    owed(bench)
    answering(bench, OK)
    bench.deliver()
    for secret in (bench.client.webhook_secret, new):
        assert verify(bench, secret)["type"] == "task.failed"


def test_old_secret_does_not_sign_a_day_later(bench: Bench) -> None:
    with bench.rt.transaction() as tx:
        new = accounts.rotate_webhook_secret(bench.base, tx, "client")
    bench.wait(accounts.ROTATION_OVERLAP_S + 1)
    owed(bench)
    answering(bench, OK)
    bench.deliver()
    _, headers, _ = bench.engine.delivered[0]
    assert verify(bench, new)
    assert len(headers["webhook-signature"].split()) == 1


def test_host_gets_four_at_a_time_and_others_do_not_wait(bench: Bench) -> None:
    for _ in range(6):
        owed(bench)
    owed(bench, OTHER)
    posts = deliver.claim(bench.rt, 50, ())
    hosts = [post.claim.host for post in posts]
    assert hosts.count("client.example") == deliver.PER_HOST == 4
    assert hosts.count("other.example") == 1


def fail_times(bench: Bench, times: int) -> None:
    for _ in range(times):
        answering(bench, BUSY)
        owed(bench)
        assert len(bench.deliver(limit=1)) == 1


def test_five_failures_in_a_row_open_the_breaker(bench: Bench) -> None:
    fail_times(bench, 4)
    owed(bench)
    answering(bench, BUSY)
    assert len(bench.deliver(limit=1)) == 1  # the fifth
    owed(bench)
    assert bench.deliver() == []


def test_open_breaker_lets_one_probe_through_and_success_closes_it(
    bench: Bench,
) -> None:
    fail_times(bench, 5)
    for _ in range(3):
        owed(bench)
    bench.wait(schedules.pause_s(0) + 0.1)
    answering(bench, OK)
    assert len(bench.deliver()) == 1
    answering(bench, *[OK] * 4)
    assert len(bench.deliver()) == 4


def test_probe_that_fails_opens_the_breaker_for_longer(bench: Bench) -> None:
    fail_times(bench, 5)
    owed(bench)
    bench.wait(schedules.pause_s(0) + 0.1)
    answering(bench, BUSY)
    assert len(bench.deliver(limit=1)) == 1
    bench.wait(schedules.pause_s(0) + 0.1)
    assert bench.deliver() == []
    bench.wait(schedules.pause_s(1))
    answering(bench, OK)
    assert len(bench.deliver()) == 1


def test_success_between_keeps_the_breaker_closed(bench: Bench) -> None:
    fail_times(bench, 4)
    owed(bench)
    answering(bench, OK)
    bench.engine.receivers[URL] = [OK] * 20
    bench.wait(10)
    bench.deliver()
    bench.engine.receivers[URL] = []
    fail_times(bench, 4)
    assert bench.row("SELECT paused_until AS at FROM receivers")["at"] == 0


def test_dead_receiver_does_not_slow_another(bench: Bench) -> None:
    fail_times(bench, 5)
    owed(bench)
    owed(bench, OTHER)
    answering(bench, OK, url=OTHER)
    (tried,) = bench.deliver()
    assert tried[0].claim.host == "other.example"


def test_attempt_rings_since_its_host_has_room_again(bench: Bench) -> None:
    owed(bench)
    bench.rung.clear()
    answering(bench, OK)
    bench.deliver()
    assert Bell.DELIVER in bench.rung


def test_worker_that_lost_its_lease_plans_nothing(bench: Bench) -> None:
    owed(bench)
    (old,) = deliver.claim(bench.rt, 10, ())
    bench.wait(bench.settings.lease_s + 1)
    answering(bench, OK)
    bench.deliver()
    late = deliver.Tried(Attempt(started_at=1, duration_ms=1, status=500))
    deliver.record(bench.rt, [(old, late)])
    assert state(bench) == "delivered"


def test_secret_that_cannot_be_opened_does_not_hold_back_other_clients(
    bench: Bench,
) -> None:
    owed(bench)
    with bench.rt.transaction() as tx:
        broken = accounts.create_key(bench.base, tx, "broken")
        tx.execute(
            text("UPDATE clients SET webhook_secret = :bad WHERE id = :id"),
            {"bad": b"\x01damaged" + b"x" * 60, "id": broken.client_id},
        )
        tx.execute(
            text("UPDATE deliveries SET client_id = :id"), {"id": broken.client_id}
        )
    owed(bench, OTHER)
    answering(bench, OK, url=OTHER)
    assert [tried[0].claim.host for tried in bench.deliver()] == ["other.example"]


def test_delivery_without_a_body_is_given_up_after_five_claims(bench: Bench) -> None:
    owed(bench)
    with bench.rt.transaction() as tx:
        tx.execute(text("UPDATE clients SET webhook_secret = :bad"), {"bad": b"?" * 80})
    for _ in range(6):
        assert bench.deliver() == []
        bench.wait(bench.settings.lease_s + 1)
    assert (state(bench), delivery(bench)["due_at"]) == ("failed", None)


def test_timeout_of_an_attempt_is_the_operators(tmp_path: Path) -> None:
    seen = []
    with a_bench(tmp_path, callback_timeout_s=2.5) as bench:
        owed(bench)

        async def slow(*args: Any, timeout_s: float) -> Answer:
            seen.append(timeout_s)
            raise TimeoutError

        bench.engine.deliver = slow  # type: ignore[method-assign, assignment]
        bench.deliver()
        assert seen == [2.5]
        assert attempts(bench)[0].error == "no answer within 2.5 s"
