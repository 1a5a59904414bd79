"""Replicate's flows, played on recorded and made-up replies."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from providers import errors, replicate
from providers.dialects.replicate_models import OFFERS
from providers.flow import Call
from providers.types import (
    Artifact,
    Callback,
    MediaInput,
    MediaType,
    Phase,
    Reason,
    Remote,
    Snapshot,
)
from tests.builders import a_request, an_image_url, an_upload
from tests.fakes import answer, calls_of, play, raw, recorded

JOB = "w7m2k4d9qhrg80cz5tvx3ynb16"
SCHNELL = "black-forest-labs/flux-schnell"
PRO = "black-forest-labs/flux-1.1-pro"
FLUX_2 = "black-forest-labs/flux-2-flex"
BANANA = "google/nano-banana-2"
DIGEST = "5c" * 32
ONE, TWO = "https://cdn.example.com/a.png", "https://cdn.example.com/b.png"
IMAGES = (an_image_url(ONE), an_image_url(TWO))
DELIVERY = "https://replicate.delivery/xezq"


def sent(**fields: Any) -> Call:
    """The one call of a submit that needs no other."""
    fields = {"model": SCHNELL, **fields}
    (call,) = calls_of(
        replicate.submit(a_request(**fields)), recorded("replicate/starting")
    )
    assert call.paid
    return call


def input_of(**fields: Any) -> dict[str, Any]:
    """The input without the prompt of every test."""
    given = dict(sent(**fields).json["input"])
    assert given.pop("prompt") == "a lighthouse made of paper, dawn"
    return given


def poll(name: str) -> Snapshot:
    return play(replicate.poll(Remote(JOB)), recorded(f"replicate/{name}"))


# Submit


@pytest.mark.parametrize(
    ("model", "path", "version"),
    [
        (SCHNELL, f"/models/{SCHNELL}/predictions", None),
        (f"anna/boat:{DIGEST}", "/predictions", DIGEST),
        (DIGEST, "/predictions", DIGEST),
        ("deployments/anna/boats", "/deployments/anna/boats/predictions", None),
    ],
)
def test_each_way_to_name_a_model_has_its_path(
    model: str, path: str, version: str | None
) -> None:
    call = sent(model=model)
    assert (call.method, call.url, call.json.get("version")) == ("POST", path, version)


@pytest.mark.parametrize(
    "name",
    [
        "flux",
        "a/b/c",
        "deployments/a/b:c1",
        "a/b?x",
        "a/3d-boats",
        "../a/b",
        "../b",
        "a/..",
    ],
)
def test_name_that_leads_nowhere_is_refused_before_anything_is_sent(name: str) -> None:
    assert replicate.PROVIDER.describe(name) is None
    with pytest.raises(errors.Rejected, match="owner/name:version"):
        play(replicate.submit(a_request(model=name)))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"n": 3, "seed": 0}, {"num_outputs": 3, "seed": 0}),
        ({}, {"num_outputs": 1}),
        (
            {"aspect_ratio": "16/9", "output_format": "jpeg", "quality": "80"},
            {
                "num_outputs": 1,
                "aspect_ratio": "16:9",
                "output_format": "jpg",
                "output_quality": 80,
            },
        ),
        ({"size": "1920x1088"}, {"num_outputs": 1, "aspect_ratio": "16:9"}),
        ({"size": "3:2"}, {"num_outputs": 1, "aspect_ratio": "3:2"}),
        (
            {"model": PRO, "width": 1000, "height": 700},
            {"aspect_ratio": "custom", "width": 992, "height": 704},
        ),
        ({"model": PRO, "images": IMAGES[:1]}, {"image_prompt": ONE}),
        (
            {"model": FLUX_2, "images": IMAGES, "resolution": "1 MP"},
            {"input_images": [ONE, TWO], "resolution": "1 MP"},
        ),
        (
            {"model": BANANA, "images": IMAGES[:1], "resolution": "2k"},
            {"image_input": [ONE], "resolution": "2K"},
        ),
        ({"model": BANANA, "size": "500x1000"}, {"aspect_ratio": "9:16"}),
        (
            {"model": "bytedance/seedream-4", "size": "2048x1024"},
            {"size": "custom", "width": 2048, "height": 1024},
        ),
        ({"model": "bytedance/seedream-4", "resolution": "4k"}, {"size": "4K"}),
        (
            {
                "model": "google/veo-3.1",
                "images": IMAGES,
                "duration": 8.0,
                "resolution": "720P",
                "negative_prompt": "fog",
            },
            {
                "image": ONE,
                "last_frame": TWO,
                "duration": 8,
                "resolution": "720p",
                "negative_prompt": "fog",
            },
        ),
        # unknown models get what the client said in the commonest words
        (
            {"model": "anna/boats", "size": "640x480", "images": IMAGES, "n": 2},
            {
                "width": 640,
                "height": 480,
                "image_input": [ONE, TWO],
                "num_outputs": 2,
            },
        ),
        (
            {"model": "anna/boat-video", "images": IMAGES[:1], "duration": 2.5},
            {"image": ONE, "duration": 2.5},
        ),
        (
            {"model": "anna/music", "audio_url": ONE, "lyrics": "la", "tags": "x"},
            {"audio": ONE, "lyrics": "la", "tags": "x"},
        ),
        (
            {"metadata": {"go_fast": True, "num_outputs": 2}},
            {"go_fast": True, "num_outputs": 2},
        ),
    ],
)
def test_request_is_written_in_the_models_own_words(
    fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert input_of(**fields) == expected


@pytest.mark.parametrize(
    ("model", "field"),
    [("elevenlabs/flash-v2.5", "prompt"), ("minimax/speech-02-hd", "text")],
)
def test_what_is_to_be_said_is_in_the_field_of_the_model(
    model: str, field: str
) -> None:
    call = sent(model=model, input="Good morning.", prompt=None, voice="Ada", speed=1.2)
    expected = {field: "Good morning.", "voice": "Ada", "speed": 1.2}
    assert call.json["input"] == expected
    described = replicate.PROVIDER.describe(model)
    assert described is not None
    assert described.media_type is MediaType.AUDIO


def test_callback_and_version_are_out_of_the_clients_reach() -> None:
    call = sent(
        model=DIGEST,
        callback_url="https://gw.example.net/up/7",
        metadata={"webhook": "https://evil.example", "version": "x"},
    )
    assert call.json["webhook"] == "https://gw.example.net/up/7"
    assert call.json["webhook_events_filter"] == ["completed"]
    assert call.json["version"] == DIGEST
    for url in (None, "http://gw.example.net/up/7"):  # it would be refused
        assert "webhook" not in sent(callback_url=url).json
    assert "webhook" in sent(callback_url="http://127.0.0.1:8080/up/7").json


@pytest.mark.parametrize("size", [100, 191_000])
def test_small_upload_goes_inside_the_request(size: int) -> None:
    request = a_request(model=FLUX_2, images=(an_upload(),))
    fetched, paid = calls_of(
        replicate.submit(request),
        raw(b"\x89" * size, "image/png"),
        recorded("replicate/starting"),
    )
    assert fetched.public
    (url,) = paid.json["input"]["input_images"]
    assert url.startswith("data:image/png;base64,iYmJ")
    assert len(url) <= 256_000


def test_large_upload_goes_to_the_files_api_first() -> None:
    request = a_request(model=PRO, images=(MediaInput("upload:0", "image/png"),))
    _, upload, paid = calls_of(
        replicate.submit(request),
        raw(b"\x89" * 192_000, "image/png"),
        recorded("replicate/upload", status=201),
        recorded("replicate/starting", status=201),
    )
    assert (upload.url, upload.paid) == ("/files", False)
    (part,) = upload.parts
    assert (part.name, part.filename) == ("content", "image-0.png")
    url = "https://api.replicate.com/v1/files/f1l3"
    assert paid.json["input"]["image_prompt"] == url


@pytest.mark.parametrize("body", [{}, {"urls": {}}, {"urls": {"get": None}}, []])
def test_upload_without_an_address_stops_before_it_costs(body: Any) -> None:
    request = a_request(model=PRO, images=(an_upload(),))
    picture = raw(b"\x89" * 200_000, "image/png")
    with pytest.raises(errors.UnexpectedReply):
        play(replicate.submit(request), picture, answer(body))


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"model": PRO, "images": IMAGES}, "takes 1 input images"),
        ({"model": SCHNELL, "quality": "high"}, "from 0 to 100"),
        ({"model": SCHNELL, "quality": "²"}, "from 0 to 100"),
        ({"model": "google/veo-3.1", "images": IMAGES * 2}, "takes 2 input"),
    ],
)
def test_what_a_model_cannot_say_is_refused(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(errors.Rejected, match=told):
        play(replicate.submit(a_request(**fields)))


@pytest.mark.parametrize(
    ("name", "status", "kind"),
    [
        ("error_token", 401, errors.KeyRefused),
        ("error_credit", 402, errors.QuotaExhausted),
        ("error_forbidden", 403, errors.ChannelRefused),
        ("error_absent", 404, errors.ModelRefused),
        ("error_version", 422, errors.ModelRefused),
        ("error_input", 422, errors.Rejected),
        ("error_absent", 400, errors.Rejected),
        ("error_throttled", 429, errors.RateLimited),
        ("error_absent", 500, errors.Unavailable),
        ("error_absent", 502, errors.Unavailable),
        ("error_absent", 503, errors.Unavailable),
        ("error_absent", 504, errors.Unavailable),
    ],
)
def test_refused_submit_tells_who_must_act(
    name: str, status: int, kind: type[errors.ProviderError]
) -> None:
    reply = recorded(f"replicate/{name}", status=status)
    with pytest.raises(errors.ProviderError) as caught:
        play(replicate.submit(a_request(model=SCHNELL)), reply)
    assert type(caught.value) is kind
    assert str(caught.value) == reply.json()["detail"]


@pytest.mark.parametrize(
    ("headers", "wait_s"), [({}, 30.0), ({"retry_after": "4"}, 4.0)]
)
def test_throttled_call_waits_as_told(headers: dict[str, str], wait_s: float) -> None:
    reply = recorded("replicate/error_throttled", status=429, **headers)
    with pytest.raises(errors.RateLimited) as caught:
        play(replicate.poll(Remote(JOB)), reply)
    assert caught.value.retry_after_s == wait_s


@pytest.mark.parametrize("job_id", [None, "", 7])
def test_accepted_prediction_without_an_id_is_no_answer(job_id: Any) -> None:
    body = {**recorded("replicate/starting").json(), "id": job_id}
    with pytest.raises(errors.UnexpectedReply):
        play(replicate.submit(a_request(model=SCHNELL)), answer(body, status=201))


# Poll and results


@pytest.mark.parametrize(
    ("name", "phase", "percent", "usage"),
    [
        ("starting", Phase.PENDING, None, {}),
        ("processing", Phase.RUNNING, 45, {}),
        ("canceled", Phase.CANCELLED, None, {"predict_time": 1.2}),
        ("aborted", Phase.CANCELLED, None, {}),
    ],
)
def test_status_words_are_read(
    name: str, phase: Phase, percent: int | None, usage: dict[str, Any]
) -> None:
    assert poll(name) == Snapshot(
        phase=phase, remote=Remote(JOB), percent=percent, usage=usage
    )


@pytest.mark.parametrize("name", ["undocumented", "succeeded_words"])
def test_what_nobody_documented_is_looked_at_again(name: str) -> None:
    with pytest.raises(errors.UnexpectedReply):
        poll(name)


@pytest.mark.parametrize(
    ("name", "artifacts"),
    [
        (
            "succeeded_list",
            [
                Artifact(url=f"{DELIVERY}/p1/out-0.webp", content_type="image/webp"),
                Artifact(
                    url=f"{DELIVERY}/p1/out-1.webp?sig=a%2Fb",
                    content_type="image/webp",
                ),
            ],
        ),
        (
            "succeeded_one",
            [Artifact(url=f"{DELIVERY}/p2/clip.mp4", content_type="video/mp4")],
        ),
        (
            "succeeded_object",
            [
                Artifact(url=f"{DELIVERY}/p3/take.mp3", content_type="audio/mpeg"),
                Artifact(url=f"{DELIVERY}/p3/drums.wav", content_type="audio/wav"),
            ],
        ),
        (
            "succeeded_objects",
            [
                Artifact(url=f"{DELIVERY}/p4/a.png", content_type="image/png"),
                Artifact(
                    url="https://api.replicate.com/v1/files/f00d/download",
                    protected=True,
                ),
            ],
        ),
        (
            "succeeded_inline",
            [Artifact(content=b"\x89PNG\r\n\x1a\n", content_type="image/png")],
        ),
    ],
)
def test_every_shape_of_output_is_read(name: str, artifacts: list[Artifact]) -> None:
    end = poll(name)
    assert (end.phase, end.percent, end.failure) == (Phase.SUCCEEDED, 100, None)
    assert list(end.artifacts) == artifacts
    assert end.usage == {"predict_time": 3.5, "total_time": 4.1, "image_count": 2}


def test_missing_output_is_a_partial_failure() -> None:
    end = poll("succeeded_partial")
    assert (end.phase, len(end.artifacts)) == (Phase.SUCCEEDED, 1)
    assert end.failure is not None
    assert end.failure.message == "1 of 2 outputs are missing"


@pytest.mark.parametrize(
    ("name", "reason", "code"),
    [
        ("failed", Reason.CONTENT_REJECTED, ""),
        ("removed", Reason.UPSTREAM_EXPIRED, "data_removed"),
        ("succeeded_nothing", Reason.UPSTREAM_FAILED, "no_output"),
    ],
)
def test_end_without_a_result_says_why(name: str, reason: Reason, code: str) -> None:
    end = poll(name)
    assert end.phase is Phase.FAILED
    assert end.failure is not None
    assert (end.failure.reason, end.failure.code) == (reason, code)


@pytest.mark.parametrize(
    ("error", "reason", "code"),
    [
        ("NSFW content detected.", Reason.CONTENT_REJECTED, ""),
        ("It was flagged as sensitive. (E005)", Reason.CONTENT_REJECTED, "E005"),
        ("The safety system said no", Reason.CONTENT_REJECTED, ""),
        ("Moderation refused it (E999)", Reason.CONTENT_REJECTED, "E999"),
        ("Busy: high demand (E003)", Reason.UPSTREAM_FAILED, "E003"),
        ("Service is away for now (E004)", Reason.UPSTREAM_FAILED, "E004"),
        ("Out of range (E006)", Reason.INVALID_REQUEST, "E006"),
        ("The input was invalid", Reason.INVALID_REQUEST, ""),
        ("Unknown (E1000)", Reason.UPSTREAM_FAILED, "E1000"),
        ("Out of memory (E1001)", Reason.UPSTREAM_FAILED, "E1001"),
        ("Webhook URL is empty (E4875)", Reason.INVALID_REQUEST, "E4875"),
        ("Director: unexpected (E6716)", Reason.UPSTREAM_FAILED, "E6716"),
        ("Interrupted; please retry (code: PA)", Reason.UPSTREAM_FAILED, "PA"),
        (None, Reason.UPSTREAM_FAILED, ""),
    ],
)
def test_text_of_a_failure_tells_the_reason(
    error: str | None, reason: Reason, code: str
) -> None:
    body = {**recorded("replicate/failed").json(), "error": error}
    failure = play(replicate.poll(Remote(JOB)), answer(body)).failure
    assert failure is not None
    assert (failure.reason, failure.code) == (reason, code)
    assert failure.message == (error or "the prediction failed and does not say why")


def test_unknown_job_is_not_found_at_a_poll() -> None:
    reply = recorded("replicate/error_absent", status=404)
    with pytest.raises(errors.NotFound):
        play(replicate.poll(Remote("a/b")), reply)


# Cancel, webhooks, key


@pytest.mark.parametrize(
    ("name", "status", "stopped"),
    [
        ("canceled", 200, True),
        ("processing", 200, False),
        ("succeeded_one", 200, False),
        ("error_absent", 404, False),
    ],
)
def test_cancel_is_true_when_it_surely_stopped(
    name: str, status: int, stopped: bool
) -> None:
    flow = replicate.cancel(Remote(JOB))
    assert play(flow, recorded(f"replicate/{name}", status=status)) is stopped


def test_webhook_is_read_with_all_its_signatures() -> None:
    body = recorded("replicate/succeeded_one").content
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": "1793600000",
        "webhook-signature": "v1,b25l v1,dHdv broken",
    }
    heard = replicate.receive(Callback(headers, body), SCHNELL)
    assert heard.ids == (JOB,)
    assert heard.remote == Remote(JOB)
    assert heard.signed is not None
    assert heard.signed.message == b"msg_1.1793600000." + body
    assert heard.signed.signature == "b25l dHdv"
    for missing in headers:
        rest = {name: text for name, text in headers.items() if name != missing}
        with pytest.raises(errors.UnexpectedReply):
            replicate.receive(Callback(rest, body), SCHNELL)


def test_key_is_proved_by_its_account() -> None:
    (call,) = calls_of(replicate.test(), answer({"username": "anna"}))
    assert (call.method, call.url) == ("GET", "/account")
    with pytest.raises(errors.KeyRefused):
        play(replicate.test(), recorded("replicate/error_token", status=401))


# The catalogue


def test_version_of_a_listed_model_has_its_limits() -> None:
    described = replicate.PROVIDER.describe(f"{SCHNELL}:{DIGEST}")
    assert described == replace(OFFERS[SCHNELL].model, name=f"{SCHNELL}:{DIGEST}")


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("kwaivgi/kling-v9", MediaType.VIDEO),
        ("wan-video/next", MediaType.VIDEO),
        ("meta/musicgen", MediaType.AUDIO),
        ("elevenlabs/v9", MediaType.AUDIO),
        ("minimax/image-01", MediaType.IMAGE),
        ("anna/boats", MediaType.IMAGE),
    ],
)
def test_words_of_a_name_tell_what_is_made(name: str, media_type: MediaType) -> None:
    described = replicate.PROVIDER.describe(name)
    assert described is not None
    assert described.media_type is media_type


def test_known_models_refuse_what_they_have_no_word_for() -> None:
    pro = OFFERS[PRO].model
    assert {"negative_prompt", "duration", "resolution", "voice"} <= pro.refuses
    assert not {"seed", "quality", "images", "size", "aspect_ratio"} & pro.refuses
    assert (pro.max_n, pro.max_images, pro.side_range) == (1, 1, (256, 1440))
    assert OFFERS[SCHNELL].model.max_images == 0
