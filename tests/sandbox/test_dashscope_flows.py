"""Our own DashScope flows and raw exchanges against the sandbox, over real HTTP."""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator
from typing import Any

import av
import pytest
import requests
from PIL import Image

from providers import dashscope, errors
from providers.flow import drive
from providers.types import MediaType, Phase, Reason, Snapshot
from sandbox.jobs import Durations
from sandbox.media import make_image
from sandbox.server import Sandbox, SandboxSettings, running
from tests.builders import a_request, an_image_url, an_upload
from tests.sandbox.sending import Sender, Upload, sender

FRAME = an_image_url("https://cdn.example.com/frame.png")
VIDEO = "https://cdn.example.com/clip.mp4"
AUDIO = "https://cdn.example.com/voice.mp3"
T2I = "/services/aigc/text2image/image-synthesis"
MULTIMODAL = "/services/aigc/multimodal-generation/generation"
V1 = "/services/aigc/video-generation/video-synthesis"
ASYNC = {"X-DashScope-Async": "enable"}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    settings = SandboxSettings(durations=Durations(0.05, 0.05, 0.05))
    with running(settings=settings) as server:
        yield server


@pytest.fixture
def send(sandbox: Sandbox) -> Sender:
    return sender(
        sandbox.url + dashscope.PROVIDER.sandbox_path,
        dashscope.PROVIDER,
        uploads=[Upload(make_image("frame", 640, 480))],
    )


def made(send: Sender, model: str, **fields: Any) -> Snapshot:
    return send.wait(send.submit(a_request(**{"model": model, **fields})))


FIELDS: dict[str, dict[str, Any]] = {
    "images": {"images": (FRAME,)},
    "video_url": {"video_url": VIDEO},
    "audio_url": {"audio_url": AUDIO},
    "voice": {"voice": "longanyang"},
}
EXTRAS: dict[str, dict[str, Any]] = {
    "qwen-mt-image": {"metadata": {"input": {"target_lang": "en"}}},
    "wanx-style-repaint-v1": {"metadata": {"input": {"style_index": 2}}},
    "wan2.7-i2v": {"images": (FRAME,)},
    "wan2.7-i2v-2026-04-25": {"images": (FRAME,)},
    "wan2.7-r2v": {"images": (FRAME,)},
    "happyhorse-1.0-i2v": {"images": (FRAME,)},
    "happyhorse-1.0-r2v": {"images": (FRAME,)},
    "happyhorse-1.1-i2v": {"images": (FRAME,)},
    "happyhorse-1.1-r2v": {"images": (FRAME,)},
    "wan2.6-r2v": {"images": (FRAME,)},
    "wan2.6-r2v-flash": {"images": (FRAME,)},
    "wan2.1-vace-plus": {"images": (FRAME,)},
    "wanx2.1-vace-plus": {"images": (FRAME,)},
}


@pytest.mark.parametrize(
    "model", dashscope.PROVIDER.models, ids=lambda model: str(model.name)
)
def test_every_model_makes_what_it_says(send: Sender, model: Any) -> None:
    fields: dict[str, Any] = {}
    for name in model.needs:
        fields |= FIELDS[name]
    if model.name.startswith("qwen"):
        fields |= {"voice": "Cherry"}
    snapshot = made(send, model.name, **fields | EXTRAS.get(model.name, {}))
    assert snapshot.phase is Phase.SUCCEEDED, snapshot
    assert len(snapshot.artifacts) == 1, "one was asked for"
    content_type = snapshot.artifacts[0].content_type
    assert content_type is not None
    assert content_type.split("/")[0] == model.media_type


def test_image_has_the_size_asked_for(send: Sender) -> None:
    snapshot = made(send, "wan2.2-t2i-flash", size="768x512", n=2)
    images = [
        Image.open(io.BytesIO(send.fetch(artifact))) for artifact in snapshot.artifacts
    ]
    assert [image.size for image in images] == [(768, 512), (768, 512)]


def test_video_from_an_upload_plays(send: Sender) -> None:
    snapshot = made(
        send,
        "wan2.7-i2v",
        media_type=MediaType.VIDEO,
        images=(an_upload(),),
        duration=2.0,
    )
    content = send.fetch(snapshot.artifacts[0])
    with av.open(io.BytesIO(content)) as container:
        assert next(container.decode(video=0)).width


def test_speech_can_be_heard(send: Sender) -> None:
    snapshot = made(
        send, "cosyvoice-v2", input="Hello there", voice="longanyang", speed=1.5
    )
    with av.open(io.BytesIO(send.fetch(snapshot.artifacts[0]))) as container:
        assert next(container.decode(audio=0)).samples
    assert snapshot.artifacts[0].expires_at


def test_one_of_several_images_fails_and_the_others_are_kept(send: Sender) -> None:
    for model in ("wan2.2-t2i-flash", "qwen-image-edit-plus"):
        snapshot = made(send, model, prompt="a boat [partial]", n=3, images=(FRAME,))
        assert snapshot.phase is Phase.SUCCEEDED
        assert len(snapshot.artifacts) == 2
        assert snapshot.failure is not None


@pytest.mark.parametrize(
    ("tag", "reason"),
    [
        ("[fail]", Reason.UPSTREAM_FAILED),
        ("[blocked late]", Reason.CONTENT_REJECTED),
    ],
)
def test_failed_task_is_read(send: Sender, tag: str, reason: Reason) -> None:
    snapshot = made(send, "wan2.7-t2v", prompt=f"a boat {tag}")
    assert snapshot.phase is Phase.FAILED
    assert snapshot.failure is not None
    assert snapshot.failure.reason is reason


@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        ("[400]", errors.Rejected),
        ("[401]", errors.KeyRefused),
        ("[403]", errors.ChannelRefused),
        ("[429 once]", errors.RateLimited),
        ("[quota]", errors.QuotaExhausted),
        ("[blocked]", errors.ContentRejected),
        ("[503 before]", errors.Unavailable),
        ("[500]", errors.Unavailable),
        ("[html]", errors.UnexpectedReply),
        ("[no id]", errors.UnexpectedReply),
        ("[cut]", errors.OutcomeUnknown),
        ("[reset]", errors.OutcomeUnknown),
    ],
)
def test_refusal_of_a_submit_is_classed(
    send: Sender, tag: str, kind: type[errors.ProviderError]
) -> None:
    request = a_request(model="wan2.2-t2i-flash", prompt=f"{uuid.uuid4()} {tag}")
    with pytest.raises(errors.ProviderError) as caught:
        send.submit(request)
    assert isinstance(caught.value, kind)


@pytest.mark.parametrize("tag", ["[poll 429 twice]", "[poll 500 twice]"])
def test_trouble_at_a_poll_does_not_end_the_task(send: Sender, tag: str) -> None:
    snapshot = send.submit(a_request(model="wan2.2-t2i-flash", prompt=f"boat {tag}"))
    assert snapshot.remote is not None
    for _ in range(2):
        with pytest.raises((errors.RateLimited, errors.Unavailable)):
            send.poll(snapshot.remote)
    assert send.wait(snapshot).phase is Phase.SUCCEEDED


def test_task_that_is_not_known_yet_is_not_found(send: Sender) -> None:
    request = a_request(model="wan2.2-t2i-flash", prompt="boat [poll 404 once]")
    snapshot = send.submit(request)
    assert snapshot.remote is not None
    with pytest.raises(errors.NotFound):
        send.poll(snapshot.remote)
    assert send.wait(snapshot).phase is Phase.SUCCEEDED


def test_undocumented_word_is_looked_at_again(send: Sender) -> None:
    request = a_request(model="wan2.2-t2i-flash", prompt="boat [unknown status once]")
    snapshot = send.submit(request)
    assert snapshot.remote is not None
    with pytest.raises(errors.UnexpectedReply):
        send.poll(snapshot.remote)
    assert send.wait(snapshot).phase is Phase.SUCCEEDED


def test_task_is_cancelled_only_while_it_waits(send: Sender) -> None:
    waiting = send.submit(a_request(model="wan2.7-t2v", prompt="boat [slow 60s]"))
    assert waiting.remote is not None
    assert drive(dashscope.cancel(waiting.remote), send) is True
    assert send.poll(waiting.remote).phase is Phase.CANCELLED
    runs = send.submit(a_request(model="wan2.7-t2v", prompt="boat [slow 2s]"))
    assert runs.remote is not None
    while send.poll(runs.remote).phase is Phase.PENDING:
        pass  # a fifth of a second or so
    assert drive(dashscope.cancel(runs.remote), send) is False
    ended = made(send, "wan2.2-t2i-flash")
    assert ended.remote is not None
    assert drive(dashscope.cancel(ended.remote), send) is False


def test_key_is_tested(sandbox: Sandbox, send: Sender) -> None:
    drive(dashscope.test(), send)
    bad = sender(send.base_url, dashscope.PROVIDER, "bad-key")
    with pytest.raises(errors.KeyRefused):
        drive(dashscope.test(), bad)


@pytest.mark.parametrize(
    "path", ["/tasks/{id}", "/tasks/", "/tasks/{id}/cancel"], ids=["poll", "list", "x"]
)
def test_account_asks_twenty_times_a_second_and_no_more(
    sandbox: Sandbox, path: str
) -> None:
    url = sandbox.url + "/dashscope/api/v1" + path.format(id=uuid.uuid4())
    method = "POST" if path.endswith("cancel") else "GET"
    headers = {"Authorization": f"Bearer sk-20qps-{uuid.uuid4().hex}"}
    with requests.Session() as session:
        replies = [
            session.request(method, url, headers=headers, timeout=5) for _ in range(40)
        ]
    limited = [reply for reply in replies if reply.status_code == 429]
    assert limited, "40 questions came through in less than a second"
    assert all(reply.json()["code"] == "Throttling.RateQuota" for reply in limited)
    assert sum(reply.status_code != 429 for reply in replies) >= 20


# What only raw calls can say


def post(
    sandbox: Sandbox, path: str, body: Any, headers: dict[str, str] | None = None
) -> requests.Response:
    return requests.post(
        f"{sandbox.url}/dashscope/api/v1{path}",
        json=body,
        headers={"Authorization": "Bearer sk-test", **(headers or {})},
        timeout=5,
    )


def image_body(**parameters: Any) -> dict[str, Any]:
    return {
        "model": "wan2.2-t2i-flash",
        "input": {"prompt": "a boat"},
        "parameters": parameters,
    }


def message_body(model: str, *parts: Any, **parameters: Any) -> dict[str, Any]:
    content = [*parts, {"text": "a boat"}]
    return {
        "model": model,
        "input": {"messages": [{"role": "user", "content": content}]},
        "parameters": parameters,
    }


def media_body(*kinds: str) -> dict[str, Any]:
    media = [{"type": kind, "url": VIDEO} for kind in kinds]
    return {"model": "wan2.7-i2v", "input": {"media": media}}


def speech_body(model: str, voice: str, text: str = "Hello") -> dict[str, Any]:
    return {"model": model, "input": {"text": text, "voice": voice}}


TTS = "/services/audio/tts/SpeechSynthesizer"
REFUSED = [
    pytest.param(T2I, image_body(), {}, 403, "AccessDenied", id="task without header"),
    pytest.param(
        MULTIMODAL,
        message_body("qwen-image-max"),
        ASYNC,
        403,
        "AccessDenied",
        id="header where there are no tasks",
    ),
    pytest.param(
        V1, image_body(), ASYNC, 400, "InvalidParameter", id="path of another model"
    ),
    pytest.param(
        T2I,
        {"model": "lumen-9", "input": {"prompt": "x"}},
        ASYNC,
        400,
        "InvalidParameter",
        id="unknown model",
    ),
    pytest.param(T2I, [], ASYNC, 400, "InvalidParameter", id="no object"),
    pytest.param(
        T2I,
        {"model": "wan2.2-t2i-flash"},
        ASYNC,
        400,
        "InvalidParameter",
        id="no input",
    ),
    pytest.param(
        T2I, image_body(size="300*300"), ASYNC, 400, "InvalidParameter", id="size"
    ),
    pytest.param(T2I, image_body(n=0), ASYNC, 400, "InvalidParameter", id="n"),
    pytest.param(
        T2I, image_body(seed=2**31), ASYNC, 400, "InvalidParameter", id="seed"
    ),
    pytest.param(
        T2I,
        {
            "model": "wanx-v1",
            "input": {"prompt": "x"},
            "parameters": {"style": "anime"},
        },
        ASYNC,
        400,
        "InvalidParameter",
        id="style without brackets",
    ),
    pytest.param(
        MULTIMODAL,
        message_body("wan2.7-image", {"text": "two texts"}),
        {},
        400,
        "InvalidParameter",
        id="two texts",
    ),
    pytest.param(
        MULTIMODAL,
        message_body("qwen-image-edit"),
        {},
        400,
        "InvalidParameter",
        id="missing image",
    ),
    pytest.param(
        MULTIMODAL,
        message_body("qwen-image-edit", {"image": "data:image/png;base64,AAAA"}),
        {},
        400,
        "InvalidParameter",
        id="an image that is none",
    ),
    pytest.param(
        MULTIMODAL,
        message_body("wan2.6-image", {"image": FRAME.url}, enable_interleave=True),
        {},
        400,
        "InvalidParameter",
        id="interleaved at once",
    ),
    pytest.param(
        V1,
        {
            "model": "wan2.7-t2v",
            "input": {"prompt": "x"},
            "parameters": {"duration": 1},
        },
        ASYNC,
        400,
        "InvalidParameter",
        id="duration",
    ),
    pytest.param(
        V1,
        {
            "model": "wan2.7-t2v",
            "input": {"prompt": "x"},
            "parameters": {"resolution": "720p"},
        },
        ASYNC,
        400,
        "InvalidParameter",
        id="lower case resolution",
    ),
    pytest.param(
        V1, media_body("last_frame"), ASYNC, 400, "InvalidParameter", id="last alone"
    ),
    pytest.param(
        V1,
        media_body("first_frame", "first_frame"),
        ASYNC,
        400,
        "InvalidParameter",
        id="twice the same",
    ),
    pytest.param(
        V1,
        media_body("first_clip", "driving_audio"),
        ASYNC,
        400,
        "InvalidParameter",
        id="a combination that is not offered",
    ),
    pytest.param(
        V1,
        {"model": "wan2.6-i2v", "input": {"img_url": "oss://a/b"}},
        ASYNC,
        400,
        "InvalidParameter",
        id="upload without its header",
    ),
    pytest.param(
        V1,
        {"model": "wan2.6-i2v", "input": {"img_url": "oss://a/b"}},
        ASYNC | {"X-DashScope-OssResourceResolve": "enable"},
        400,
        "InvalidURL",
        id="upload that never was",
    ),
    pytest.param(
        MULTIMODAL,
        speech_body("qwen3-tts-flash", "longanyang"),
        {},
        400,
        "InvalidParameter",
        id="CosyVoice's voice for Qwen",
    ),
    pytest.param(
        TTS,
        speech_body("cosyvoice-v2", "Cherry"),
        {},
        400,
        "InvalidParameter",
        id="Qwen's voice for CosyVoice",
    ),
    pytest.param(
        MULTIMODAL,
        speech_body("qwen3-tts-flash", "Cherry", "a" * 601),
        {},
        400,
        "InvalidParameter",
        id="long text",
    ),
]


@pytest.mark.parametrize(("path", "body", "headers", "status", "code"), REFUSED)
def test_what_the_service_refuses_is_refused(
    sandbox: Sandbox,
    path: str,
    body: Any,
    headers: dict[str, str],
    status: int,
    code: str,
) -> None:
    before = len(sandbox.ledger.submits("dashscope"))
    reply = post(sandbox, path, body, headers)
    answer = reply.json()
    assert (reply.status_code, answer["code"]) == (status, code), answer
    assert set(answer) == {"code", "message", "request_id"}
    assert len(sandbox.ledger.submits("dashscope")) == before


@pytest.mark.parametrize("depth", [10, 400, 900, 5000])
def test_deep_body_is_never_a_crash(sandbox: Sandbox, depth: int) -> None:
    nested = "[" * depth + "]" * depth
    reply = requests.post(
        f"{sandbox.url}/dashscope/api/v1{T2I}",
        data=f'{{"model":"wan2.2-t2i-flash","input":{{"prompt":{nested}}}}}',
        headers={"Authorization": "Bearer sk-test", **ASYNC},
        timeout=5,
    )
    assert reply.status_code == 400
    assert reply.json()["code"] == "InvalidParameter"


@pytest.mark.parametrize(
    "parameters",
    [{"n": 1}, {"n": 4, "size": "512*1440"}, {"is_async": True, "unknown": [1]}],
)
def test_further_fields_pass(sandbox: Sandbox, parameters: dict[str, Any]) -> None:
    body = image_body(**parameters)
    body["input"] |= {"extend_prompt": True, "function": "video-synthesis"}
    assert post(sandbox, T2I, body, ASYNC).status_code == 200


@pytest.mark.parametrize("authorization", ["", "sk-test", "Basic c2s6", "Bearer "])
def test_call_without_a_key_is_refused(sandbox: Sandbox, authorization: str) -> None:
    headers = {"Authorization": authorization}
    reply = post(sandbox, T2I, image_body(), ASYNC | headers)
    assert reply.status_code == 401
    assert reply.json()["code"] == "InvalidApiKey"


def test_link_works_byte_for_byte_only(send: Sender) -> None:
    url = made(send, "wan2.2-t2i-flash").artifacts[0].url
    assert url is not None
    assert "%3D" in url
    assert requests.get(url, timeout=5).status_code == 200
    for spoiled in (url.replace("%3D", "="), url.split("?")[0]):
        prepared = requests.Request("GET", spoiled).prepare()
        prepared.url = spoiled
        with requests.Session() as session:
            assert session.send(prepared, timeout=5).status_code == 403


def test_link_that_has_expired_is_refused(send: Sender) -> None:
    url = made(send, "wan2.2-t2i-flash", prompt="boat [expire]").artifacts[0].url
    assert url is not None
    assert requests.get(url, timeout=5).status_code == 403


def test_background_generation_has_text_layers_beside_its_result(
    sandbox: Sandbox, send: Sender
) -> None:
    body = {
        "model": "wanx-background-generation-v2",
        "input": {"base_image_url": FRAME.url},
    }
    path = "/services/aigc/background-generation/generation/"
    task_id = post(sandbox, path, body, ASYNC).json()["output"]["task_id"]
    pending = Snapshot(phase=Phase.PENDING, remote=dashscope.Remote(task_id))
    assert len(send.wait(pending).artifacts) == 1


def test_list_is_limited_to_a_day(sandbox: Sandbox) -> None:
    def listed(**query: str) -> requests.Response:
        return requests.get(
            f"{sandbox.url}/dashscope/api/v1/tasks/",
            params=query,
            headers={"Authorization": "Bearer sk-test"},
            timeout=5,
        )

    day = listed(start_time="20260506000000", end_time="20260506235959")
    assert day.json()["total"] == 0
    for query in (
        {"start_time": "20260505000000", "end_time": "20260506235959"},
        {"start_time": "yesterday", "end_time": "20260506235959"},
        {"page_size": "0"},
    ):
        assert listed(**query).status_code == 400
