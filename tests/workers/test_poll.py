"""Looks: what an upstream says becomes the task's state; its silence does not."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.bells import Bell
from app.lifecycle import State, SubmissionState
from app.settings import ResultCopy
from providers import errors
from providers.flow import Call, Flow, Reply
from providers.types import Artifact, Failure, Phase, Reason, Remote, Snapshot
from tests.workers.bench import (
    CODES,
    LUMEN,
    PNG,
    Bench,
    a_bench,
    bench,
    granted,
    lumen_find,
    ok,
    read_job,
    refused,
)
from workers import poll
from workers.http import DownloadFailed
from workers.poll import Look
from workers.runtime import UNDESCRIBED_S

__all__ = ["bench"]

URL = "https://cdn.example/1.png"
OTHER_URL = "https://cdn.example/2.png"
DONE = ok(id="job-1", phase="succeeded", urls=[URL])
NOT_FOUND = refused(404)
SILENT = [
    pytest.param(refused(429), id="429"),
    pytest.param(refused(500), id="500"),
    pytest.param(Reply(503, {}, b""), id="503"),
    pytest.param(refused(408), id="408"),
    pytest.param(refused(400), id="400"),
    pytest.param(Reply(200, {"content-type": "text/html"}, b"<html>"), id="HTML"),
    pytest.param(ok(id="job-1", phase="meditating"), id="unknown word"),
    pytest.param(ok(), id="no fields"),
    pytest.param(errors.AnswerLost("timeout"), id="timeout"),
    pytest.param(errors.NotSent("refused"), id="refused"),
]


def at_work(bench: Bench, **fields: Any) -> str:
    """A task that an upstream has accepted; its first look is due in a second."""
    bench.a_channel()
    return another(bench, **fields)


def another(bench: Bench, job_id: str = "job-1", **fields: Any) -> str:
    task_id = bench.a_task(**fields)
    bench.submit(ok(id=job_id))
    assert bench.task(task_id).state is State.PROCESSING
    return task_id


def look(bench: Bench, *replies: Reply | errors.ProviderError) -> list[Look]:
    """One look when it is due, whenever that is."""
    bench.wait(400)
    return bench.look(*replies)


def next_look_s(bench: Bench) -> float:
    """Seconds until the only submission is looked at again."""
    due_at = bench.row("SELECT due_at FROM submissions")["due_at"]
    return float(due_at / 1000 - bench.clock)


def end_of(bench: Bench, task_id: str) -> tuple[State, str | None]:
    task = bench.task(task_id)
    return task.state, task.error_code


def test_pending_job_leaves_the_task_at_work(bench: Bench) -> None:
    task_id = at_work(bench)
    bench.wait(2)
    bench.look(ok(id="job-1", phase="pending"))
    task = bench.task(task_id)
    assert (task.state, task.started_at) == (State.PROCESSING, None)


def test_running_job_shows_its_start_and_its_progress(bench: Bench) -> None:
    task_id = at_work(bench)
    bench.wait(2)
    bench.look(ok(id="job-1", phase="running", percent=45))
    task = bench.task(task_id)
    assert (task.state, task.percent) == (State.PROCESSING, 45)
    assert task.started_at == bench.clock * 1000


def test_finished_job_is_copied_and_finishes_the_task(bench: Bench) -> None:
    task_id = at_work(bench)
    bench.engine.files[URL] = PNG
    bench.wait(2)
    bench.look(DONE)
    task = bench.task(task_id)
    assert (task.state, task.percent) == (State.SUCCEEDED, 100)
    (result,) = task.results
    assert (result.content_type, result.size_bytes, result.url) == (
        "image/png",
        len(PNG),
        None,
    )
    assert result.storage_key is not None
    with bench.storage.open(result.storage_key) as file:
        assert file.read() == PNG
    assert bench.submissions(task_id)[0].verdict == "succeeded"


@pytest.mark.parametrize("reason", list(Reason))
def test_failed_job_fails_the_task_with_its_reason(
    bench: Bench, reason: Reason
) -> None:
    task_id = at_work(bench)
    bench.wait(2)
    bench.look(ok(id="job-1", phase="failed", reason=reason.value))
    assert end_of(bench, task_id) == (State.FAILED, reason.value)
    assert bench.task(task_id).error == "it went wrong"


def test_failed_job_without_a_reason_is_the_upstreams_failure(bench: Bench) -> None:
    task_id = at_work(bench)
    bench.wait(2)
    bench.look(ok(id="job-1", phase="failed"))
    assert end_of(bench, task_id) == (State.FAILED, "upstream_failed")


def test_job_that_the_upstream_cancelled_cancels_the_task(bench: Bench) -> None:
    task_id = at_work(bench)
    bench.wait(2)
    bench.look(ok(id="job-1", phase="cancelled"))
    assert end_of(bench, task_id) == (State.CANCELLED, "cancelled")


def test_ended_job_is_never_looked_at_again(bench: Bench) -> None:
    at_work(bench)
    look(bench, ok(id="job-1", phase="failed"))
    assert look(bench) == []


def test_success_without_an_output_is_a_failure(bench: Bench) -> None:
    task_id = at_work(bench)
    bench.wait(2)
    bench.look(ok(id="job-1", phase="succeeded"))
    assert end_of(bench, task_id) == (State.FAILED, "upstream_failed")


@pytest.mark.parametrize("phase", ["pending", "running"])
def test_deadline_of_the_model_ends_a_job_that_still_runs(
    bench: Bench, phase: str
) -> None:
    task_id = at_work(bench)
    bench.wait(599)
    bench.look(ok(id="job-1", phase=phase))
    assert bench.task(task_id).state is State.PROCESSING
    bench.wait(60)
    bench.look(ok(id="job-1", phase=phase))
    assert end_of(bench, task_id) == (State.FAILED, "upstream_timeout")


def test_job_that_was_done_by_its_deadline_is_still_taken(bench: Bench) -> None:
    task_id = at_work(bench)
    bench.engine.files[URL] = PNG
    bench.wait(700)
    bench.look(DONE)
    assert bench.task(task_id).state is State.SUCCEEDED


def test_upstream_that_never_answers_ends_at_the_deadline(bench: Bench) -> None:
    task_id = at_work(bench)
    bench.wait(700)
    bench.look(errors.AnswerLost("timeout"))
    assert end_of(bench, task_id) == (State.FAILED, "upstream_timeout")


def test_operators_deadline_caps_the_models(tmp_path: Path) -> None:
    with a_bench(tmp_path, deadline_s=30.0) as bench:
        task_id = at_work(bench)
        bench.wait(31)
        bench.look(ok(id="job-1", phase="running"))
        assert end_of(bench, task_id) == (State.FAILED, "upstream_timeout")


@pytest.mark.parametrize("answer", SILENT)
def test_look_that_says_nothing_leaves_the_task_open(
    bench: Bench, answer: Reply | errors.ProviderError
) -> None:
    task_id = at_work(bench)
    for _ in range(5):
        bench.wait(35)
        bench.look(answer)
    assert bench.task(task_id).state is State.PROCESSING
    assert bench.channel().paused_until is None
    bench.engine.files[URL] = PNG
    bench.wait(60)
    bench.look(DONE)
    assert bench.task(task_id).state is State.SUCCEEDED


def test_defect_of_an_adapter_leaves_the_task_open(bench: Bench) -> None:
    def broken(remote: Remote) -> Flow[Snapshot]:
        yield Call("GET", "/")
        raise ZeroDivisionError

    bench.a_channel(provider=replace(LUMEN, name="broken", poll=broken))
    task_id = another(bench)
    bench.wait(2)
    (seen,) = bench.look(ok())
    assert isinstance(seen.error, errors.UnexpectedReply)
    assert bench.task(task_id).state is State.PROCESSING


def test_provider_that_nothing_describes_any_more_leaves_the_task_open(
    bench: Bench,
) -> None:
    """Its file was taken away, or this worker was started without it."""
    bench.a_channel(provider=replace(LUMEN, name="declared"))
    task_id = another(bench)
    provider = bench.providers.pop("declared")
    for _ in range(poll.POISON_CLAIMS + 1):
        bench.wait(max(next_look_s(bench), 0) + 0.1)
        (seen,) = bench.look()
        assert isinstance(seen.error, errors.Unavailable)
        assert next_look_s(bench) >= UNDESCRIBED_S - 0.01
    assert bench.task(task_id).state is State.PROCESSING

    bench.providers["declared"] = provider
    bench.engine.files[URL] = PNG
    bench.wait(next_look_s(bench) + 0.1)
    bench.look(DONE)
    assert bench.task(task_id).state is State.SUCCEEDED


def test_three_not_found_in_a_row_end_the_task(bench: Bench) -> None:
    task_id = at_work(bench)
    for expected in (State.PROCESSING, State.PROCESSING, State.FAILED):
        bench.wait(60)
        bench.look(NOT_FOUND)
        assert bench.task(task_id).state is expected
    assert bench.task(task_id).error_code == "upstream_expired"


@pytest.mark.parametrize(
    "between", [ok(id="job-1", phase="running"), refused(500), refused(429)]
)
def test_look_between_breaks_the_row_of_not_found(bench: Bench, between: Reply) -> None:
    task_id = at_work(bench)
    for answer in (NOT_FOUND, NOT_FOUND, between, NOT_FOUND, NOT_FOUND):
        bench.wait(60)
        bench.look(answer)
    assert bench.task(task_id).state is State.PROCESSING


def test_looks_that_do_not_find_the_job_are_apart(bench: Bench) -> None:
    at_work(bench)
    bench.wait(1.2)
    bench.look(NOT_FOUND)
    assert next_look_s(bench) >= poll.MISSING_SPACING_S


@pytest.mark.parametrize("answer", [refused(401), refused(403), refused(402)])
def test_refused_look_pauses_the_key_and_the_task_goes_on(
    bench: Bench, answer: Reply
) -> None:
    task_id = at_work(bench)
    bench.wait(2)
    bench.look(answer)
    (key,) = bench.channel().keys
    assert key.paused_until is not None
    assert key.paused_until > bench.clock * 1000
    assert (key.pause_reason or "").startswith("refused a look: ")
    assert bench.task(task_id).state is State.PROCESSING
    assert next_look_s(bench) >= poll.REFUSED_LOOK_S
    bench.engine.files[URL] = PNG
    bench.wait(40)
    bench.look(DONE)
    assert bench.task(task_id).state is State.SUCCEEDED


def test_many_refused_looks_pause_the_key_once(bench: Bench) -> None:
    at_work(bench)
    another(bench, "job-2")
    bench.wait(2)
    bench.look(refused(401), refused(401))
    assert bench.channel().keys[0].failure_count == 1


@pytest.mark.parametrize(("status", "wanted"), [(429, 45), (503, 45)])
def test_retry_after_of_a_look_is_obeyed(
    bench: Bench, status: int, wanted: float
) -> None:
    at_work(bench)
    bench.wait(2)
    bench.look(refused(status, retry_after=str(wanted)))
    assert next_look_s(bench) == pytest.approx(wanted, abs=0.01)


def test_hint_of_the_upstream_is_obeyed(bench: Bench) -> None:
    at_work(bench)
    bench.wait(2)
    bench.look(ok(id="job-1", phase="running", after=17))
    assert next_look_s(bench) == pytest.approx(17, abs=0.01)


def test_absurd_hint_is_not_obeyed_for_hours(bench: Bench) -> None:
    at_work(bench)
    bench.wait(2)
    bench.look(refused(429, retry_after="999999"))
    assert next_look_s(bench) <= 10 * bench.settings.poll_max_s


def test_spacing_of_the_channel_is_kept(bench: Bench) -> None:
    bench.a_channel(limits={"poll_spacing_s": 7.0})
    another(bench)
    assert next_look_s(bench) == pytest.approx(7, abs=0.01)
    bench.wait(7)
    bench.look(ok(id="job-1", phase="running", after=0))
    assert next_look_s(bench) == pytest.approx(7, abs=0.01)


def test_some_outputs_may_fail_on_a_success(bench: Bench) -> None:
    def one_of_two(remote: Remote) -> Flow[Snapshot]:
        yield Call("GET", "/")
        return Snapshot(
            phase=Phase.SUCCEEDED,
            artifacts=(Artifact(url=URL),),
            failure=Failure(Reason.CONTENT_REJECTED, "1 of 2 was refused"),
            usage={"credits": 2},
        )

    bench.a_channel(provider=replace(LUMEN, name="half", poll=one_of_two))
    task_id = another(bench)
    bench.engine.files[URL] = PNG
    bench.wait(2)
    bench.look(ok())
    task = bench.task(task_id)
    assert (task.state, task.error) == (State.SUCCEEDED, "1 of 2 was refused")
    assert (len(task.results), task.usage) == (1, {"credits": 2})


def test_what_the_upstream_said_of_a_success_outlives_a_copy_that_fails_first(
    bench: Bench,
) -> None:
    def one_of_two(remote: Remote) -> Flow[Snapshot]:
        yield Call("GET", "/")
        return Snapshot(
            phase=Phase.SUCCEEDED,
            artifacts=(Artifact(url=URL),),
            failure=Failure(Reason.CONTENT_REJECTED, "1 of 2 was refused"),
            usage={"credits": 2},
        )

    bench.a_channel(provider=replace(LUMEN, name="half", poll=one_of_two))
    task_id = another(bench)
    bench.engine.files[URL] = DownloadFailed("HTTP 503")
    bench.wait(2)
    bench.look(ok())
    bench.engine.files[URL] = PNG
    look(bench)
    task = bench.task(task_id)
    assert (task.state, task.error) == (State.SUCCEEDED, "1 of 2 was refused")
    assert task.usage == {"credits": 2}


def test_copy_that_fails_is_tried_again_without_asking_the_upstream(
    bench: Bench,
) -> None:
    task_id = at_work(bench)
    bench.engine.files[URL] = DownloadFailed("HTTP 503")
    bench.wait(2)
    bench.look(DONE)
    assert bench.task(task_id).state is State.PROCESSING
    asked = len(bench.engine.calls)
    bench.engine.files[URL] = PNG
    look(bench)
    assert bench.task(task_id).state is State.SUCCEEDED
    assert len(bench.engine.calls) == asked


def test_output_that_was_copied_is_not_copied_again(bench: Bench) -> None:
    task_id = at_work(bench)
    bench.engine.files = {URL: PNG, OTHER_URL: DownloadFailed("HTTP 503")}
    bench.wait(2)
    bench.look(ok(id="job-1", phase="succeeded", urls=[URL, OTHER_URL]))
    bench.engine.files = {OTHER_URL: PNG}  # the first would be a KeyError now
    look(bench)
    assert [result.n for result in bench.task(task_id).results] == [0, 1]


def test_link_that_cannot_be_copied_for_long_is_passed_on(bench: Bench) -> None:
    task_id = at_work(bench)
    bench.engine.files[URL] = DownloadFailed("HTTP 503")
    bench.wait(2)
    bench.look(DONE)
    for _ in range(poll.COPY_TRIES):
        look(bench)
    task = bench.task(task_id)
    assert task.state is State.SUCCEEDED
    assert [(r.url, r.storage_key) for r in task.results] == [(URL, None)]
    assert "lost" not in (task.error or "")


def test_only_output_that_is_surely_gone_fails_the_task(bench: Bench) -> None:
    task_id = at_work(bench)
    bench.engine.files[URL] = DownloadFailed("HTTP 404", final=True)
    bench.wait(2)
    bench.look(DONE)
    assert end_of(bench, task_id) == (State.FAILED, "result_unavailable")
    assert bench.task(task_id).error == "HTTP 404"


def test_output_that_is_gone_does_not_take_the_others(bench: Bench) -> None:
    task_id = at_work(bench)
    bench.engine.files = {URL: PNG, OTHER_URL: DownloadFailed("HTTP 404", final=True)}
    bench.wait(2)
    bench.look(ok(id="job-1", phase="succeeded", urls=[URL, OTHER_URL]))
    task = bench.task(task_id)
    assert (task.state, [r.n for r in task.results]) == (State.SUCCEEDED, [0])
    assert task.error == "output 2 is lost: HTTP 404"


def test_output_that_is_gone_is_not_asked_for_again_while_another_is_copied(
    bench: Bench,
) -> None:
    task_id = at_work(bench)
    gone = DownloadFailed("HTTP 404", final=True)
    bench.engine.files = {URL: gone, OTHER_URL: DownloadFailed("HTTP 503")}
    bench.wait(2)
    bench.look(ok(id="job-1", phase="succeeded", urls=[URL, OTHER_URL]))
    bench.engine.files = {OTHER_URL: PNG}
    look(bench)
    task = bench.task(task_id)
    assert (task.state, task.error) == (State.SUCCEEDED, "output 1 is lost: HTTP 404")


def test_links_are_passed_on_where_the_operator_wants_that(tmp_path: Path) -> None:
    with a_bench(tmp_path, result_copy=ResultCopy.PASS) as bench:
        task_id = at_work(bench)
        bench.wait(2)
        bench.look(DONE)
        (result,) = bench.task(task_id).results
        assert (result.url, result.storage_key) == (URL, None)


def poll_many(remotes: Sequence[Remote]) -> Flow[Mapping[str, Snapshot]]:
    reply = yield Call("GET", "/jobs", params={"ids": ",".join(r.id for r in remotes)})
    jobs = errors.check(reply, CODES)
    return {job["id"]: read_job(job) for job in jobs["jobs"]}


MANY = replace(LUMEN, name="many", poll_many=poll_many, poll_many_limit=3)


def look_together(bench: Bench, *replies: Reply | errors.ProviderError) -> list[Look]:
    """Look at all that is due in one turn of a loop, as a batch does."""
    bench.script(*replies)
    claims = poll.claim(bench.rt, 10, ())

    async def all_of_them() -> list[Look]:
        return await asyncio.gather(
            *(poll.look(bench.rt, bench.many, claim, granted) for claim in claims)
        )

    looks = asyncio.run(all_of_them())
    poll.record(bench.rt, list(zip(claims, looks, strict=True)))
    return looks


def several(bench: Bench, count: int) -> list[str]:
    bench.a_channel(provider=MANY)
    made = [another(bench, f"job-{n}") for n in range(count)]
    bench.engine.calls.clear()
    bench.wait(2)
    return made


def test_what_is_due_together_is_asked_in_one_call(bench: Bench) -> None:
    made = several(bench, 3)
    jobs = [{"id": f"job-{n}", "phase": "running", "percent": n} for n in range(3)]
    look_together(bench, ok(jobs=jobs))
    assert len(bench.engine.calls) == 1
    assert [bench.task(task_id).percent for task_id in made] == [0, 1, 2]


def test_call_asks_for_no_more_ids_than_the_provider_takes(bench: Bench) -> None:
    several(bench, 7)
    look_together(bench, *[ok(jobs=[])] * 3)
    asked = [call.params["ids"].count("job") for _, call in bench.engine.calls]
    assert sorted(asked) == [1, 3, 3]


def test_id_that_is_missing_in_the_answer_was_not_found(bench: Bench) -> None:
    made = several(bench, 2)
    for _ in range(3):
        jobs = [{"id": "job-0", "phase": "running"}]
        look_together(bench, ok(jobs=jobs))
        bench.wait(60)
    assert [bench.task(task_id).error_code for task_id in made] == [
        None,
        "upstream_expired",
    ]


def test_error_of_a_common_call_is_everybodys(bench: Bench) -> None:
    made = several(bench, 3)
    looks = look_together(bench, refused(500))
    assert all(isinstance(seen.error, errors.Unavailable) for seen in looks)
    assert {bench.task(task_id).state for task_id in made} == {State.PROCESSING}


def test_channels_do_not_share_a_common_call(bench: Bench) -> None:
    several(bench, 1)
    bench.a_channel("second", provider=MANY, priority=9)
    another(bench, "job-9")
    bench.engine.calls.clear()
    bench.wait(2)
    look_together(bench, ok(jobs=[]), ok(jobs=[]))
    assert {name for name, _ in bench.engine.calls} == {"main", "second"}


def test_lost_job_is_adopted_when_it_is_found(bench: Bench) -> None:
    bench.a_channel(provider=replace(LUMEN, name="finding", find=lumen_find))
    task_id = bench.a_task()
    bench.submit(errors.AnswerLost("timeout"))
    bench.wait(10)
    bench.look(ok(id="job-7", phase="running", percent=30))
    (submission,) = bench.submissions(task_id)
    assert (submission.state, submission.remote_id) == ("accepted", "job-7")
    assert bench.task(task_id).percent == 30
    bench.wait(60)
    bench.look(ok(id="job-7", phase="failed"))
    assert bench.engine.calls[-1][1].url == "/jobs/job-7"


def test_lost_job_that_is_found_finished_finishes_the_task(bench: Bench) -> None:
    bench.a_channel(provider=replace(LUMEN, name="finding", find=lumen_find))
    task_id = bench.a_task()
    bench.submit(errors.AnswerLost("timeout"))
    bench.engine.files[URL] = PNG
    bench.wait(10)
    bench.look(DONE)
    assert bench.task(task_id).state is State.SUCCEEDED


def test_search_that_fails_is_no_proof_of_absence(bench: Bench) -> None:
    bench.a_channel(provider=replace(LUMEN, name="finding", find=lumen_find))
    task_id = bench.a_task()
    bench.submit(errors.AnswerLost("timeout"))
    for answer in (NOT_FOUND, refused(500), refused(401), NOT_FOUND, NOT_FOUND):
        bench.wait(60)
        bench.look(answer)
    assert bench.task(task_id).state is State.PROCESSING
    assert bench.submissions(task_id)[0].state is SubmissionState.UNKNOWN


def test_upstream_that_nothing_can_be_learned_of_is_not_asked(bench: Bench) -> None:
    bench.a_channel()
    task_id = bench.a_task()
    bench.submit(errors.AnswerLost("timeout"))
    asked = len(bench.engine.calls)
    bench.wait(700)
    bench.look()
    assert len(bench.engine.calls) == asked
    assert end_of(bench, task_id) == (State.FAILED, "upstream_outcome_unknown")


def test_submission_that_five_workers_looked_at_and_lost_is_poison(
    bench: Bench,
) -> None:
    task_id = at_work(bench)
    bench.wait(2)
    for _ in range(4):
        assert poll.claim(bench.rt, 10, ())  # and dies
        bench.wait(bench.settings.lease_s + 1)
    assert poll.claim(bench.rt, 10, ()) == []
    assert end_of(bench, task_id) == (State.FAILED, "poison")


def test_look_with_an_outcome_is_no_step_towards_poison(bench: Bench) -> None:
    task_id = at_work(bench)
    for _ in range(7):
        bench.wait(60)
        bench.look(refused(500))
    assert bench.task(task_id).state is State.PROCESSING


def test_worker_that_lost_its_lease_records_nothing(bench: Bench) -> None:
    task_id = at_work(bench)
    bench.wait(2)
    (old,) = poll.claim(bench.rt, 10, ())
    bench.wait(bench.settings.lease_s + 1)
    bench.look(ok(id="job-1", phase="running", percent=40))
    before = bench.row("SELECT * FROM submissions")
    failed = Snapshot(phase=Phase.FAILED)
    for seen in (
        Look(failed),
        Look(Snapshot(phase=Phase.CANCELLED)),
        Look(Snapshot(phase=Phase.SUCCEEDED)),
        Look(error=errors.NotFound("gone")),
        Look(absent=True),
        Look(called_off=True),
    ):
        poll.record(bench.rt, [(old, seen)])
        assert bench.row("SELECT * FROM submissions") == before
        assert bench.task(task_id).state is State.PROCESSING


def test_task_that_ended_meanwhile_stays_as_it_ended(bench: Bench) -> None:
    task_id = at_work(bench)
    bench.wait(2)
    bench.look(ok(id="job-1", phase="failed"))
    before = bench.task(task_id)
    with bench.rt.transaction() as tx:
        tx.exec_driver_sql("UPDATE submissions SET state = 'accepted', due_at = 1")
    bench.engine.files[URL] = PNG
    bench.look(DONE)
    assert bench.task(task_id) == before


def test_end_rings_for_its_callback(bench: Bench) -> None:
    at_work(bench)
    bench.rung.clear()
    look(bench, ok(id="job-1", phase="running"))
    assert Bell.DELIVER not in bench.rung
    look(bench, ok(id="job-1", phase="failed"))
    assert Bell.DELIVER in bench.rung


def test_many_looks_are_recorded_in_one_transaction(bench: Bench) -> None:
    bench.a_channel()
    for n in range(3):
        another(bench, f"job-{n}")
    bench.wait(2)
    claims = poll.claim(bench.rt, 10, ())
    begun = []
    transaction = bench.rt.base.database.transaction
    bench.rt.base.database.transaction = (  # type: ignore[method-assign]
        lambda: begun.append(1) or transaction()  # type: ignore[func-returns-value]
    )
    running = Look(Snapshot(phase=Phase.RUNNING))
    poll.record(bench.rt, [(claim, running) for claim in claims])
    assert len(begun) == 1


def test_look_needs_no_database(bench: Bench) -> None:
    """It runs in the loop that carries every call of the process."""
    task_id = at_work(bench)
    bench.wait(2)
    (claimed,) = poll.claim(bench.rt, 10, ())
    bench.rt.forget_channels()
    bench.script(ok(id="job-1", phase="running"))

    def away() -> Any:
        raise AssertionError("the store was asked during a look")

    reading = bench.rt.base.database.reading
    bench.rt.base.database.reading = away  # type: ignore[method-assign]
    try:
        seen = asyncio.run(poll.look(bench.rt, bench.many, claimed, granted))
    finally:
        bench.rt.base.database.reading = reading  # type: ignore[method-assign]
    assert seen.snapshot is not None
    assert bench.task(task_id).state is State.PROCESSING


def test_jobs_of_two_accounts_are_not_asked_with_one_key(bench: Bench) -> None:
    bench.a_channel(provider=MANY, secrets=("one", "two"))
    made = [another(bench, f"job-{n}") for n in range(2)]
    keys = {submission.key_id for t in made for submission in bench.submissions(t)}
    if len(keys) == 1:  # the load may be a second old
        with bench.rt.transaction() as tx:
            tx.exec_driver_sql(
                "UPDATE submissions SET key_id = (SELECT max(id) FROM channel_keys)"
                " WHERE remote_id = 'job-0'"
            )
            tx.exec_driver_sql(
                "UPDATE submissions SET key_id = (SELECT min(id) FROM channel_keys)"
                " WHERE remote_id = 'job-1'"
            )
    bench.engine.calls.clear()
    bench.wait(2)
    look_together(bench, ok(jobs=[]), ok(jobs=[]))
    assert [call.params["ids"] for _, call in bench.engine.calls] in (
        ["job-0", "job-1"],
        ["job-1", "job-0"],
    )
