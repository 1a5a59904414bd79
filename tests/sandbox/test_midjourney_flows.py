"""Our flows for the midjourney-proxy protocol, over real HTTP against the sandbox."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import av
import pytest
from PIL import Image

from providers import errors, midjourney
from providers.flow import drive
from providers.types import (
    GenerationRequest,
    MediaInput,
    MediaType,
    Phase,
    Reason,
    Remote,
    Snapshot,
)
from sandbox.jobs import parse_durations
from sandbox.media import make_image
from sandbox.server import Sandbox, SandboxSettings, running
from tests.builders import a_request, an_upload
from tests.sandbox.listening import listening
from tests.sandbox.sending import Sender, Upload, sender

SECRET = "sandbox-id:sandbox-key"
SERVERS = ["", "/trueai", "/new-api"]
UPLOADS = [Upload(make_image("a heron", 64, 64))]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    settings = SandboxSettings(durations=parse_durations("fixed:0.02"))
    with running(settings=settings) as server:
        yield server


@pytest.fixture
def send(sandbox: Sandbox) -> Sender:
    sandbox.reset()
    return send_to(sandbox)


def send_to(
    sandbox: Sandbox,
    server: str = "",
    secret: str = SECRET,
    settings: dict[str, str] | None = None,
) -> Sender:
    base_url = f"{sandbox.url}{midjourney.PROVIDER.sandbox_path}{server}"
    provider = midjourney.PROVIDER
    return sender(base_url, provider, secret, settings=settings, uploads=UPLOADS)


def wanted(
    model: str = "mj_imagine",
    prompt: str = "a heron",
    images: tuple[MediaInput, ...] = (),
    **fields: Any,
) -> GenerationRequest:
    described = midjourney.describe(model)
    assert described is not None
    media_type = described.media_type
    return a_request(
        model=model, media_type=media_type, prompt=prompt, images=images, **fields
    )


def made(send: Sender, request: GenerationRequest) -> Snapshot:
    return send.wait(send.submit(request), pause_s=0.02)


def button(snapshot: Snapshot, label: str) -> dict[str, Any]:
    """The metadata that goes on from a finished task by one of its buttons."""
    ids = {each["label"]: each["customId"] for each in snapshot.usage["buttons"]}
    return {"taskId": snapshot.usage["task_id"], "customId": ids[label]}


def check_media(send: Sender, snapshot: Snapshot, media_type: MediaType) -> None:
    assert snapshot.phase is Phase.SUCCEEDED
    content = send.fetch(snapshot.artifacts[0])
    if media_type is MediaType.IMAGE:
        Image.open(io.BytesIO(content)).load()
        return
    with av.open(io.BytesIO(content)) as film:
        next(film.decode(video=0))


@pytest.mark.parametrize(
    ("model", "images", "fields"),
    [
        ("mj_imagine", 1, {"size": "1024x1536", "seed": 4, "negative_prompt": "fog"}),
        ("mj_imagine_niji", 0, {"style": "raw", "quality": "hd"}),
        ("mj_blend", 3, {"aspect_ratio": "3:2"}),
        ("mj_edits", 1, {}),
        ("mj_retexture", 1, {}),
        ("swap_face", 2, {}),
        ("mj_upload", 2, {}),
        ("mj_video", 2, {"n": 2, "resolution": "720p"}),
    ],
)
def test_action_makes_a_file_of_its_kind(
    send: Sender, model: str, images: int, fields: dict[str, Any]
):
    request = wanted(model, images=(an_upload(),) * images, **fields)
    snapshot = made(send, request)
    check_media(send, snapshot, request.media_type)
    grids = {"mj_video", "mj_upload"}
    assert len(snapshot.artifacts) == (2 if model in grids else 1)
    assert len([call for call in send.sent if call.paid]) == 1


@pytest.mark.parametrize(("model", "images"), [("mj_describe", 1), ("mj_shorten", 0)])
def test_text_is_the_result(send: Sender, model: str, images: int):
    snapshot = made(send, wanted(model, images=(an_upload(),) * images))
    (artifact,) = snapshot.artifacts
    assert (artifact.url, bool(artifact.text)) == (None, True)


@pytest.mark.parametrize("server", SERVERS)
def test_picture_is_worked_on_by_id_and_by_button(sandbox: Sandbox, server: str):
    sandbox.reset()
    send = send_to(sandbox, server)
    grid = made(send, wanted())
    source = {"taskId": grid.usage["task_id"]}
    made(send, wanted("mj_variation", metadata={**source, "index": 2}))
    made(send, wanted("mj_reroll", metadata=source))
    single = made(send, wanted("mj_upscale", metadata={**source, "index": 1}))
    for model, label in (
        ("mj_high_variation", "Vary (Strong)"),
        ("mj_low_variation", "Vary (Subtle)"),
        ("mj_zoom", "Zoom Out 2x"),
        ("mj_pan", "⬅️"),
    ):
        metadata = button(single, label)
        check_media(send, made(send, wanted(model, metadata=metadata)), MediaType.IMAGE)
    assert len(sandbox.ledger.submits("midjourney")) == 8


def test_window_is_opened_and_answered_in_one_submit(sandbox: Sandbox, send: Sender):
    source = {"taskId": made(send, wanted()).usage["task_id"]}
    single = made(send, wanted("mj_upscale", metadata={**source, "index": 1}))
    for model, label, images in (
        ("mj_custom_zoom", "Custom Zoom", ()),
        ("mj_inpaint", "Vary (Region)", (an_upload(),)),
    ):
        metadata = button(single, label)
        request = wanted(model, "a heron, a gull", images=images, metadata=metadata)
        check_media(send, made(send, request), MediaType.IMAGE)
    prompts = [paid.prompt for paid in sandbox.ledger.submits("midjourney")]
    assert prompts == ["a heron"] * 2 + ["a heron, a gull"] * 2


def test_waiting_window_is_answered_by_a_task_of_its_own(send: Sender):
    """Without a mask the window stays open; the same upstream task then goes on."""
    source = {"taskId": made(send, wanted()).usage["task_id"]}
    single = made(send, wanted("mj_upscale", metadata={**source, "index": 1}))
    window = button(single, "Vary (Region)")
    with pytest.raises(errors.Rejected):
        send.submit(wanted("mj_inpaint", metadata=window))
    opened = [call for call in send.sent if call.url == "/mj/submit/modal"][-1]
    assert send.poll(Remote(opened.json["taskId"])).phase is Phase.RUNNING
    modal = {"taskId": opened.json["taskId"]}
    request = wanted("mj_modal", images=(an_upload(),), metadata=modal)
    check_media(send, made(send, request), MediaType.IMAGE)


def test_same_upscale_again_is_paid_once(sandbox: Sandbox, send: Sender):
    source = {"taskId": made(send, wanted()).usage["task_id"], "index": 1}
    first, again = (made(send, wanted("mj_upscale", metadata=source)) for _ in range(2))
    assert first.artifacts == again.artifacts
    assert len(sandbox.ledger.submits("midjourney")) == 2


def test_four_files_come_where_the_server_has_them(sandbox: Sandbox):
    request = wanted(metadata={"separate": True})
    for server, count in (("/trueai", 4), ("", 1)):
        assert len(made(send_to(sandbox, server), request).artifacts) == count


@pytest.mark.parametrize("server", SERVERS)
def test_many_tasks_are_looked_at_in_one_call(sandbox: Sandbox, server: str):
    send = send_to(sandbox, server)
    remotes = [Remote("17")]
    for number in range(3):
        accepted = send.submit(wanted(prompt=f"heron {number} [slow 9s]"))
        assert accepted.remote is not None
        remotes.append(accepted.remote)
    found = drive(midjourney.poll_many(remotes), send)
    assert set(found) == {remote.id for remote in remotes[1:]}


@pytest.mark.parametrize(
    ("prompt", "reason"),
    [
        ("a heron [fail]", Reason.UPSTREAM_FAILED),
        ("a heron [blocked late]", Reason.CONTENT_REJECTED),
        ("a heron --ar 99", Reason.INVALID_REQUEST),
    ],
)
def test_failed_task_is_a_value(send: Sender, prompt: str, reason: Reason):
    snapshot = made(send, wanted(prompt=prompt))
    assert (snapshot.phase, snapshot.artifacts) == (Phase.FAILED, ())
    assert snapshot.failure is not None
    assert snapshot.failure.reason is reason


SPOILT: list[tuple[str, type[errors.ProviderError], bool]] = [
    ("[400]", errors.Rejected, False),
    ("[401]", errors.KeyRefused, False),
    ("[403]", errors.ChannelRefused, False),
    ("[429]", errors.RateLimited, False),
    ("[quota]", errors.QuotaExhausted, False),
    ("[blocked]", errors.ContentRejected, False),
    ("[503 before]", errors.Unavailable, False),
    ("[500]", errors.Unavailable, True),
    ("[html]", errors.UnexpectedReply, True),
    ("[no id]", errors.UnexpectedReply, True),
    ("[cut]", errors.AnswerLost, True),
    ("[reset]", errors.AnswerLost, True),
]


# A new-api tells these in its own way, with an HTTP status.
RELAYED = ("[400]", "[401]", "[403]", "[429]", "[quota]", "[blocked]")


@pytest.mark.parametrize(
    ("server", "tag", "kind", "paid"),
    [
        *(("", *row) for row in SPOILT),
        *(("/new-api", *row) for row in SPOILT if row[0] in RELAYED),
    ],
)
def test_spoilt_submit_is_the_documented_error(
    sandbox: Sandbox,
    server: str,
    tag: str,
    kind: type[errors.ProviderError],
    paid: bool,
):
    sandbox.reset()
    with pytest.raises(errors.ProviderError) as caught:
        send_to(sandbox, server).submit(wanted(prompt=f"a heron {tag}"))
    assert type(caught.value) is kind
    assert len(sandbox.ledger.submits("midjourney")) == paid


@pytest.mark.parametrize(
    ("server", "tag", "kind"),
    [
        *((server, "[poll 404 once]", errors.NotFound) for server in SERVERS),
        *((server, "[poll 401 once]", errors.KeyRefused) for server in SERVERS),
        ("/trueai", "[poll 429 once]", errors.RateLimited),
        ("/new-api", "[poll 429 once]", errors.RateLimited),
        ("", "[poll 500 once]", errors.Unavailable),
        ("", "[poll html once]", errors.UnexpectedReply),
        ("", "[unknown status once]", errors.UnexpectedReply),
    ],
)
def test_spoilt_look_does_not_end_the_task(
    sandbox: Sandbox, server: str, tag: str, kind: type[errors.ProviderError]
):
    send = send_to(sandbox, server)
    accepted = send.submit(wanted(prompt=f"a heron {tag}"))
    assert accepted.remote is not None
    with pytest.raises(kind):
        send.poll(accepted.remote)
    assert send.wait(accepted, pause_s=0.02).phase is Phase.SUCCEEDED


def test_lost_task_is_found_again(sandbox: Sandbox, send: Sender):
    request = wanted(prompt="a heron [reset once]")
    with pytest.raises(errors.AnswerLost):
        send.submit(request)
    found = drive(midjourney.find(request), send)
    assert found is not None
    assert send.wait(found, pause_s=0.02).phase is Phase.SUCCEEDED
    assert len(sandbox.ledger.submits("midjourney")) == 1
    with pytest.raises(errors.Unavailable):
        drive(midjourney.find(a_request(task_id="task_x", model="mj_imagine")), send)
    with pytest.raises(errors.Unavailable):
        drive(midjourney.find(request), send_to(sandbox, "/new-api"))


@pytest.mark.parametrize(
    ("server", "stopped"), [("", True), ("/trueai", True), ("/new-api", False)]
)
def test_task_is_cancelled_where_that_is_possible(
    sandbox: Sandbox, server: str, stopped: bool
):
    send = send_to(sandbox, server)
    remote = send.submit(wanted(prompt="a heron [slow 30s]")).remote
    assert remote is not None
    assert drive(midjourney.cancel(remote), send) is stopped
    cancelled = send.poll(remote).phase is Phase.CANCELLED
    assert cancelled is stopped


def test_callback_adopts_the_task(send: Sender):
    with listening() as listener:
        accepted = send.submit(wanted(callback_url=listener.url))
        heard = midjourney.receive(listener.next(), "mj_imagine")
    assert heard.remote == accepted.remote


@pytest.mark.parametrize(
    ("server", "header"),
    [("", "mj-api-secret"), ("/trueai", "token"), ("/new-api", "bearer")],
)
def test_key_is_proved_in_each_header(sandbox: Sandbox, server: str, header: str):
    settings = {"key_header": header}
    drive(midjourney.test(), send_to(sandbox, server, settings=settings))
    drive(midjourney.test(), send_to(sandbox, server))
    with pytest.raises(errors.KeyRefused):
        drive(midjourney.test(), send_to(sandbox, server, "bad-key"))
