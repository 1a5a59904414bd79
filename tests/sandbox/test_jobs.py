import math
import random
from dataclasses import dataclass
from typing import Any

import pytest

from sandbox.jobs import (
    Behaviour,
    CallKind,
    Durations,
    Failure,
    Job,
    JobPhase,
    Jobs,
    Ledger,
    MediaType,
    PaidSubmit,
    Turns,
    Upstream,
    parse_durations,
)
from sandbox.scripts import UNKNOWN_STATUS, parse_script

NOW = 1_780_000_000.0
WORDS = {phase: phase.value for phase in JobPhase}


@dataclass
class FakeRequest:
    """The part of a request that tells how the client called the server."""

    scheme: str = "http"
    host: str = "sandbox.test:9100"


def a_job(tags: str = "", **changes: Any) -> Job:
    """A job of ten seconds that runs after one."""
    given: dict[str, Any] = {
        "id": "job-1",
        "model": "m",
        "prompt": "a lighthouse",
        "media_type": MediaType.IMAGE,
        "script": parse_script(tags),
        "created_at": NOW,
        "starts_at": NOW + 1,
        "ends_at": NOW + 11,
    }
    return Job(**{**given, **changes})


def a_submit(**changes: Any) -> PaidSubmit:
    given: dict[str, Any] = {
        "provider": "tiny",
        "job_id": "job-1",
        "model": "m",
        "prompt": "a lighthouse",
        "reference": None,
        "at": NOW,
        "key": "-key",
    }
    return PaidSubmit(**{**given, **changes})


def an_upstream(**changes: Any) -> Upstream:
    return Upstream(**{"name": "tiny", "clock": lambda: NOW, **changes})


def accept(upstream: Upstream, prompt: str = "a lighthouse", **changes: Any) -> Job:
    given: dict[str, Any] = {"prompt": prompt, "media_type": MediaType.VIDEO}
    request: Any = FakeRequest()
    return upstream.accept(request, "job-1", **{**given, **changes})


def test_job_is_queued_then_runs_then_succeeds() -> None:
    job = a_job()
    assert [job.phase(NOW + s) for s in (0, 0.9, 1, 10.9, 11, 99)] == [
        JobPhase.QUEUED,
        JobPhase.QUEUED,
        JobPhase.RUNNING,
        JobPhase.RUNNING,
        JobPhase.SUCCEEDED,
        JobPhase.SUCCEEDED,
    ]


def test_percent_grows_with_time_and_is_100_only_at_success() -> None:
    job = a_job()
    assert [job.percent(NOW + s) for s in (0, 1, 6, 10.99, 11)] == [0, 0, 50, 99, 100]


@pytest.mark.parametrize(
    ("tag", "failure"),
    [
        ("[fail]", Failure.ERROR),
        ("[blocked]", Failure.BLOCKED),
        ("[blocked late]", Failure.BLOCKED),
    ],
)
def test_failing_job_fails_when_it_ends(tag: str, failure: Failure) -> None:
    job = a_job(tag)
    assert job.phase(NOW + 5) is JobPhase.RUNNING
    assert job.phase(NOW + 11) is JobPhase.FAILED
    assert job.failure is failure
    assert job.percent(NOW + 11) == 99


def test_cancelled_job_stays_cancelled_with_its_progress() -> None:
    job = a_job()
    assert job.cancel(NOW + 6)
    assert job.phase(NOW + 99) is JobPhase.CANCELLED
    assert job.percent(NOW + 99) == 50


def test_job_that_is_over_cannot_be_cancelled() -> None:
    job = a_job()
    assert not job.cancel(NOW + 11)
    assert job.phase(NOW + 12) is JobPhase.SUCCEEDED


def test_partial_spoils_only_the_last_of_several_outputs() -> None:
    several = a_job("[partial]", count=3)
    assert [several.output_fails(i) for i in range(3)] == [False, False, True]
    assert not a_job("[partial]", count=1).output_fails(0)
    assert not a_job(count=3).output_fails(2)


def test_oldest_job_makes_room_when_there_are_too_many() -> None:
    jobs = Jobs(most=2)
    for number in range(3):
        jobs.add(a_job(id=f"job-{number}"))
    assert [job.id for job in jobs] == ["job-2", "job-1"]
    assert jobs.find("job-0") is None


def test_job_past_its_age_is_dropped_with_the_next_one() -> None:
    jobs = Jobs(most_age_s=60)
    jobs.add(a_job(id="old", created_at=NOW, reference="r"))
    jobs.add(a_job(id="new", created_at=NOW + 61))
    assert jobs.find("old") is None
    assert jobs.find_by_reference("r") is None
    assert len(jobs) == 1


def test_reference_finds_the_newest_job_with_it() -> None:
    jobs = Jobs(most=2)
    jobs.add(a_job(id="first", reference="r"))
    jobs.add(a_job(id="second", reference="r"))
    jobs.add(a_job(id="third"))
    found = jobs.find_by_reference("r")
    assert found is not None
    assert found.id == "second"
    jobs.delete("second")
    assert jobs.find_by_reference("r") is None


def test_ledger_filters_by_provider_and_by_prompt() -> None:
    ledger = Ledger()
    ledger.add(a_submit(job_id="1"))
    ledger.add(a_submit(job_id="2", prompt="a harbour"))
    ledger.add(a_submit(job_id="3", provider="other"))
    assert [s.job_id for s in ledger.submits()] == ["1", "2", "3"]
    assert [s.job_id for s in ledger.submits("tiny")] == ["1", "2"]
    assert [s.job_id for s in ledger.submits("tiny", "harbour")] == ["2"]


def test_ledger_counts_calls_by_provider_and_kind() -> None:
    ledger = Ledger()
    for kind in (CallKind.POLL, CallKind.POLL, CallKind.SUBMIT):
        ledger.count("tiny", kind)
    ledger.count("other", CallKind.POLL)
    assert ledger.calls("tiny") == 3
    assert ledger.calls("tiny", CallKind.POLL) == 2
    assert ledger.calls_of("tiny") == {"poll": 2, "submit": 1}


def test_ledger_keeps_the_newest_submits() -> None:
    ledger = Ledger(most=2)
    for number in range(3):
        ledger.add(a_submit(job_id=str(number)))
    assert [s.job_id for s in ledger.submits()] == ["1", "2"]


def test_log_normal_durations_have_the_median_asked_for() -> None:
    chance = random.Random(1)
    durations = parse_durations("lognormal:12,0.5")
    drawn = sorted(durations.draw(MediaType.VIDEO, chance) for _ in range(2001))
    assert drawn[1000] == pytest.approx(12, rel=0.1)
    assert drawn[round(2000 * 0.841)] == pytest.approx(12 * math.exp(0.5), rel=0.1)


def test_fixed_durations_are_the_same_for_every_media_type() -> None:
    durations = parse_durations("fixed:0.2")
    assert {durations.draw(kind, random.Random()) for kind in MediaType} == {0.2}


@pytest.mark.parametrize(
    "text", ["", "12", "fixed:", "fixed:x", "fixed:-1", "fixed:nan", "lognormal:12"]
)
def test_unreadable_durations_are_refused_with_the_spelling(text: str) -> None:
    with pytest.raises(ValueError, match="lognormal:<median seconds>,<sigma>"):
        parse_durations(text)


def test_turn_is_given_as_often_as_asked_and_per_key() -> None:
    turns = Turns()
    assert [turns.take(2, "a") for _ in range(3)] == [True, True, False]
    assert turns.take(2, "b")
    assert all(turns.take(None, "a") for _ in range(5))


def test_turns_forget_the_oldest_key_when_there_are_too_many() -> None:
    turns = Turns(most=1)
    turns.take(1, "a")
    turns.take(1, "b")
    assert not turns.take(1, "b")
    assert turns.take(1, "a")


def test_accepted_job_is_remembered_and_written_into_the_ledger() -> None:
    upstream = an_upstream()
    job = accept(upstream, model="m-1", reference="task_7", secret="sk-12345678")
    assert upstream.jobs.find("job-1") is job
    assert upstream.ledger.submits() == [
        a_submit(model="m-1", reference="task_7", key="5678")
    ]


def test_job_takes_what_its_tag_says_before_all_else() -> None:
    upstream = an_upstream(default_durations=Durations(video_s=7))
    assert accept(upstream).ends_at == NOW + 7
    assert accept(upstream, duration_s=9).ends_at == NOW + 9
    assert accept(upstream, "[slow 2s]", duration_s=9).ends_at == NOW + 2


def test_stuck_job_never_ends() -> None:
    job = accept(an_upstream(), "[stuck]")
    assert job.phase(NOW + 1e9) is JobPhase.RUNNING
    assert job.percent(NOW + 1e9) == 50


def test_base_url_is_the_one_the_client_called() -> None:
    assert accept(an_upstream()).base_url == "http://sandbox.test:9100/tiny"


def test_behaviour_applies_whatever_the_prompt_says() -> None:
    upstream = an_upstream()
    upstream.set_behaviour(Behaviour(submit="slow 4s, fail", durations="fixed:6"))
    assert accept(upstream, "[429 once] x").ends_at == NOW + 4
    assert upstream.script("[stuck]").fails
    assert upstream.script("[stuck]").stuck
    assert upstream.durations.image_s == 6
    upstream.set_behaviour(Behaviour())
    assert not upstream.script("x").fails
    assert upstream.durations == Durations()


@pytest.mark.parametrize(
    "wrong", [{"submit": "hangs"}, {"poll": "slowly"}, {"durations": "long"}]
)
def test_behaviour_that_nobody_knows_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong.values()))):
        Behaviour(**wrong)


def test_unknown_status_is_said_as_often_as_asked() -> None:
    upstream = an_upstream()
    job = accept(upstream, "[unknown status twice]")
    said = [upstream.status_word(job, WORDS) for _ in range(3)]
    assert said == [UNKNOWN_STATUS, UNKNOWN_STATUS, "queued"]


def test_cancelled_job_says_so_even_when_its_status_is_unknown() -> None:
    upstream = an_upstream()
    job = accept(upstream, "[unknown status]")
    job.cancel(NOW)
    assert upstream.status_word(job, WORDS) == "cancelled"


def test_forgetting_drops_jobs_turns_and_behaviour_but_not_the_keys() -> None:
    upstream = an_upstream()
    keys = upstream.keys
    accept(upstream)
    upstream.turns.take(1, "a")
    upstream.set_behaviour(Behaviour(down=True))
    upstream.forget()
    assert len(upstream.jobs) == 0
    assert upstream.turns.take(1, "a")
    assert upstream.behaviour == Behaviour()
    assert upstream.keys is keys
