"""Handing tasks to channels: what is paid for, and never twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from app.lifecycle import State, SubmissionState
from providers import errors
from providers.flow import Reply
from providers.types import Phase, Remote, Snapshot
from tests.workers.bench import LUMEN, Bench, a_bench, bench, lumen_find, ok, refused
from workers import poll, submit
from workers.poll import Look
from workers.submit import ABSENT_AFTER_S, SEND_WITHIN_S, Handed, Handing

__all__ = ["bench"]

HTML = Reply(200, {"content-type": "text/html"}, b"<html>busy</html>")
WITHOUT_ID = Reply(200, {"content-type": "application/json"}, b'{"status": "fine"}')
CUT = Reply(200, {"content-type": "application/json"}, b'{"id": "jo')

LOST = [
    pytest.param(errors.AnswerLost("timeout"), id="timeout"),
    pytest.param(errors.AnswerLost("reset"), id="reset"),
    pytest.param(Reply(500, {}, b""), id="500"),
    pytest.param(refused(502), id="502"),
    pytest.param(refused(503), id="503"),
    pytest.param(refused(408), id="408"),
    pytest.param(refused(409), id="409"),
    pytest.param(CUT, id="cut body"),
    pytest.param(HTML, id="html"),
    pytest.param(WITHOUT_ID, id="no id"),
]


def test_accepted_task_is_processing_and_will_be_looked_at(bench: Bench) -> None:
    bench.a_channel()
    task_id = bench.a_task()
    bench.submit(ok(id="job-1"))
    assert bench.task(task_id).state is State.PROCESSING
    assert bench.task(task_id).submitted_at is not None
    (submission,) = bench.submissions(task_id)
    assert (submission.state, submission.remote_id) == ("accepted", "job-1")


def test_result_in_the_submits_own_answer_finishes_the_task(bench: Bench) -> None:
    bench.a_channel()
    task_id = bench.a_task()
    bench.submit(ok(inline=2))
    task = bench.task(task_id)
    assert task.state is State.SUCCEEDED
    assert [(r.content_type, r.width) for r in task.results] == [("image/png", 1)] * 2


def test_outcome_is_written_down_before_the_paid_call_leaves(bench: Bench) -> None:
    bench.a_channel()
    task_id = bench.a_task()
    (handing,) = bench.claim()
    assert bench.submissions(task_id)[0].state is SubmissionState.OPEN
    seen: list[str] = []

    async def leave() -> bool:
        assert submit.leaving(bench.rt, [handing]) == {task_id}
        seen.append(bench.submissions(task_id)[0].state)
        assert not bench.engine.calls
        return True

    bench.script(ok(id="job-1"))
    bench.hand_over(handing, leave)
    assert seen == ["sent"]


def test_worker_that_lost_its_lease_does_not_send_the_paid_call(bench: Bench) -> None:
    bench.a_channel()
    task_id = bench.a_task()
    (slow,) = bench.claim()
    bench.wait(bench.settings.lease_s + 1)
    bench.submit(ok(id="job-of-the-second"))
    handed = bench.hand_over(slow)
    bench.record((slow, handed))
    assert handed.gave_up
    assert bench.engine.paid == ["main"]
    assert bench.task(task_id).state is State.PROCESSING


def test_worker_that_died_before_the_call_left_costs_nothing(bench: Bench) -> None:
    bench.a_channel()
    task_id = bench.a_task()
    bench.claim()  # and dies
    bench.wait(bench.settings.lease_s + 1)
    bench.submit(ok(id="job-1"))
    assert [s.state for s in bench.submissions(task_id)] == ["not_sent", "accepted"]
    assert bench.task(task_id).state is State.PROCESSING


def test_worker_that_died_during_the_call_parks_the_task(bench: Bench) -> None:
    bench.a_channel()
    bench.a_channel("bait")
    task_id = bench.a_task()
    (handing,) = bench.claim()
    submit.leaving(bench.rt, [handing])  # and dies
    bench.wait(bench.settings.lease_s + 1)
    bench.submit()
    (submission,) = bench.submissions(task_id)
    assert submission.state is SubmissionState.UNKNOWN
    assert bench.task(task_id).state is State.PROCESSING
    assert bench.engine.paid == []


@pytest.mark.parametrize("answer", LOST)
def test_lost_answer_is_never_sent_again_nor_elsewhere(
    bench: Bench, answer: Reply | errors.ProviderError
) -> None:
    bench.a_channel()
    bench.a_channel("bait", priority=-1)
    task_id = bench.a_task()
    bench.submit(answer)
    assert bench.task(task_id).state is State.PROCESSING
    for _ in range(5):
        bench.wait(60)
        bench.submit()
        bench.look()
    assert bench.engine.paid == ["main"]
    bench.wait(600)
    bench.look()
    task = bench.task(task_id)
    assert (task.state, task.error_code) == (State.FAILED, "upstream_outcome_unknown")


@pytest.mark.parametrize("answer", LOST)
def test_lost_answer_is_sent_again_under_the_same_key_where_that_bills_once(
    bench: Bench, answer: Reply | errors.ProviderError
) -> None:
    bench.a_channel(provider=replace(LUMEN, name="keyed", idempotent=True))
    bench.a_channel("bait", priority=-1)
    task_id = bench.a_task()
    bench.submit(answer)
    bench.wait(10)
    bench.submit(ok(id="job-1"))
    first, second = (call.json["key"] for _, call in bench.engine.calls)
    assert first == second
    assert bench.engine.paid == ["main", "main"]
    assert bench.task(task_id).state is State.PROCESSING
    assert [s.state for s in bench.submissions(task_id)] == ["accepted"]


@pytest.mark.parametrize("answer", LOST)
def test_lost_job_is_found_by_our_reference_where_the_provider_can(
    bench: Bench, answer: Reply | errors.ProviderError
) -> None:
    bench.a_channel(provider=replace(LUMEN, name="finding", find=lumen_find))
    bench.a_channel("bait", priority=-1)
    task_id = bench.a_task()
    bench.submit(answer)
    bench.wait(10)
    bench.look(ok(id="job-1", phase="running"))
    bench.engine.files["https://cdn.example/1.png"] = b"\x89PNG\r\n\x1a\nxx"
    bench.wait(60)
    bench.look(ok(id="job-1", phase="succeeded", urls=["https://cdn.example/1.png"]))
    assert bench.task(task_id).state is State.SUCCEEDED
    assert bench.engine.paid == ["main"]


def test_job_that_surely_does_not_exist_may_be_sent_again(bench: Bench) -> None:
    bench.a_channel(provider=replace(LUMEN, name="finding", find=lumen_find))
    task_id = bench.a_task()
    bench.submit(errors.AnswerLost("timeout"))
    bench.wait(ABSENT_AFTER_S)
    bench.look(Reply(200, {}, b"null"))
    assert bench.task(task_id).state is State.QUEUED
    bench.submit(ok(id="job-2"))
    assert bench.task(task_id).state is State.PROCESSING


def test_job_that_may_still_arrive_is_not_absent(bench: Bench) -> None:
    bench.a_channel(provider=replace(LUMEN, name="finding", find=lumen_find))
    task_id = bench.a_task()
    bench.submit(errors.AnswerLost("timeout"))
    bench.wait(ABSENT_AFTER_S - 1)
    bench.look(Reply(200, {}, b"null"))
    assert bench.task(task_id).state is State.PROCESSING
    bench.wait(1)
    bench.look(Reply(200, {}, b"null"))
    assert bench.task(task_id).state is State.QUEUED


def test_job_that_may_still_arrive_at_the_deadline_is_given_up(
    tmp_path: Path,
) -> None:
    with a_bench(tmp_path, deadline_s=10) as bench:
        bench.a_channel(provider=replace(LUMEN, name="finding", find=lumen_find))
        task_id = bench.a_task()
        bench.submit(errors.AnswerLost("timeout"))
        bench.wait(11)
        bench.look(Reply(200, {}, b"null"))
        assert bench.task(task_id).error_code == "upstream_outcome_unknown"


def freeze(bench: Bench, handing: Handing, seconds: float) -> Handed:
    """Hand over by a worker that stands still after it noted that the call leaves."""

    async def leave() -> bool:
        may = handing.id in submit.leaving(bench.rt, [handing])
        bench.wait(seconds)
        return may

    return bench.hand_over(handing, leave)


def test_worker_that_froze_before_the_paid_call_does_not_send_it(bench: Bench) -> None:
    bench.a_channel()
    task_id = bench.a_task()
    (frozen,) = bench.claim()
    handed = freeze(bench, frozen, SEND_WITHIN_S + 0.1)
    assert bench.engine.paid == []
    bench.record((frozen, handed))
    # It surely was not sent, and no channel is to blame.
    assert bench.submissions(task_id)[0].state is SubmissionState.NOT_SENT
    assert bench.task(task_id).state is State.QUEUED
    assert bench.channel().failure_count == 0
    bench.wait(60)
    bench.submit(ok(id="job-1"))
    assert bench.engine.paid == ["main"]


def test_worker_that_froze_shortly_sends_the_paid_call(bench: Bench) -> None:
    bench.a_channel()
    bench.a_task()
    (frozen,) = bench.claim()
    bench.script(ok(id="job-1"))
    assert freeze(bench, frozen, SEND_WITHIN_S - 0.1).snapshot is not None


def test_frozen_worker_and_the_one_that_finds_nothing_pay_once(bench: Bench) -> None:
    bench.a_channel(provider=replace(LUMEN, name="finding", find=lumen_find))
    task_id = bench.a_task()
    (frozen,) = bench.claim()

    async def leave() -> bool:
        granted = frozen.id in submit.leaving(bench.rt, [frozen])
        bench.wait(bench.settings.lease_s + 1)
        bench.submit()  # another worker finds the paid call without an outcome
        bench.wait(ABSENT_AFTER_S)
        for claimed in poll.claim(bench.rt, 10, ()):
            poll.record(bench.rt, [(claimed, Look(absent=True))])
        (again,) = bench.claim()
        submit.leaving(bench.rt, [again])
        bench.record(
            (
                again,
                Handed(
                    Snapshot(phase=Phase.PENDING, remote=Remote("job-1")), paid=True
                ),
            )
        )
        return granted

    bench.record((frozen, bench.hand_over(frozen, leave)))
    assert bench.engine.paid == []  # but for the one that `again` stands for
    assert bench.task(task_id).state is State.PROCESSING
    states = [s.state for s in bench.submissions(task_id)]
    assert states == [SubmissionState.ENDED, SubmissionState.ACCEPTED]


def test_answer_that_comes_after_the_task_was_parked_is_taken(bench: Bench) -> None:
    bench.a_channel()
    task_id = bench.a_task()
    (slow,) = bench.claim()
    bench.script(ok(id="job-1"))
    handed = bench.hand_over(slow)
    bench.wait(bench.settings.lease_s + 1)
    bench.submit()  # another worker finds the paid call without an outcome
    assert bench.submissions(task_id)[0].state is SubmissionState.UNKNOWN
    bench.record((slow, handed))
    (submission,) = bench.submissions(task_id)
    assert (submission.state, submission.remote_id) == ("accepted", "job-1")


def test_answer_that_comes_after_the_end_leaves_its_id(bench: Bench) -> None:
    bench.a_channel()
    task_id = bench.a_task()
    (slow,) = bench.claim()
    bench.script(ok(id="job-1"))
    handed = bench.hand_over(slow)
    bench.wait(bench.settings.lease_s + 1)
    bench.submit()
    bench.wait(700)
    bench.look()
    assert bench.task(task_id).state is State.FAILED
    bench.record((slow, handed))
    assert bench.task(task_id).state is State.FAILED
    assert bench.submissions(task_id)[0].remote_id == "job-1"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (refused(400, "odd"), "invalid_request"),
        (refused(422), "invalid_request"),
        (refused(413), "invalid_request"),
        (refused(400, "moderated"), "content_rejected"),
        (Reply(400, {}, b"<html>"), "invalid_request"),
    ],
)
def test_request_that_can_never_be_made_fails_at_once(
    bench: Bench, answer: Reply, code: str
) -> None:
    bench.a_channel()
    bench.a_channel("bait", priority=-1)
    task_id = bench.a_task()
    bench.submit(answer)
    task = bench.task(task_id)
    assert (task.state, task.error_code) == (State.FAILED, code)
    assert bench.engine.paid == ["main"]


@pytest.mark.parametrize(
    ("answer", "verdict", "paused"),
    [
        (refused(401), "refused_key", "key"),
        (refused(403), "refused_channel", "channel"),
        (refused(402), "refused_quota", "key"),
        (refused(429, "no_money"), "refused_quota", "key"),
        (refused(400, "bad_key"), "refused_key", "key"),
        (refused(404), "refused_model", "nobody"),
        (refused(400, "no_model"), "refused_model", "nobody"),
        (refused(308), "refused_channel", "channel"),
    ],
)
def test_refused_channel_hands_the_task_to_another(
    bench: Bench, answer: Reply, verdict: str, paused: str
) -> None:
    bench.a_channel()
    bench.a_channel("other", priority=-1)
    task_id = bench.a_task()
    bench.submit(answer)
    assert bench.submissions(task_id)[0].verdict == verdict
    channel = bench.channel()
    (key,) = channel.keys
    assert (channel.paused_until is not None) is (paused == "channel")
    assert (key.paused_until is not None) is (paused == "key")
    bench.submit(ok(id="job-1"))
    assert bench.engine.paid == ["main", "other"]
    assert bench.task(task_id).state is State.PROCESSING


def test_task_that_every_channel_refused_fails(bench: Bench) -> None:
    bench.a_channel()
    task_id = bench.a_task()
    bench.submit(refused(401))
    task = bench.task(task_id)
    assert (task.state, task.error_code) == (State.FAILED, "upstream_refused")


def test_paused_channel_lets_tasks_wait_without_counting_tries(bench: Bench) -> None:
    bench.a_channel()
    bench.a_task()
    bench.submit(refused(401))
    waiting = bench.a_task()
    for _ in range(8):
        bench.submit()
        bench.wait(1.2)
    assert bench.task(waiting).state is State.QUEUED
    bench.wait(60)
    bench.submit(ok(id="job-1"))
    assert bench.task(waiting).state is State.PROCESSING


@pytest.mark.parametrize("answer", [refused(429), errors.NotSent("no address")])
def test_task_that_was_surely_not_taken_is_sent_again_later(
    bench: Bench, answer: Reply | errors.ProviderError
) -> None:
    bench.a_channel()
    task_id = bench.a_task()
    bench.submit(answer)
    assert bench.task(task_id).state is State.QUEUED
    bench.submit()  # not due yet
    bench.wait(5)
    bench.submit(ok(id="job-1"))
    assert bench.task(task_id).state is State.PROCESSING


def test_retry_after_of_a_rate_limit_is_obeyed(bench: Bench) -> None:
    bench.a_channel()
    task_id = bench.a_task()
    bench.submit(refused(429, retry_after="90"))
    bench.wait(80)
    bench.submit()
    assert bench.task(task_id).state is State.QUEUED
    bench.wait(20)
    bench.submit(ok(id="job-1"))
    assert bench.task(task_id).state is State.PROCESSING


def test_busy_channel_hands_the_task_to_another_at_once(bench: Bench) -> None:
    bench.a_channel()
    bench.a_channel("other", priority=-1)
    bench.a_task()
    bench.submit(refused(429))
    bench.submit(ok(id="job-1"))
    assert bench.engine.paid == ["main", "other"]


def test_unreachable_channel_fails_the_task_in_the_end(bench: Bench) -> None:
    bench.a_channel()
    task_id = bench.a_task()
    for _ in range(20):
        bench.submit(errors.NotSent("no address"))
        bench.engine.replies.clear()
        bench.wait(400)
    task = bench.task(task_id)
    assert (task.state, task.error_code) == (State.FAILED, "upstream_unreachable")


def test_trouble_before_the_paid_call_is_not_an_unknown_outcome(bench: Bench) -> None:
    bench.a_channel()
    task_id = bench.a_task(
        inputs={"prompt": "p", "images": [{"url": "https://cdn.example/a.png"}]}
    )
    bench.submit(errors.AnswerLost("reset"))
    assert bench.submissions(task_id)[0].verdict == "not_sent"
    assert bench.task(task_id).state is State.QUEUED


def test_task_that_five_workers_took_and_lost_is_poison(bench: Bench) -> None:
    bench.a_channel()
    task_id = bench.a_task()
    for _ in range(5):
        bench.claim()
        bench.wait(bench.settings.lease_s + 1)
    bench.submit()
    task = bench.task(task_id)
    assert (task.state, task.error_code) == (State.FAILED, "poison")
    assert bench.engine.paid == []


def test_model_that_nobody_serves_any_more_fails_the_task(bench: Bench) -> None:
    task_id = bench.a_task()
    bench.submit()
    assert bench.task(task_id).error_code == "model_not_found"


def test_odd_row_does_not_hold_back_the_batch(bench: Bench) -> None:
    bench.a_channel()
    bench.a_task(inputs={"prompt": "p", "no_such_field": 1})
    good = bench.a_task()
    bench.submit(ok(id="job-1"))
    assert bench.task(good).state is State.PROCESSING


def test_callback_address_is_unique_to_the_submission(bench: Bench) -> None:
    bench.a_channel(base_url="http://127.0.0.1:9/lumen")
    bench.a_task()
    bench.a_task()
    urls = {handing.request.callback_url for handing in bench.claim()}
    assert len(urls) == 2
    assert all(url and "/upstream/main/sub_" in url for url in urls)
