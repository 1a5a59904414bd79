"""Ark's flows over real HTTP against the sandbox."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest
import requests
from PIL import Image

from providers import ark, errors
from providers.flow import Call, drive
from providers.types import (
    GenerationRequest,
    MediaType,
    Phase,
    Provider,
    Reason,
    Remote,
    Snapshot,
)
from sandbox.jobs import CallKind, parse_durations
from sandbox.server import Sandbox, SandboxSettings, running
from tests.builders import a_request, an_image_url, an_upload
from tests.sandbox.receiving import next_callback, receiving
from tests.sandbox.sending import Sender, Upload, sender

VIDEO = "doubao-seedance-1-5-pro-251215"
NEW_VIDEO = "doubao-seedance-2-5-260628"
IMAGE = "doubao-seedream-4-0-250828"
TASKS = "/contents/generations/tasks"
MODELS = [
    (provider, model)
    for provider in (ark.PROVIDER, ark.BYTEPLUS)
    for model in provider.models
]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    settings = SandboxSettings(durations=parse_durations("fixed:0.1"))
    with running(settings=settings) as server:
        yield server


@pytest.fixture(autouse=True)
def fresh(sandbox: Sandbox) -> None:
    sandbox.reset()


@pytest.fixture
def send(sandbox: Sandbox) -> Sender:
    return a_sender(sandbox)


def a_picture(width: int = 400, height: int = 320) -> Upload:
    data = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(data, "png")
    return Upload(data.getvalue())


def a_sender(
    sandbox: Sandbox,
    key: str = "sandbox-id:sandbox-key",
    provider: Provider = ark.PROVIDER,
    upload: Upload | None = None,
) -> Sender:
    base_url = sandbox.url + provider.sandbox_path
    return sender(base_url, provider, key, uploads=[upload or a_picture()])


def wanted(
    prompt: str = "a brass compass", model: str = VIDEO, **fields: Any
) -> GenerationRequest:
    described = ark.PROVIDER.describe(model)
    assert described is not None
    return a_request(
        **{
            "model": model,
            "media_type": described.media_type,
            "prompt": prompt,
            **fields,
        }
    )


def made(send: Sender, prompt: str = "a brass compass", **fields: Any) -> Snapshot:
    return send.wait(send.submit(wanted(prompt, **fields)))


def test_a_film_is_made_from_an_uploaded_image(send: Sender):
    end = made(send, images=(an_upload(),), resolution="480P", duration=4, seed=3)
    assert end.phase is Phase.SUCCEEDED
    (artifact,) = end.artifacts
    assert (artifact.content_type, artifact.duration_s) == ("video/mp4", 4.0)
    with av.open(io.BytesIO(send.fetch(artifact))) as film:
        assert film.streams.video
    assert end.usage["total_tokens"] > 0


@pytest.mark.parametrize("fields", [{}, {"metadata": {"response_format": "b64_json"}}])
def test_a_series_of_images_is_made_at_once(send: Sender, fields: dict[str, Any]):
    end = send.submit(wanted(model=IMAGE, n=2, size="1280x720", **fields))
    assert (end.phase, end.failure) == (Phase.SUCCEEDED, None)
    assert len(end.artifacts) == 2
    for artifact in end.artifacts:
        image = Image.open(io.BytesIO(send.fetch(artifact)))
        assert image.size == (artifact.width, artifact.height) == (1280, 720)


@pytest.mark.parametrize(
    ("provider", "model"), MODELS, ids=[model.name for _, model in MODELS]
)
def test_every_model_takes_what_its_limits_allow(
    sandbox: Sandbox, provider: Provider, model: Any
):
    """The sandbox refuses wrong words and numbers as the upstream does."""
    send = a_sender(sandbox, provider=provider)
    fields: dict[str, Any] = {}
    if model.media_type is MediaType.VIDEO:
        fields = {"aspect_ratio": "21:9", "seed": 5}
        if model.duration_range:
            fields["duration"] = model.duration_range[1]
    elif "aspect_ratio" not in model.refuses:
        fields = {"aspect_ratio": "16:9"}
    if model.resolutions:
        level = model.resolutions[0]
        fields["resolution"] = level.upper()
    if model.output_formats and model.media_type is MediaType.VIDEO:
        fields["output_format"] = model.output_formats[-1]
    if "images" in model.needs:
        fields["images"] = (an_upload(),)
    snapshot = send.submit(
        a_request(model=model.name, media_type=model.media_type, **fields)
    )
    assert snapshot.phase in {Phase.PENDING, Phase.SUCCEEDED}
    if "images" not in model.refuses and model.max_images:
        images = (an_image_url(),) * model.max_images
        fields["images"] = images
        if len(images) == 1 and model.media_type is MediaType.VIDEO:
            fields["aspect_ratio"] = "adaptive"
        send.submit(a_request(model=model.name, media_type=model.media_type, **fields))


def test_a_size_with_a_first_frame_suits_the_newest_model(send: Sender):
    assert send.submit(
        wanted(model=NEW_VIDEO, images=(an_image_url(),), size="1280x720")
    ).remote


def test_references_of_every_kind_are_taken(send: Sender):
    assert send.submit(
        wanted(
            model=NEW_VIDEO,
            images=(an_upload(), an_image_url()),
            video_url="https://cdn.example.com/clip.mp4",
            audio_url="https://cdn.example.com/sound.mp3",
            output_format="mov",
        )
    ).remote


def test_options_in_the_text_change_nothing(send: Sender):
    """An old model obeys them: twelve seconds are paid for, however few were asked."""
    prompt = "a kite --dur 12 --rs 480p"
    model = "doubao-seedance-1-0-pro-250528"
    (artifact,) = made(send, prompt, model=model).artifacts
    assert artifact.duration_s == 5.0
    raw = send(
        Call(
            "POST",
            TASKS,
            json={"model": model, "content": [{"type": "text", "text": prompt}]},
        )
    )
    end = send.wait(Snapshot(phase=Phase.PENDING, remote=Remote(raw.json()["id"])))
    assert end.artifacts[0].duration_s == 12.0


@pytest.mark.parametrize(
    ("prompt", "model", "reason", "code"),
    [
        ("x [fail]", VIDEO, Reason.UPSTREAM_FAILED, "InternalServiceError"),
        (
            "x [blocked late]",
            VIDEO,
            Reason.CONTENT_REJECTED,
            "OutputVideoSensitiveContentDetected",
        ),
    ],
)
def test_a_failure_is_a_value(
    send: Sender, prompt: str, model: str, reason: Reason, code: str
):
    end = made(send, prompt, model=model)
    assert end.phase is Phase.FAILED
    assert end.failure is not None
    assert (end.failure.reason, end.failure.code) == (reason, code)


def test_one_blocked_image_is_a_partial_failure(send: Sender):
    end = send.submit(wanted("a crowd [partial]", model=IMAGE, n=3, size="1K"))
    assert (end.phase, len(end.artifacts)) == (Phase.SUCCEEDED, 2)
    assert end.failure is not None
    assert end.failure.reason is Reason.CONTENT_REJECTED


@pytest.mark.parametrize("model", [VIDEO, IMAGE])
@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        ("[429 once]", errors.RateLimited),
        ("[quota]", errors.QuotaExhausted),
        ("[401]", errors.KeyRefused),
        ("[403]", errors.ChannelRefused),
        ("[400]", errors.Rejected),
        ("[blocked]", errors.ContentRejected),
        ("[503 before]", errors.Unavailable),
    ],
)
def test_a_refused_submit_pays_nothing(
    send: Sender,
    sandbox: Sandbox,
    model: str,
    tag: str,
    kind: type[errors.ProviderError],
):
    with pytest.raises(errors.ProviderError) as caught:
        send.submit(wanted(f"x {tag}", model=model))
    assert type(caught.value) is kind
    assert sandbox.ledger.submits("ark") == []


@pytest.mark.parametrize("model", [VIDEO, IMAGE])
@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        ("[500]", errors.Unavailable),
        ("[cut]", errors.AnswerLost),
        ("[reset]", errors.AnswerLost),
        ("[html]", errors.UnexpectedReply),
        ("[no id]", errors.UnexpectedReply),
    ],
)
def test_a_submit_that_was_paid_is_never_called_refused(
    send: Sender,
    sandbox: Sandbox,
    model: str,
    tag: str,
    kind: type[errors.ProviderError],
):
    with pytest.raises(errors.ProviderError) as caught:
        send.submit(wanted(f"x {tag}", model=model))
    assert type(caught.value) is kind
    assert len(sandbox.ledger.submits("ark")) == 1


@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        ("[poll 401]", errors.KeyRefused),
        ("[poll 404 once]", errors.NotFound),
        ("[poll 429 once]", errors.RateLimited),
        ("[poll 500 once]", errors.Unavailable),
        ("[poll html once]", errors.UnexpectedReply),
        ("[unknown status]", errors.UnexpectedReply),
    ],
)
def test_a_look_that_failed_is_no_end(
    send: Sender, tag: str, kind: type[errors.ProviderError]
):
    start = send.submit(wanted(f"x {tag}"))
    assert start.remote is not None
    with pytest.raises(errors.ProviderError) as caught:
        send.poll(start.remote)
    assert type(caught.value) is kind
    if "once" in tag:
        assert send.wait(start).phase is Phase.SUCCEEDED


def test_many_are_looked_at_with_one_call(send: Sender, sandbox: Sandbox):
    starts = [send.submit(wanted(f"number {number}")) for number in range(3)]
    remotes = [start.remote for start in starts if start.remote]
    send.wait(starts[-1])
    looks = sandbox.ledger.calls("ark", CallKind.POLL)
    found = drive(ark.poll_many([*remotes, Remote("cgt-nobody")]), send)
    assert {found[remote.id].phase for remote in remotes} == {Phase.SUCCEEDED}
    assert "cgt-nobody" not in found
    assert sandbox.ledger.calls("ark", CallKind.LIST) == 1
    # the missing one alone was asked for once more
    assert sandbox.ledger.calls("ark", CallKind.POLL) == looks + 1


def test_only_a_waiting_task_is_cancelled(send: Sender, sandbox: Sandbox):
    waiting = send.submit(wanted("a slow one [slow 60s]")).remote
    assert waiting is not None
    assert drive(ark.cancel(waiting), send) is True
    assert send.poll(waiting).phase is Phase.CANCELLED
    assert drive(ark.cancel(waiting), send) is True
    start = send.submit(wanted())
    send.wait(start)
    assert start.remote is not None
    assert drive(ark.cancel(start.remote), send) is False
    assert send.poll(start.remote).phase is Phase.SUCCEEDED


def test_a_task_that_waited_too_long_has_expired():
    later_s = 0.0
    settings = SandboxSettings(clock=lambda: time.time() + later_s)
    with running(settings=settings) as sandbox:
        send = a_sender(sandbox)
        start = send.submit(
            wanted("x [stuck]", metadata={"execution_expires_after": 3600})
        )
        assert start.remote is not None
        later_s = 3700.0
        end = send.poll(start.remote)
        assert end.failure is not None
        assert end.failure.reason is Reason.UPSTREAM_EXPIRED
        later_s = 8 * 24 * 3600.0
        with pytest.raises(errors.NotFound):
            send.poll(start.remote)


def test_an_expired_link_is_dead_and_a_changed_one_never_lived(send: Sender):
    (artifact,) = made(send, "x [expire]").artifacts
    (good,) = made(send, "x").artifacts
    assert artifact.url is not None
    assert good.url is not None
    assert requests.get(artifact.url, timeout=10).status_code == 403
    assert requests.get(good.url.replace("%2B", "+"), timeout=10).status_code == 403


def test_a_callback_leads_to_the_task(send: Sender):
    with receiving() as (url, heard):
        start = send.submit(wanted(callback_url=url))
        assert start.remote is not None
        told = ark.receive(next_callback(heard), VIDEO)
    assert told.ids == (start.remote.id,)
    assert told.remote == start.remote


def test_a_key_is_proved_without_paying(send: Sender, sandbox: Sandbox):
    drive(ark.test(), send)
    with pytest.raises(errors.KeyRefused):
        drive(ark.test(), a_sender(sandbox, "bad-key"))
    with pytest.raises(errors.QuotaExhausted):
        a_sender(sandbox, "quota-key").submit(wanted())
    assert sandbox.ledger.submits("ark") == []


def content(*roles: str, kind: str = "image_url") -> list[dict[str, Any]]:
    """A text and a file for each role."""
    url = "https://cdn.example.com/a"
    files = [
        {"type": kind, kind: {"url": url}, **({"role": role} if role else {})}
        for role in roles
    ]
    return [{"type": "text", "text": "x"}, *files]


OLD = "doubao-seedance-1-0-pro-250528"


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({}, "MissingParameter", "content"),
        ({"content": []}, "MissingParameter", "content"),
        ({"content": "x"}, "InvalidParameter", "content"),
        ({"content": [7]}, "InvalidParameter", "content[0]"),
        ({"content": [{"type": "song"}]}, "InvalidParameter", "content[0].type"),
        ({"content": [{"type": "text"}]}, "MissingParameter", "text"),
        ({"content": content(), "resolution": "720P"}, None, "resolution"),
        ({"content": content(), "resolution": "4k"}, None, "resolution"),
        ({"content": content(), "ratio": "5:4"}, None, "ratio"),
        ({"content": content(), "duration": 3}, None, "duration"),
        ({"content": content(), "duration": -1}, None, "duration"),
        ({"content": content(), "duration": "5"}, None, "duration"),
        ({"content": content(), "frames": 57}, None, "frames"),
        ({"content": content(), "model": OLD, "frames": 58}, None, "frames"),
        ({"content": content(), "seed": 2**31}, None, "seed"),
        ({"content": content(), "watermark": "no way"}, None, "watermark"),
        ({"content": content(), "service_tier": "fast"}, None, "service_tier"),
        (
            {"content": content(), "execution_expires_after": 60},
            None,
            "execution_expires_after",
        ),
        ({"content": content(), "priority": 1}, None, "priority"),
        ({"content": content(), "output_format": "mp4"}, None, "output_format"),
        (
            {"content": content(), "omni_reference_task_type": "edit"},
            None,
            "omni_reference_task_type",
        ),
        ({"content": content(), "model": OLD, "draft": True}, None, "draft"),
        ({"content": content(), "callback_url": "me"}, None, "callback_url"),
        ({"content": content("first_frame", "reference_image")}, "Task", "content"),
        ({"content": content("last_frame")}, "Task", "content"),
        ({"content": content("", "")}, "Task", "content"),
        ({"content": content("reference_image")}, "Task", "content"),
        ({"content": content("reference_video", kind="video_url")}, "Task", "content"),
        (
            {"content": content("first_frame"), "model": NEW_VIDEO, "ratio": "1:1"},
            "Task",
            "ratio",
        ),
        (
            {
                "content": content("reference_video", kind="video_url"),
                "model": NEW_VIDEO,
                "omni_reference_task_type": "edit",
                "duration": 5,
            },
            "Task",
            "duration",
        ),
        (
            {"content": content(), "model": NEW_VIDEO, "service_tier": "flex"},
            None,
            "service_tier",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_arks_words(
    send: Sender, body: dict[str, Any], code: str | None, param: str
):
    reply = send(Call("POST", TASKS, json={"model": VIDEO, **body}))
    error = reply.json()["error"]
    codes = {None: "InvalidParameter", "Task": "InvalidParameter.TaskTypeConstraint"}
    assert (reply.status, error["param"]) == (400, param)
    assert error["code"] == codes.get(code, code)
    assert error["type"] == "BadRequest"


def test_jobs_and_callbacks_survive_a_restart(tmp_path: Path):
    journal = tmp_path / "journal"
    settings = SandboxSettings(journal=journal, durations=parse_durations("fixed:2"))
    with receiving() as (url, heard):
        with running(settings=settings) as sandbox:
            start = a_sender(sandbox).submit(wanted(callback_url=url))
            assert start.remote is not None
            next_callback(heard)
        with running(settings=settings) as sandbox:
            end = a_sender(sandbox).wait(start)
            assert end.phase is Phase.SUCCEEDED
            told = ark.receive(next_callback(heard), VIDEO)
    assert told.remote == start.remote


@pytest.mark.parametrize(
    "url",
    [
        "data:image/PNG;base64,iVBORw0KGgo=",
        "data:image/png;base64,bm90IGFuIGltYWdl",
        "ftp://cdn.example.com/a.png",
        "",
    ],
)
def test_what_is_no_image_is_refused(send: Sender, url: str):
    item = {"type": "image_url", "image_url": {"url": url}}
    reply = send(Call("POST", TASKS, json={"model": VIDEO, "content": [item]}))
    assert reply.status == 400


@pytest.mark.parametrize("size", [(299, 400), (1000, 399)])
def test_an_image_of_a_wrong_shape_is_refused(sandbox: Sandbox, size: tuple[int, int]):
    send = a_sender(sandbox, upload=a_picture(*size))
    with pytest.raises(errors.Rejected):
        send.submit(wanted(images=(an_upload(),)))


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "prompt"),
        ({"prompt": 5}, "prompt"),
        ({"prompt": "x", "size": "512x512"}, "size"),
        ({"prompt": "x", "size": "2048*2048"}, "size"),
        ({"prompt": "x", "size": "3K"}, "size"),
        ({"prompt": "x", "seed": 4}, "seed"),
        ({"prompt": "x", "guidance_scale": 4}, "guidance_scale"),
        ({"prompt": "x", "output_format": "png"}, "output_format"),
        ({"prompt": "x", "response_format": "bytes"}, "response_format"),
        ({"prompt": "x", "image": "boat"}, "image[0]"),
        ({"prompt": "x", "image": ["data:image/png;base64,AAAA"]}, "image[0]"),
        ({"prompt": "x", "image": ["https://a.example/1"] * 15}, "image"),
        (
            {"prompt": "x", "sequential_image_generation": "on"},
            "sequential_image_generation",
        ),
    ],
)
def test_an_image_call_that_does_not_fit_is_refused(
    send: Sender, body: dict[str, Any], param: str
):
    reply = send(Call("POST", "/images/generations", json={"model": IMAGE, **body}))
    assert (reply.status, reply.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize("path", [TASKS, "/images/generations"])
@pytest.mark.parametrize("body", [b"", b"[", b"[]", b'"x"', b"\xff"])
def test_a_body_that_is_no_object_is_a_bad_request(
    send: Sender, path: str, body: bytes
):
    reply = send(Call("POST", path, body=body))
    assert (reply.status, reply.json()["error"]["code"]) == (400, "InvalidParameter")


def test_null_is_as_good_as_absent(send: Sender):
    """The official client sends every field it knows."""
    names = ("ratio", "seed", "frames", "tools", "draft", "priority", "callback_url")
    body = {"model": VIDEO, "content": content(), **dict.fromkeys(names)}
    assert send(Call("POST", TASKS, json=body)).status == 200
