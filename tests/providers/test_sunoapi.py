"""Suno at sunoapi.org and kie.ai."""

from __future__ import annotations

from typing import Any

import pytest

from providers import errors, sunoapi
from providers.flow import Call
from providers.types import (
    Artifact,
    Callback,
    GenerationRequest,
    MediaType,
    Phase,
    Provider,
    Reason,
    Remote,
)
from tests.builders import a_request
from tests.fakes import answer, calls_of, play, raw, recorded

TASK = "a81c55e07f3b4d2c9e6a0b1d4f7c8e21"
SONG = Remote(TASK, {"kind": "MUSIC"})
TEXT = Remote(TASK, {"kind": "LYRICS"})
HOOK = "https://gateway.example/upstream/1/token"
SUBMITTED = recorded("sunoapi/submitted")
WORDS = "[Verse]\nRust on the railings"
BOTH = [sunoapi.PROVIDER, sunoapi.KIE]


def a_song(**fields: Any) -> GenerationRequest:
    return a_request(
        **{
            "model": "suno_music",
            "media_type": MediaType.AUDIO,
            "prompt": "a shanty about rust",
            "callback_url": HOOK,
            **fields,
        }
    )


def sent(request: GenerationRequest) -> Call:
    """The one call of a submit."""
    (call,) = calls_of(sunoapi.submit(request), SUBMITTED)
    return call


def look(remote: Remote, reply_name: str) -> Any:
    return play(sunoapi.poll(remote), recorded(f"sunoapi/{reply_name}"))


# submit


def test_song_is_one_paid_post_and_remembers_its_kind():
    call = sent(a_song())
    assert (call.method, call.url, call.paid) == ("POST", "/api/v1/generate", True)
    assert call.json == {
        "customMode": False,
        "instrumental": False,
        "model": "V5",
        "callBackUrl": HOOK,
        "prompt": "a shanty about rust",
    }
    snapshot = play(sunoapi.submit(a_song()), SUBMITTED)
    assert (snapshot.phase, snapshot.remote) == (Phase.PENDING, SONG)


def test_lyrics_are_one_paid_post_and_remember_their_kind():
    request = a_song(model="suno_lyrics", metadata={"language": "en"})
    call = sent(request)
    assert (call.url, call.paid) == ("/api/v1/lyrics", True)
    assert call.json == {
        "prompt": "a shanty about rust",
        "callBackUrl": HOOK,
        "language": "en",
    }
    assert play(sunoapi.submit(request), SUBMITTED).remote == TEXT


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        (
            {"lyrics": WORDS, "tags": "shanty", "title": "Rust"},
            {
                "customMode": True,
                "prompt": WORDS,
                "style": "shanty",
                "title": "Rust",
            },
        ),
        (
            {"prompt": WORDS, "style": "shanty", "title": "Rust"},
            {
                "customMode": True,
                "prompt": WORDS,
                "style": "shanty",
                "title": "Rust",
            },
        ),
        (
            {"prompt": "slow and sad", "lyrics": WORDS, "title": "Rust"},
            {
                "customMode": True,
                "prompt": WORDS,
                "style": "slow and sad",
                "title": "Rust",
            },
        ),
        (
            {"metadata": {"tags": ["shanty", "slow"], "title": "Rust"}},
            {
                "customMode": True,
                "prompt": "a shanty about rust",
                "style": "shanty, slow",
                "title": "Rust",
            },
        ),
        (
            {"negative_prompt": "drums"},
            {
                "customMode": False,
                "prompt": "a shanty about rust",
                "negativeTags": "drums",
            },
        ),
        (
            {"metadata": {"styleWeight": 0.5, "personaId": "p1"}},
            {
                "customMode": False,
                "prompt": "a shanty about rust",
                "styleWeight": 0.5,
                "personaId": "p1",
            },
        ),
        (
            {"metadata": {"instrumental": True}},
            {
                "customMode": False,
                "instrumental": True,
                "prompt": "a shanty about rust",
            },
        ),
    ],
)
def test_unified_fields_become_the_upstreams(
    fields: dict[str, Any], body: dict[str, Any]
):
    always = {"instrumental": False, "model": "V5", "callBackUrl": HOOK}
    assert sent(a_song(**fields)).json == {**always, **body}


@pytest.mark.parametrize(
    ("metadata", "fields", "own"),
    [
        ({}, {}, False),
        ({"continue_at": 60}, {"continueAt": 60}, True),
        ({"title": "Rust II"}, {"title": "Rust II"}, True),
    ],
)
def test_earlier_song_is_continued_with_its_own_words_or_with_new_ones(
    metadata: dict[str, Any], fields: dict[str, Any], own: bool
):
    call = sent(a_song(metadata={"continue_clip_id": "clip-1", **metadata}))
    assert (call.url, call.paid) == ("/api/v1/generate/extend", True)
    assert call.json == {
        "defaultParamFlag": own,
        "audioId": "clip-1",
        "model": "V5",
        "callBackUrl": HOOK,
        "prompt": "a shanty about rust",
        **fields,
    }


@pytest.mark.parametrize(
    ("version", "model"),
    [
        ("chirp-v3-5", "V3_5"),
        ("chirp-v4", "V4"),
        ("chirp-auk", "V4_5"),
        ("chirp-v4-5", "V4_5"),
        ("chirp-auk-turbo", "V4_5ALL"),
        ("chirp-bluejay", "V4_5PLUS"),
        ("chirp-v4-5-plus", "V4_5PLUS"),
        ("chirp-crow", "V5"),
        ("chirp-v5", "V5"),
        ("chirp-fenix", "V5_5"),
        ("V4", "V4"),
        ("V9", "V9"),
    ],
)
def test_version_has_the_upstreams_name(version: str, model: str):
    assert sent(a_song(metadata={"mv": version})).json["model"] == model


def test_model_that_is_a_version_is_never_overridden():
    request = a_song(model="V4", metadata={"mv": "chirp-crow", "model": "V5"})
    assert sent(request).json["model"] == "V4"


@pytest.mark.parametrize(
    ("voice", "gender"), [("male", "m"), ("Female", "f"), ("m", "m"), ("f", "f")]
)
def test_voice_is_the_singers_gender(voice: str, gender: str):
    assert sent(a_song(voice=voice)).json["vocalGender"] == gender


def test_other_voices_are_rejected():
    with pytest.raises(errors.Rejected, match="male and female"):
        play(sunoapi.submit(a_song(voice="alloy")))


@pytest.mark.parametrize("model", ["suno_music", "suno_lyrics"])
def test_callback_address_is_ours_or_one_that_cannot_exist(model: str):
    metadata = {"callBackUrl": "https://elsewhere.example/"}
    ours = sent(a_song(model=model, metadata=metadata)).json
    none = sent(a_song(model=model, metadata=metadata, callback_url=None)).json
    assert ours["callBackUrl"] == HOOK
    assert none["callBackUrl"] == "https://callback.invalid/"


@pytest.mark.parametrize("data", [None, {}, {"taskId": ""}, {"taskId": None}, "id"])
def test_acceptance_without_an_id_is_unexpected(data: Any):
    with pytest.raises(errors.UnexpectedReply):
        play(sunoapi.submit(a_song()), answer({"code": 200, "msg": "", "data": data}))


SHARED = [
    (400, errors.Rejected),
    (401, errors.KeyRefused),
    (402, errors.QuotaExhausted),
    (404, errors.ChannelRefused),
    (405, errors.RateLimited),
    (409, errors.OutcomeUnknown),
    (413, errors.Rejected),
    (422, errors.Rejected),
    (430, errors.RateLimited),
    (451, errors.Rejected),
    (455, errors.RateLimited),
    (500, errors.Unavailable),
    (503, errors.Unavailable),
]


@pytest.mark.parametrize("http_status", [200, None])
@pytest.mark.parametrize(
    ("provider", "code", "expected"),
    [
        *((provider, *row) for provider in BOTH for row in SHARED),
        (sunoapi.PROVIDER, 429, errors.QuotaExhausted),
        (sunoapi.KIE, 429, errors.RateLimited),
    ],
)
def test_refused_submit_is_classed_by_the_code_in_the_body(
    provider: Provider,
    code: int,
    expected: type[errors.ProviderError],
    http_status: int | None,
):
    reply = answer(
        {"code": code, "msg": "no", "data": None}, status=http_status or code
    )
    with pytest.raises(errors.ProviderError, match="no") as caught:
        play(provider.submit(a_song()), reply)
    assert type(caught.value) is expected
    assert caught.value.code == str(code)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (429, errors.RateLimited),
        (502, errors.Unavailable),
        (200, errors.UnexpectedReply),
    ],
)
def test_page_of_a_proxy_is_classed_by_its_status(
    status: int, expected: type[errors.ProviderError]
):
    with pytest.raises(expected):
        play(sunoapi.submit(a_song()), raw(b"<html>", "text/html", status))


@pytest.mark.parametrize("body", [[], None, {}, {"code": 200, "msg": "ok"}])
def test_misshapen_answer_is_unexpected(body: Any):
    with pytest.raises(errors.UnexpectedReply):
        play(sunoapi.submit(a_song()), answer(body))


# poll


@pytest.mark.parametrize(
    ("remote", "path"),
    [
        (SONG, "/api/v1/generate/record-info"),
        (TEXT, "/api/v1/lyrics/record-info"),
        (Remote(TASK), "/api/v1/generate/record-info"),
    ],
)
def test_record_lies_where_the_kind_of_job_says(remote: Remote, path: str):
    reply = "lyrics_pending" if remote is TEXT else "pending"
    (call,) = calls_of(sunoapi.poll(remote), recorded(f"sunoapi/{reply}"))
    assert call == Call("GET", path, params={"taskId": TASK})


@pytest.mark.parametrize(
    ("reply", "phase", "percent"),
    [
        ("pending", Phase.PENDING, None),
        ("text_success", Phase.RUNNING, 30),
        ("first_success", Phase.RUNNING, 60),
        ("callback_exception_early", Phase.RUNNING, None),
        ("callback_exception_nothing", Phase.RUNNING, None),
    ],
)
def test_unfinished_job_has_no_artifact(reply: str, phase: Phase, percent: int | None):
    snapshot = look(SONG, reply)
    assert (snapshot.phase, snapshot.percent) == (phase, percent)
    assert (snapshot.remote, snapshot.artifacts) == (SONG, ())


@pytest.mark.parametrize(
    ("word", "phase"),
    [
        ("PENDING", Phase.PENDING),
        ("TEXT_SUCCESS", Phase.RUNNING),
        ("FIRST_SUCCESS", Phase.RUNNING),
        ("CALLBACK_EXCEPTION", Phase.RUNNING),
        ("CREATE_TASK_FAILED", Phase.FAILED),
        ("GENERATE_AUDIO_FAILED", Phase.FAILED),
        ("GENERATE_LYRICS_FAILED", Phase.FAILED),
        ("SENSITIVE_WORD_ERROR", Phase.FAILED),
    ],
)
def test_each_status_word_has_its_phase(word: str, phase: Phase):
    data = {"taskId": TASK, "status": word, "response": None}
    reply = answer({"code": 200, "msg": "", "data": data})
    assert play(sunoapi.poll(SONG), reply).phase is phase


def test_undocumented_status_word_is_unexpected():
    data = {"taskId": TASK, "status": "MELTING", "response": None}
    with pytest.raises(errors.UnexpectedReply, match="MELTING"):
        play(sunoapi.poll(SONG), answer({"code": 200, "msg": "", "data": data}))


@pytest.mark.parametrize("reply", ["success", "callback_exception_done"])
def test_finished_job_gives_both_songs_also_when_its_callback_broke(reply: str):
    snapshot = look(SONG, reply)
    assert (snapshot.phase, snapshot.failure) == (Phase.SUCCEEDED, None)
    assert snapshot.percent == 100
    assert len(snapshot.artifacts) == 2
    assert snapshot.artifacts[0] == Artifact(
        url="https://files.songs.example/t1.mp3",
        content_type="audio/mpeg",
        title="Tin Harbour",
        duration_s=151.2,
    )


def test_success_without_a_song_is_unexpected():
    with pytest.raises(errors.UnexpectedReply):
        look(SONG, "success_empty")


def test_each_variant_of_a_text_is_an_artifact_without_url():
    snapshot = look(TEXT, "lyrics_success")
    assert snapshot.phase is Phase.SUCCEEDED
    assert snapshot.artifacts == (
        Artifact(text="[Verse]\nRust", title="Tin Harbour"),
        Artifact(text="[Verse]\nSalt", title="Salt"),
    )


def test_text_is_there_although_its_callback_broke():
    assert look(TEXT, "lyrics_callback_exception").phase is Phase.SUCCEEDED


def test_text_whose_callback_broke_does_not_wait_for_a_failed_variant():
    snapshot = look(TEXT, "lyrics_callback_exception_partial")
    assert (snapshot.phase, len(snapshot.artifacts)) == (Phase.SUCCEEDED, 1)
    assert snapshot.failure is not None


def test_one_failed_variant_is_told_beside_the_good_one():
    snapshot = look(TEXT, "lyrics_partial")
    assert snapshot.phase is Phase.SUCCEEDED
    assert len(snapshot.artifacts) == 1
    assert snapshot.failure is not None
    assert snapshot.failure.message == "variant two broke"


def test_one_song_of_a_failed_job_is_kept():
    snapshot = look(SONG, "audio_failed_one_left")
    assert snapshot.phase is Phase.SUCCEEDED
    assert len(snapshot.artifacts) == 1
    assert snapshot.failure is not None
    assert snapshot.failure.code == "531"


@pytest.mark.parametrize(
    ("remote", "reply", "reason", "message", "code"),
    [
        (
            SONG,
            "sensitive",
            Reason.CONTENT_REJECTED,
            "a word is not allowed",
            "400",
        ),
        (SONG, "audio_failed", Reason.UPSTREAM_FAILED, "the audio broke", "501"),
        (TEXT, "lyrics_none", Reason.UPSTREAM_FAILED, "nothing rhymed", "SUCCESS"),
    ],
)
def test_failed_job_says_why(
    remote: Remote, reply: str, reason: Reason, message: str, code: str
):
    snapshot = look(remote, reply)
    assert (snapshot.phase, snapshot.artifacts) == (Phase.FAILED, ())
    assert snapshot.failure is not None
    assert snapshot.failure.reason is reason
    assert (snapshot.failure.message, snapshot.failure.code) == (message, code)


@pytest.mark.parametrize("spelling", [int, str])
@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (400, Reason.CONTENT_REJECTED),
        (413, Reason.CONTENT_REJECTED),
        (408, Reason.UPSTREAM_TIMEOUT),
        (501, Reason.UPSTREAM_FAILED),
        (531, Reason.UPSTREAM_FAILED),
        (599, Reason.UPSTREAM_FAILED),
    ],
)
def test_error_code_of_a_record_is_a_reason_as_number_or_text(
    code: int, reason: Reason, spelling: Any
):
    data = {
        "taskId": TASK,
        "status": "GENERATE_AUDIO_FAILED",
        "response": None,
        "errorCode": spelling(code),
        "errorMessage": None,
    }
    reply = answer({"code": 200, "msg": "", "data": data})
    failure = play(sunoapi.poll(SONG), reply).failure
    assert failure is not None
    assert (failure.reason, failure.code) == (reason, str(code))


@pytest.mark.parametrize("provider", BOTH)
@pytest.mark.parametrize("reply", ["unknown", "unknown_kie"])
def test_job_without_a_record_is_not_found(provider: Provider, reply: str):
    with pytest.raises(errors.NotFound):
        play(provider.poll(SONG), recorded(f"sunoapi/{reply}"))


def test_page_with_404_says_nothing_of_a_job():
    with pytest.raises(errors.Unavailable):
        play(sunoapi.poll(SONG), raw(b"<html>", "text/html", 404))


@pytest.mark.parametrize(
    ("provider", "code", "expected"),
    [
        (sunoapi.PROVIDER, 401, errors.KeyRefused),
        (sunoapi.PROVIDER, 404, errors.NotFound),
        (sunoapi.PROVIDER, 429, errors.QuotaExhausted),
        (sunoapi.PROVIDER, 430, errors.RateLimited),
        (sunoapi.KIE, 429, errors.RateLimited),
        (sunoapi.PROVIDER, 455, errors.RateLimited),
        (sunoapi.PROVIDER, 500, errors.Unavailable),
    ],
)
def test_failed_look_is_classed_by_the_code_in_the_body(
    provider: Provider, code: int, expected: type[errors.ProviderError]
):
    with pytest.raises(errors.ProviderError) as caught:
        play(provider.poll(SONG), answer({"code": code, "msg": "no", "data": None}))
    assert type(caught.value) is expected


# callbacks, key


@pytest.mark.parametrize(
    ("reply", "model", "remote"),
    [
        ("heard_music", "suno_music", SONG),
        ("heard_music", "V5", SONG),
        ("heard_error", "suno_music", SONG),
        ("heard_lyrics", "suno_lyrics", TEXT),
    ],
)
def test_callback_names_its_job_in_either_spelling(
    reply: str, model: str, remote: Remote
):
    callback = Callback({}, recorded(f"sunoapi/{reply}").content)
    for receive in (sunoapi.receive, sunoapi.receive_kie):
        heard = receive(callback, model)
        assert (heard.ids, heard.remote, heard.signed) == ((TASK,), remote, None)


def test_signature_of_kie_covers_id_and_time():
    headers = {"x-webhook-timestamp": "1795342000", "x-webhook-signature": "c2ln"}
    callback = Callback(headers, recorded("sunoapi/heard_music").content)
    signed = sunoapi.receive_kie(callback, "suno_music").signed
    assert signed is not None
    assert signed.scheme == "hmac-sha256"
    assert signed.message == f"{TASK}.1795342000".encode()
    assert (signed.signature, signed.timestamp) == ("c2ln", 1795342000.0)
    assert sunoapi.receive(callback, "suno_music").signed is None


@pytest.mark.parametrize("timestamp", [{}, {"x-webhook-timestamp": "soon"}])
def test_signature_without_a_time_is_unexpected(timestamp: dict[str, str]):
    headers = {"x-webhook-signature": "c2ln", **timestamp}
    callback = Callback(headers, recorded("sunoapi/heard_music").content)
    with pytest.raises(errors.UnexpectedReply):
        sunoapi.receive_kie(callback, "suno_music")


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"data":null}', b'{"data":{}}'])
def test_callback_without_a_job_is_unexpected(body: bytes):
    with pytest.raises(errors.UnexpectedReply):
        sunoapi.receive(Callback({}, body), "suno_music")


@pytest.mark.parametrize(
    ("provider", "path"),
    [
        (sunoapi.PROVIDER, "/api/v1/generate/credit"),
        (sunoapi.KIE, "/api/v1/chat/credit"),
    ],
)
def test_key_is_proved_by_asking_for_the_credits(provider: Provider, path: str):
    assert provider.test is not None
    (call,) = calls_of(provider.test(), recorded("sunoapi/credits"))
    assert (call.method, call.url, call.paid) == ("GET", path, False)
    with pytest.raises(errors.KeyRefused):
        play(provider.test(), answer({"code": 401, "msg": "no", "data": None}))


@pytest.mark.parametrize(
    ("name", "most"),
    [("V3_5", 3000), ("V4", 3000), ("V4_5", 5000), ("V5", 5000), ("V5_5", 5000)],
)
def test_models_have_the_documented_limits(name: str, most: int):
    model = sunoapi.PROVIDER.describe(name)
    assert model is not None
    assert model.max_prompt == most


def test_model_may_have_sunos_own_name():
    model = sunoapi.PROVIDER.describe("chirp-v4")
    assert model is not None
    assert (model.name, model.max_prompt) == ("chirp-v4", 3000)
    assert sent(a_song(model="chirp-v4")).json["model"] == "V4"
    assert sunoapi.PROVIDER.describe("chirp-v1") is None
