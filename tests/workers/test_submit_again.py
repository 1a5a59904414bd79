"""Sending again under the same key: what may have been paid is never left behind."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.lifecycle import State
from app.store import channels
from providers import errors
from providers.flow import Reply
from providers.types import Provider
from tests.workers.bench import LUMEN, Bench, bench, ok, refused
from workers import submit

__all__ = ["bench"]

KEYED = replace(LUMEN, name="keyed", idempotent=True)
LOST = errors.AnswerLost("timeout")


def keys(bench: Bench) -> list[tuple[str, str]]:
    """Channel and idempotency key of every paid call."""
    return [(name, call.json["key"]) for name, call in bench.engine.calls if call.paid]


def bait(bench: Bench) -> None:
    """Another channel that would take the task, and be paid for it too."""
    bench.a_channel("bait", priority=-1)


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(errors.NotSent("no address"), id="not sent"),
        pytest.param(refused(429), id="429"),
        pytest.param(refused(401), id="401"),
        pytest.param(refused(402), id="402"),
        pytest.param(refused(404), id="404"),
        pytest.param(Reply(503, {}, b""), id="503"),
    ],
)
def test_second_sending_that_was_refused_does_not_forget_the_first(
    bench: Bench, second: Reply | errors.ProviderError
) -> None:
    bench.a_channel(provider=KEYED)
    bait(bench)
    task_id = bench.a_task()
    bench.submit(LOST)
    bench.wait(10)
    bench.submit(second)
    for _ in range(4):
        bench.wait(120)
        bench.script(ok(id="job-1"))
        bench.submit()
        bench.engine.replies.clear()
    assert len(set(keys(bench))) == 1
    assert keys(bench)[0][0] == "main"
    assert bench.task(task_id).state is State.PROCESSING


def test_worker_that_died_before_the_second_sending_does_not_forget_the_first(
    bench: Bench,
) -> None:
    bench.a_channel(provider=KEYED)
    bait(bench)
    bench.a_task()
    bench.submit(LOST)
    bench.wait(10)
    bench.claim()  # and dies
    bench.wait(bench.settings.lease_s + 1)
    bench.submit(ok(id="job-1"))
    assert len(keys(bench)) == 2
    assert len(set(keys(bench))) == 1


def test_trouble_before_the_second_sending_does_not_forget_the_first(
    bench: Bench,
) -> None:
    bench.a_channel(provider=KEYED)
    bait(bench)
    images = [{"url": "https://cdn.example/a.png"}]
    bench.a_task(inputs={"prompt": "p", "images": images})
    image = Reply(200, {"content-type": "image/png"}, b"x")
    bench.submit(image, LOST)
    bench.wait(10)
    bench.submit(errors.AnswerLost("the image's host was away"))
    bench.wait(20)
    bench.submit(image, ok(id="job-1"))
    assert len(keys(bench)) == 2
    assert len(set(keys(bench))) == 1


def test_request_that_is_rejected_the_second_time_fails(bench: Bench) -> None:
    bench.a_channel(provider=KEYED)
    task_id = bench.a_task()
    bench.submit(LOST)
    bench.wait(10)
    bench.submit(refused(422))
    assert bench.task(task_id).error_code == "invalid_request"


@pytest.mark.parametrize("answer", [ok(id="job-1"), ok(inline=1)])
def test_answer_that_comes_while_the_task_waits_to_be_sent_again_is_taken(
    bench: Bench, answer: Reply
) -> None:
    bench.a_channel(provider=KEYED)
    bait(bench)
    task_id = bench.a_task()
    (slow,) = bench.claim()
    bench.script(answer)
    handed = bench.hand_over(slow)
    bench.wait(bench.settings.lease_s + 1)
    bench.submit()  # another worker finds the paid call without an outcome
    assert bench.task(task_id).state is State.QUEUED
    bench.record((slow, handed))
    assert bench.task(task_id).state in (State.PROCESSING, State.SUCCEEDED)
    bench.wait(60)
    bench.script(ok(id="job-2"))
    bench.submit()
    assert len(keys(bench)) == 1
    assert len(bench.submissions(task_id)) == 1


def test_answer_that_comes_while_another_worker_sends_again_is_taken_once(
    bench: Bench,
) -> None:
    bench.a_channel(provider=KEYED)
    task_id = bench.a_task()
    (slow,) = bench.claim()
    bench.script(ok(id="job-1"))
    handed = bench.hand_over(slow)
    bench.wait(bench.settings.lease_s + 1)
    bench.submit()
    bench.wait(10)
    (second,) = bench.claim()
    submit.leaving(bench.rt, [second])
    bench.record((slow, handed))
    bench.script(ok(id="job-1"))
    bench.record((second, bench.hand_over(second)))
    assert bench.task(task_id).state is State.PROCESSING
    assert [s.remote_id for s in bench.submissions(task_id)] == ["job-1"]


def test_channel_that_takes_tasks_again_forgets_its_failures(bench: Bench) -> None:
    bench.a_channel()
    bench.a_task()
    bench.submit(refused(403))
    assert bench.channel().failure_count == 1
    bench.wait(60)
    bench.a_task()
    bench.submit(ok(id="job-1"))
    channel = bench.channel()
    assert (channel.failure_count, channel.paused_until) == (0, None)


def test_key_that_is_taken_again_forgets_its_failures(bench: Bench) -> None:
    bench.a_channel()
    bench.a_task()
    bench.submit(refused(401))
    assert bench.channel().keys[0].failure_count == 1
    bench.wait(60)
    bench.a_task()
    bench.submit(ok(id="job-1"))
    (key,) = bench.channel().keys
    assert (key.failure_count, key.paused_until) == (0, None)


def test_second_sending_uses_the_account_of_the_first(bench: Bench) -> None:
    """An upstream knows an idempotency key only within one account."""
    bench.a_channel(provider=KEYED, secrets=("one", "two"))
    bench.a_task()
    bench.submit(LOST)
    bench.wait(10)
    first = bench.row("SELECT key_id FROM submissions")["key_id"]
    with bench.rt.transaction() as tx:  # the other one would be the least loaded
        tx.exec_driver_sql("UPDATE channel_keys SET name = 'a' || name")
    for _ in range(4):
        bench.submit(LOST)
        assert bench.row("SELECT key_id FROM submissions")["key_id"] == first
        bench.wait(60)


def test_second_sending_waits_while_its_account_is_paused(bench: Bench) -> None:
    bench.a_channel(provider=KEYED, secrets=("one", "two"))
    task_id = bench.a_task()
    bench.submit(LOST)
    first = bench.row("SELECT key_id FROM submissions")["key_id"]
    bench.wait(10)
    bench.submit(refused(401))
    assert bench.task(task_id).state is State.QUEUED
    bench.wait(5)
    bench.submit()  # paused
    bench.wait(60)
    bench.submit(ok(id="job-1"))
    assert bench.row("SELECT key_id FROM submissions")["key_id"] == first
    assert bench.task(task_id).state is State.PROCESSING


@pytest.mark.parametrize("gone", ["channel", "key"])
def test_task_whose_account_is_gone_is_parked_and_not_sent_elsewhere(
    bench: Bench, gone: str
) -> None:
    bench.a_channel(provider=KEYED)
    bench.a_channel("bait", priority=-1)
    task_id = bench.a_task()
    bench.submit(errors.AnswerLost("timeout"))
    channel = bench.channel()
    with bench.base.transaction() as tx:
        if gone == "channel":
            channels.remove(tx, channel)
        else:
            channels.remove_key(tx, channel.keys[0])
    bench.wait(30)
    bench.submit()
    assert bench.task(task_id).state is State.PROCESSING
    bench.wait(700)
    bench.look()
    task = bench.task(task_id)
    assert (task.state, task.error_code) == (State.FAILED, "upstream_outcome_unknown")
    assert bench.engine.paid == ["main"]


@pytest.mark.parametrize("provider", [LUMEN, KEYED], ids=["parked", "to be sent again"])
def test_rejection_that_comes_after_the_task_was_given_up_as_lost_ends_it(
    bench: Bench, provider: Provider
) -> None:
    """The worker was held up; another one could not know what became of its call."""
    bench.a_channel(provider=provider)
    task_id = bench.a_task()
    (handing,) = bench.claim()
    bench.script(refused(400))
    late = bench.hand_over(handing)
    bench.wait(bench.settings.lease_s + 1)
    assert bench.claim() == []  # notes that the outcome is unknown

    bench.record((handing, late))

    task = bench.task(task_id)
    assert (task.state, task.error_code) == (State.FAILED, "invalid_request")
