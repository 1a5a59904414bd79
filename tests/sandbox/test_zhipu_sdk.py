"""The official client, zai-sdk, against the sandbox over real sockets."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Callable, Iterator
from typing import Any

import av
import pytest
import requests
import zai
from PIL import Image
from zai import ZaiClient, ZhipuAiClient

from sandbox.jobs import parse_durations
from sandbox.media import make_image
from sandbox.server import Sandbox, SandboxSettings, running

A, B = "https://cdn.example.com/a.png", "https://cdn.example.com/b.png"
PICTURE = base64.b64encode(make_image("a frame", 320, 240)).decode("ascii")
V3 = "cogvideox-3"

# the key of the quick start is short
pytestmark = pytest.mark.filterwarnings("ignore:The HMAC key is")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    settings = SandboxSettings(durations=parse_durations("fixed:0.05"))
    with running(settings=settings) as server:
        yield server


@pytest.fixture(scope="module")
def opened() -> Iterator[dict[str, Any]]:
    """Clients by their settings: opening one takes longer than most calls."""
    clients: dict[str, Any] = {}
    yield clients
    for client in clients.values():
        client.close()


@pytest.fixture
def connect(sandbox: Sandbox, opened: dict[str, Any]) -> Callable[..., Any]:
    sandbox.reset()

    def connected(
        key: str = "sandbox-id.sandbox-key", kind: type = ZhipuAiClient, **settings: Any
    ) -> Any:
        name = f"{kind} {key} {settings}"
        if name not in opened:
            base_url = f"{sandbox.url}/zhipu/api/paas/v4"
            opened[name] = kind(
                api_key=key, base_url=base_url, max_retries=0, **settings
            )
        return opened[name]

    return connected


@pytest.fixture
def client(connect: Callable[..., Any]) -> Any:
    return connect()


def ended(read: Callable[[str], Any], job: Any) -> Any:
    """The job's last answer."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        seen = read(job.id)
        if seen.task_status != "PROCESSING":
            return seen
    raise AssertionError("the job never ended")


def fetched(url: str) -> io.BytesIO:
    answer = requests.get(url, timeout=10)
    assert answer.status_code == 200
    return io.BytesIO(answer.content)


def test_film_is_made_and_fetched_with_its_cover(client: Any, sandbox: Sandbox) -> None:
    job = client.videos.generations(
        model=V3,
        prompt="a clay robot [slow 400ms]",
        image_url=[A, PICTURE],
        size="720x1280",
        duration=5,
        fps=60,
        quality="quality",
        with_audio=True,
        watermark_enabled=False,
        request_id="gw-7f31c0",
        user_id="user-000042",
    )
    assert (job.task_status, job.request_id) == ("PROCESSING", "gw-7f31c0")
    assert job.id != job.request_id
    assert client.videos.retrieve_videos_result(id=job.id).video_result == []
    done = ended(client.videos.retrieve_videos_result, job)
    assert (done.task_status, done.request_id) == ("SUCCESS", "gw-7f31c0")
    (film,) = done.video_result
    with av.open(fetched(film.url)) as opened:
        picture = opened.streams.video[0]
        assert picture.height > picture.width
    assert Image.open(fetched(film.cover_image_url)).format == "JPEG"
    (paid,) = sandbox.ledger.submits("zhipu")
    assert paid.reference == "gw-7f31c0"


def test_image_comes_at_once_or_as_a_job(client: Any) -> None:
    made = client.images.generations(
        model="cogview-4-250304", prompt="a kite", size="1440x720", quality="hd"
    )
    assert Image.open(fetched(made.data[0].url)).size == (1440, 720)
    job = client.images.async_generations(
        model="glm-image", prompt="a poster", size="1056x1568"
    )
    done = ended(client.images.retrieve_images_result, job)
    (image,) = done.image_result
    assert Image.open(fetched(image.url)).size == (1056, 1568)
    assert client.images.generations(model="glm-image", prompt="at once").data[0].url


@pytest.mark.parametrize("form", ["wav", "pcm", None])
def test_speech_is_bytes(client: Any, form: str | None) -> None:
    answer = client.audio.speech(
        model="glm-tts", input="Mind the step.", voice="jam", response_format=form
    )
    content = answer.content
    if form == "wav":
        with av.open(io.BytesIO(content)) as sound:
            assert sound.streams.audio[0].rate == 24_000
    else:  # samples without a head
        assert content
        assert not content.startswith(b"RIFF")


@pytest.mark.parametrize(
    ("tag", "error"), [("fail", None), ("blocked late", {"code": "1301"})]
)
def test_failed_job_has_no_id(
    client: Any, tag: str, error: dict[str, Any] | None
) -> None:
    job = client.videos.generations(model=V3, prompt=f"x [{tag}]")
    done = ended(client.videos.retrieve_videos_result, job)
    assert (done.task_status, done.id) == ("FAIL", None)
    told = getattr(done, "error", None)
    assert (told and {"code": told["code"]}) == error


REFUSED: list[tuple[dict[str, Any], dict[str, Any], int, str]] = [
    ({"key": "bad-key"}, {}, 401, "1002"),
    ({"key": "quota-key"}, {}, 429, "1113"),
    ({"key": "sandbox-id.wrong", "disable_token_cache": False}, {}, 401, "1002"),
    ({}, {"model": "cogvideox-9"}, 400, "1211"),
    ({}, {"prompt": "x" * 513}, 400, "1261"),
    ({}, {"prompt": None}, 400, "1214"),
    ({}, {"size": "1024x768"}, 400, "1214"),
    ({}, {"duration": 6}, 400, "1214"),
    ({}, {"fps": 24}, 400, "1214"),
    ({}, {"quality": "hd"}, 400, "1214"),
    ({}, {"user_id": "short"}, 400, "1214"),
    ({}, {"request_id": "short"}, 400, "1214"),
    ({}, {"image_url": [A, B, A]}, 400, "1214"),
    ({}, {"image_url": "not base64!"}, 400, "1214"),
    ({}, {"sensitive_word_check": {"type": "SOME"}}, 400, "1214"),
    ({}, {"model": "cogvideox-2", "image_url": [A, B]}, 400, "1214"),
    ({}, {"model": "viduq1-text", "style": "noir"}, 400, "1214"),
    ({}, {"model": "viduq1-text", "aspect_ratio": "4:3"}, 400, "1214"),
    ({}, {"model": "viduq1-image"}, 400, "1214"),
    ({}, {"model": "vidu2-image", "image_url": A, "style": "anime"}, 400, "1214"),
    ({}, {"model": "vidu2-start-end", "image_url": [A]}, 400, "1214"),
    ({}, {"model": "vidu2-reference", "image_url": [A] * 4}, 400, "1214"),
    ({}, {"prompt": "x [429]"}, 429, "1302"),
    ({}, {"prompt": "x [403]"}, 403, "1220"),
    ({}, {"prompt": "x [blocked]"}, 400, "1301"),
    ({}, {"prompt": "x [500 before]"}, 500, "500"),
    ({}, {"prompt": "x [503 before]"}, 503, "1234"),
]
KINDS: dict[int, type[Exception]] = {
    400: zai.core._errors.APIRequestFailedError,
    401: zai.core._errors.APIAuthenticationError,
    429: zai.core._errors.APIReachLimitError,
    500: zai.core._errors.APIInternalError,
    503: zai.core._errors.APIServerFlowExceedError,
}


@pytest.mark.parametrize(("settings", "changes", "status", "code"), REFUSED)
def test_refusals_are_the_clients_own_errors(
    connect: Callable[..., Any],
    sandbox: Sandbox,
    settings: dict[str, Any],
    changes: dict[str, Any],
    status: int,
    code: str,
) -> None:
    client = connect(**settings)
    kind = KINDS.get(status, zai.core._errors.APIStatusError)
    with pytest.raises(kind) as caught:
        client.videos.generations(**{"model": V3, "prompt": "x", **changes})
    error: Any = caught.value
    assert error.status_code == status
    assert error.response.json()["error"]["code"] == code
    assert not sandbox.ledger.submits("zhipu")


@pytest.mark.parametrize(
    "changes",
    [
        {"size": "1000x1000"},
        {"size": "large"},
        {"size": "2048x2048"},
        {"quality": "best"},
        {"model": "cogview-4", "quality": "hd"},
        {"model": "cogview-9"},
        {"prompt": ""},
    ],
)
def test_image_that_does_not_fit_is_refused(
    client: Any, changes: dict[str, Any]
) -> None:
    wanted = {"model": "cogview-4-250304", "prompt": "x", **changes}
    with pytest.raises(zai.core._errors.APIRequestFailedError):
        client.images.generations(**wanted)


@pytest.mark.parametrize(
    "changes",
    [
        {"input": "x" * 1025},
        {"input": None},
        {"voice": "nobody"},
        {"speed": 2.5},
        {"volume": 0},
        {"response_format": "mp3"},
    ],
)
def test_speech_that_does_not_fit_is_refused(
    client: Any, changes: dict[str, Any]
) -> None:
    wanted = {"model": "glm-tts", "input": "x", **changes}
    with pytest.raises(zai.core._errors.APIRequestFailedError):
        client.audio.speech(**wanted)


def test_request_id_is_taken_once(client: Any, sandbox: Sandbox) -> None:
    wanted = {"model": V3, "prompt": "x", "request_id": "gw-7f31c0"}
    client.videos.generations(**wanted)
    with pytest.raises(zai.core._errors.APIRequestFailedError) as caught:
        client.videos.generations(**wanted)
    assert '"1231"' in str(caught.value)
    assert len(sandbox.ledger.submits("zhipu")) == 1


@pytest.mark.parametrize("signs", [True, False])
@pytest.mark.parametrize("kind", [ZhipuAiClient, ZaiClient])
def test_both_clients_enter_with_the_key_or_a_token_it_signs(
    connect: Callable[..., Any], kind: type, signs: bool
) -> None:
    client = connect(kind=kind, disable_token_cache=not signs)
    assert client.videos.generations(model=V3, prompt="x").id


def test_unknown_job_and_missing_header(client: Any, sandbox: Sandbox) -> None:
    with pytest.raises(zai.core._errors.APIRequestFailedError) as caught:
        client.videos.retrieve_videos_result(id="1-2")
    assert '"1214"' in str(caught.value)
    url = f"{sandbox.url}/zhipu/api/paas/v4/async-result/1-2"
    answer = requests.get(url, timeout=10)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "1001")
