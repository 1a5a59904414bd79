"""Suno over the "Suno-API" protocol."""

from __future__ import annotations

from typing import Any

import pytest

from providers import errors, suno
from providers.flow import Call
from providers.types import (
    Artifact,
    Callback,
    GenerationRequest,
    MediaType,
    Phase,
    Reason,
    Remote,
)
from tests.builders import a_request
from tests.fakes import answer, calls_of, play, raw, recorded

TASK = "task_4f1be7a09c2d4e6f8a1b3c5d7e9f0a2b"
REMOTE = Remote(TASK)
HOOK = "https://gateway.example/upstream/1/token"
SUBMITTED = recorded("suno/submitted")


def a_song(**fields: Any) -> GenerationRequest:
    return a_request(
        **{
            "model": "suno_music",
            "media_type": MediaType.AUDIO,
            "prompt": "a shanty about rust",
            **fields,
        }
    )


def lyrics_request(**fields: Any) -> GenerationRequest:
    return a_song(**{"model": "suno_lyrics", **fields})


def sent(request: GenerationRequest) -> Call:
    """The one call of a submit."""
    (call,) = calls_of(suno.submit(request), SUBMITTED)
    return call


def looked_at(reply_name: str) -> Any:
    return play(suno.poll(REMOTE), recorded(f"suno/{reply_name}"))


# submit


def test_song_is_one_paid_post_and_gives_the_bare_id():
    flow = suno.submit(a_song())
    assert sent(a_song()) == Call(
        "POST",
        "/suno/submit/MUSIC",
        json={
            "gpt_description_prompt": "a shanty about rust",
            "make_instrumental": False,
        },
        paid=True,
    )
    snapshot = play(flow, SUBMITTED)
    assert (snapshot.phase, snapshot.remote) == (Phase.PENDING, REMOTE)


def test_lyrics_are_one_paid_post_of_the_prompt():
    assert sent(lyrics_request()) == Call(
        "POST",
        "/suno/submit/LYRICS",
        json={"prompt": "a shanty about rust"},
        paid=True,
    )


@pytest.mark.parametrize(
    ("model", "action", "path"),
    [
        ("suno_music", "generate", "/suno/submit/MUSIC"),
        ("suno_music", "MUSIC", "/suno/submit/MUSIC"),
        ("chirp-crow", "generate", "/suno/submit/MUSIC"),
        ("suno_lyrics", "generate", "/suno/submit/LYRICS"),
        ("suno_lyrics", "LYRICS", "/suno/submit/LYRICS"),
        ("suno_lyrics", "lyrics", "/suno/submit/LYRICS"),
    ],
)
def test_action_is_as_asked_or_what_the_model_makes(model: str, action: str, path: str):
    assert sent(a_song(model=model, action=action)).url == path


def test_unknown_action_is_rejected_before_anything_is_sent():
    with pytest.raises(errors.Rejected, match="MUSIC, LYRICS"):
        play(suno.submit(a_song(action="CONCAT")))


WORDS = "[Verse]\nRust on the railings"
CUSTOM = {"make_instrumental": False}


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        (
            {"lyrics": WORDS, "tags": "shanty", "title": "Rust"},
            {"prompt": WORDS, "tags": "shanty", "title": "Rust", **CUSTOM},
        ),
        (
            {"prompt": WORDS, "tags": "shanty"},
            {"prompt": WORDS, "tags": "shanty", **CUSTOM},
        ),
        (
            {"prompt": WORDS, "title": "Rust"},
            {"prompt": WORDS, "title": "Rust", **CUSTOM},
        ),
        (
            {"prompt": None, "input": WORDS, "style": "shanty"},
            {"prompt": WORDS, "tags": "shanty", **CUSTOM},
        ),
        (
            {"prompt": WORDS, "tags": "shanty", "style": "slow"},
            {"prompt": WORDS, "tags": "shanty, slow", **CUSTOM},
        ),
        (  # the prompt has no other place beside words of one's own
            {"prompt": "slow and sad", "lyrics": WORDS},
            {"prompt": WORDS, "tags": "slow and sad", **CUSTOM},
        ),
        ({"prompt": WORDS, "lyrics": WORDS}, {"prompt": WORDS, **CUSTOM}),
        (
            {"prompt": WORDS, "metadata": {"tags": ["shanty", "slow"]}},
            {"prompt": WORDS, "tags": "shanty, slow", **CUSTOM},
        ),
        (
            {"metadata": {"prompt": WORDS, "title": "Rust", "tags": "shanty"}},
            {"prompt": WORDS, "title": "Rust", "tags": "shanty", **CUSTOM},
        ),
        (
            {"tags": "shanty", "metadata": {"gpt_description_prompt": "a calm sea"}},
            {"gpt_description_prompt": "a calm sea", **CUSTOM},
        ),
        (
            {"prompt": None, "input": "a calm sea"},
            {"gpt_description_prompt": "a calm sea", **CUSTOM},
        ),
        (
            {
                "prompt": WORDS,
                "metadata": {
                    "continue_clip_id": "clip-1",
                    "continue_at": 92.5,
                    "task_id": "task_1",
                },
            },
            {
                "prompt": WORDS,
                "continue_clip_id": "clip-1",
                "continue_at": 92.5,
                "task_id": "task_1",
                **CUSTOM,
            },
        ),
        (
            {"metadata": {"negative_tags": "drums"}},
            {
                "gpt_description_prompt": "a shanty about rust",
                "negative_tags": "drums",
                **CUSTOM,
            },
        ),
    ],
)
def test_unified_fields_become_the_upstreams(
    fields: dict[str, Any], body: dict[str, Any]
):
    assert sent(a_song(**fields)).json == body


@pytest.mark.parametrize("name", ["make_instrumental", "instrumental"])
def test_instrumental_has_two_spellings(name: str):
    assert sent(a_song(metadata={name: True})).json == {
        "gpt_description_prompt": "a shanty about rust",
        "make_instrumental": True,
    }


def test_instrumental_that_is_no_truth_value_is_rejected():
    with pytest.raises(errors.Rejected, match="make_instrumental"):
        play(suno.submit(a_song(metadata={"make_instrumental": "yes"})))


@pytest.mark.parametrize(
    ("model", "metadata", "version"),
    [
        ("suno_music", {}, None),
        ("suno_music", {"mv": "chirp-auk"}, "chirp-auk"),
        ("suno_music", {"mv": "chirp-next"}, "chirp-next"),
        ("chirp-crow", {}, "chirp-crow"),
        ("chirp-crow", {"mv": "chirp-auk"}, "chirp-crow"),
    ],
)
def test_version_is_the_model_itself_or_what_the_client_says(
    model: str, metadata: dict[str, Any], version: str | None
):
    assert sent(a_song(model=model, metadata=metadata)).json.get("mv") == version


@pytest.mark.parametrize("model", ["suno_music", "suno_lyrics"])
def test_only_the_gateways_own_address_is_called_back(model: str):
    metadata = {"notify_hook": "https://elsewhere.example/"}
    request = a_song(model=model, metadata=metadata, callback_url=HOOK)
    assert sent(request).json["notify_hook"] == HOOK
    assert "notify_hook" not in sent(a_song(model=model, metadata=metadata)).json


def test_metadata_of_lyrics_is_passed_on():
    request = lyrics_request(metadata={"language": "en"})
    assert sent(request).json == {"prompt": request.prompt, "language": "en"}


@pytest.mark.parametrize("data", [None, "", [], {"task_id": "x"}, 7])
def test_acceptance_without_an_id_is_unexpected(data: Any):
    with pytest.raises(errors.UnexpectedReply):
        play(suno.submit(a_song()), answer({"code": "success", "data": data}))


def test_acceptance_that_is_no_json_is_unexpected():
    with pytest.raises(errors.UnexpectedReply):
        play(suno.submit(a_song()), raw(b"<html>", "text/html"))


@pytest.mark.parametrize(
    ("reply", "status", "expected"),
    [
        ("error_invalid_action", 400, errors.Rejected),
        ("error_prompt", 400, errors.Rejected),
        ("error_task_id", 400, errors.Rejected),
        ("error_404", 404, errors.Rejected),
        ("error_token", 401, errors.KeyRefused),
        ("gate", 401, errors.KeyRefused),
        ("error_402", 402, errors.QuotaExhausted),
        ("error_quota", 403, errors.QuotaExhausted),
        ("error_403", 403, errors.RateLimited),
        ("gate", 403, errors.ChannelRefused),
        ("gate_wrong_path", 404, errors.ChannelRefused),
        ("error_429", 429, errors.RateLimited),
        ("error_saturated", 429, errors.RateLimited),
        ("gate", 429, errors.RateLimited),
        ("gate", 503, errors.RateLimited),
        ("gate_no_model", 503, errors.ModelRefused),
        ("error_internal", 500, errors.Unavailable),
        ("error_502", 502, errors.Unavailable),
        ("error_chained", 503, errors.Unavailable),
        ("error_chained", 504, errors.Unavailable),
        ("error_reseller", 200, errors.Rejected),
        ("error_reseller", 400, errors.Rejected),
        ("error_quota", 200, errors.QuotaExhausted),
    ],
)
def test_refused_submit_is_classed_by_status_and_code(
    reply: str, status: int, expected: type[errors.ProviderError]
):
    with pytest.raises(errors.ProviderError) as caught:
        play(suno.submit(a_song()), recorded(f"suno/{reply}", status=status))
    assert type(caught.value) is expected


def test_refusal_tells_the_upstreams_words():
    with pytest.raises(errors.Rejected, match="this cannot be made") as caught:
        play(suno.submit(a_song()), recorded("suno/error_reseller"))
    assert (caught.value.code, caught.value.status) == ("error", 200)


def test_page_of_a_proxy_says_nothing_of_the_submit():
    with pytest.raises(errors.Unavailable):
        play(suno.submit(a_song()), raw(b"<html>", "text/html", 502))


# poll


def test_one_job_is_looked_at_by_the_batch_call():
    (call,) = calls_of(suno.poll(REMOTE), recorded("suno/success"))
    assert call == Call("POST", "/suno/fetch", json={"ids": [TASK]})


@pytest.mark.parametrize(
    ("reply", "phase", "percent"),
    [
        ("not_start", Phase.PENDING, 0),
        ("queued", Phase.PENDING, 0),
        ("submitted_status", Phase.PENDING, 0),
        ("in_progress", Phase.RUNNING, 35),
        ("in_progress_original", Phase.RUNNING, None),
        ("lyrics_running", Phase.RUNNING, 50),
    ],
)
def test_unfinished_job_has_no_artifact_although_it_streams(
    reply: str, phase: Phase, percent: int | None
):
    snapshot = looked_at(reply)
    assert (snapshot.phase, snapshot.percent) == (phase, percent)
    assert (snapshot.remote, snapshot.artifacts) == (REMOTE, ())


@pytest.mark.parametrize(
    ("word", "phase"),
    [
        ("", Phase.PENDING),
        ("NOT_START", Phase.PENDING),
        ("SUBMITTED", Phase.PENDING),
        ("QUEUED", Phase.PENDING),
        ("IN_PROGRESS", Phase.RUNNING),
        ("FAILURE", Phase.FAILED),
        ("FAIL", Phase.FAILED),
        ("UNKNOWN", Phase.FAILED),
    ],
)
def test_each_status_word_has_its_phase(word: str, phase: Phase):
    task = {"task_id": TASK, "status": word, "fail_reason": "", "data": None}
    snapshot = play(suno.poll(REMOTE), answer({"code": "success", "data": [task]}))
    assert snapshot.phase is phase


def test_undocumented_status_word_is_unexpected():
    task = {"task_id": TASK, "status": "MELTING", "data": []}
    with pytest.raises(errors.UnexpectedReply, match="MELTING"):
        play(suno.poll(REMOTE), answer({"code": "success", "data": [task]}))


def test_success_gives_both_songs():
    snapshot = looked_at("success")
    assert (snapshot.phase, snapshot.failure) == (Phase.SUCCEEDED, None)
    assert snapshot.artifacts[0] == Artifact(
        url="https://cdn1.suno.ai/b3d0c51e-77aa-4c11-9d52-0c4e8fa1d910.mp3",
        content_type="audio/mpeg",
        title="Tin Harbour",
        duration_s=131.8,
    )
    assert [song.duration_s for song in snapshot.artifacts] == [131.8, 140]


def test_success_that_only_streams_is_looked_at_again():
    with pytest.raises(errors.UnexpectedReply):
        looked_at("success_streaming_only")


def test_lyrics_are_a_text_with_a_title_and_no_url():
    snapshot = looked_at("lyrics_success")
    assert snapshot.phase is Phase.SUCCEEDED
    assert snapshot.artifacts == (
        Artifact(
            text="[Verse]\nRust on the railings\n[Chorus]\nRow", title="Tin Harbour"
        ),
    )


@pytest.mark.parametrize(
    ("reply", "reason", "message", "code"),
    [
        (
            "failure_moderation",
            Reason.CONTENT_REJECTED,
            "The words were refused",
            "moderation_failure",
        ),
        ("failure_timeout", Reason.UPSTREAM_TIMEOUT, "time out", "FAILURE"),
        (
            "failure_without_reason",
            Reason.UPSTREAM_FAILED,
            "the upstream gave no reason",
            "FAILURE",
        ),
        ("lyrics_failure", Reason.UPSTREAM_FAILED, "No text came", "FAILURE"),
    ],
)
def test_failed_job_says_why(reply: str, reason: Reason, message: str, code: str):
    snapshot = looked_at(reply)
    assert (snapshot.phase, snapshot.artifacts) == (Phase.FAILED, ())
    assert snapshot.failure is not None
    assert snapshot.failure.reason is reason
    assert (snapshot.failure.message, snapshot.failure.code) == (message, code)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("Your prompt names an artist", Reason.CONTENT_REJECTED),
        ("Uploaded words are under copyright", Reason.CONTENT_REJECTED),
        ("Lyrics rejected by content check", Reason.CONTENT_REJECTED),
        ("Sensitive words", Reason.CONTENT_REJECTED),
        ("the request timed out", Reason.UPSTREAM_TIMEOUT),
        ("the GPU caught fire", Reason.UPSTREAM_FAILED),
    ],
)
def test_reason_is_read_from_a_clips_words_when_the_task_has_none(
    message: str, reason: Reason
):
    clip = {
        "status": "error",
        "audio_url": "",
        "metadata": {"error_type": None, "error_message": message},
    }
    task = {"task_id": TASK, "status": "FAILURE", "fail_reason": "", "data": [clip]}
    snapshot = play(suno.poll(REMOTE), answer({"code": "success", "data": [task]}))
    assert snapshot.failure is not None
    assert (snapshot.failure.reason, snapshot.failure.message) == (reason, message)


def test_one_good_song_of_a_failed_task_is_kept():
    snapshot = looked_at("failure_one_clip_complete")
    assert snapshot.phase is Phase.SUCCEEDED
    assert [song.duration_s for song in snapshot.artifacts] == [99.5]
    assert snapshot.failure is not None
    assert snapshot.failure.message == "Track one broke off"


@pytest.mark.parametrize("reply", ["none", "none_null"])
def test_unknown_job_is_silently_absent(reply: str):
    with pytest.raises(errors.NotFound):
        looked_at(reply)


@pytest.mark.parametrize(
    ("reply", "status", "expected"),
    [
        ("error_token", 401, errors.KeyRefused),
        ("gate", 401, errors.KeyRefused),
        ("error_429", 429, errors.RateLimited),
        ("error_internal", 500, errors.Unavailable),
        ("error_502", 502, errors.Unavailable),
        ("gate_wrong_path", 404, errors.Unavailable),
        ("error_task_not_exist", 400, errors.NotFound),
    ],
)
def test_failed_look_is_classed_and_a_404_is_no_missing_job(
    reply: str, status: int, expected: type[errors.ProviderError]
):
    with pytest.raises(errors.ProviderError) as caught:
        play(suno.poll(REMOTE), recorded(f"suno/{reply}", status=status))
    assert type(caught.value) is expected


@pytest.mark.parametrize(
    "body",
    [
        {"code": "success"},
        {"code": "success", "data": "text"},
        {"code": "success", "data": [{"status": "SUCCESS"}]},
        {"code": "success", "data": [{"task_id": TASK}]},
        {"code": "success", "data": [{"task_id": TASK, "status": None}]},
        [],
        None,
    ],
)
def test_misshapen_answer_is_unexpected(body: Any):
    with pytest.raises(errors.UnexpectedReply):
        play(suno.poll(REMOTE), answer(body))


def test_many_jobs_are_one_call_and_come_back_by_id():
    remotes = [Remote("task_a"), Remote("task_b"), Remote("task_gone")]
    flow = suno.poll_many(remotes)
    (call,) = calls_of(suno.poll_many(remotes), recorded("suno/batch"))
    assert call.json == {"ids": ["task_a", "task_b", "task_gone"]}
    snapshots = play(flow, recorded("suno/batch"))
    assert {name: found.phase for name, found in snapshots.items()} == {
        "task_a": Phase.SUCCEEDED,
        "task_b": Phase.RUNNING,
    }


def test_unreadable_job_does_not_spoil_the_look_at_the_others():
    remotes = [Remote("task_a"), Remote("task_c")]
    snapshots = play(suno.poll_many(remotes), recorded("suno/batch"))
    assert snapshots["task_a"].phase is Phase.SUCCEEDED
    assert snapshots["task_c"].phase is Phase.RUNNING


# callbacks, key, models


@pytest.mark.parametrize("name", ["bare", "wrapped", "list"])
def test_callback_names_its_job_however_it_is_wrapped(name: str):
    body = recorded(f"suno/callback_{name}").content
    heard = suno.receive(Callback({}, body), "suno_music")
    assert (heard.ids, heard.remote, heard.signed) == ((TASK,), REMOTE, None)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"data":[]}', b'{"data":{}}'])
def test_callback_without_a_job_is_unexpected(body: bytes):
    with pytest.raises(errors.UnexpectedReply):
        suno.receive(Callback({}, body), "suno_music")


def test_key_is_proved_by_asking_for_nothing():
    (call,) = calls_of(suno.test(), recorded("suno/none"))
    assert (call.json, call.paid) == ({"ids": []}, False)
    with pytest.raises(errors.KeyRefused):
        play(suno.test(), recorded("suno/error_token", status=401))


@pytest.mark.parametrize(
    ("name", "most"), [("suno_music", None), ("chirp-v4", 3000), ("chirp-crow", 5000)]
)
def test_models_have_the_documented_limits(name: str, most: int | None):
    model = suno.describe(name)
    assert model is not None
    assert (model.name, model.max_prompt) == (name, most)


def test_versions_are_an_open_catalogue():
    model = suno.describe("chirp-next")
    assert model is not None
    assert (model.name, model.max_prompt) == ("chirp-next", None)
    assert suno.describe("bark") is None


def test_fields_without_a_place_are_refused_at_intake():
    assert {"negative_prompt", "voice", "duration", "seed"} <= suno.MUSIC.refuses
    assert {"lyrics", "tags", "title", "duration"} <= suno.LYRICS.refuses
