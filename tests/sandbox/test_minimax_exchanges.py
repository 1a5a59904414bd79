"""The documented exchanges of MiniMax, by plain HTTP.

MiniMax has no SDK for generation in Python. The client inside its MCP server
(`minimax-mcp` 0.0.19) sends what is sent here, and takes every v1 answer without
`base_resp` for an error.
"""

from __future__ import annotations

import base64
import io
import json
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from typing import Any

import av
import pytest
import requests
from PIL import Image

from sandbox.jobs import CallKind, parse_durations
from sandbox.media import make_image
from sandbox.server import Sandbox, SandboxSettings, running

KEY = {"Authorization": "Bearer sk-any", "MM-API-Source": "Minimax-MCP"}
H23, H02, H3 = "MiniMax-Hailuo-2.3", "MiniMax-Hailuo-02", "MiniMax-H3"
PICTURE = "data:image/png;base64," + base64.b64encode(
    make_image("a frame", 640, 480)
).decode("ascii")
URL = "https://cdn.example.com/a.png"
TEXT = {"type": "text", "text": "snow on a tram line"}
V2_BODY = {
    "model": H3,
    "content": [TEXT],
    "resolution": "2K",
    "duration": 6,
    "ratio": "16:9",
}
SPEECH_BODY = {
    "model": "speech-2.6-hd",
    "text": "Mind the step.",
    "voice_setting": {"voice_id": "English_Graceful_Lady"},
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    settings = SandboxSettings(durations=parse_durations("fixed:0.1"))
    with running(settings=settings) as server:
        yield server


@pytest.fixture(autouse=True)
def fresh(sandbox: Sandbox) -> None:
    sandbox.reset()


def post(
    sandbox: Sandbox, path: str, body: Any, headers: dict[str, str] = KEY
) -> requests.Response:
    url = f"{sandbox.url}/minimax{path}"
    return requests.post(url, json=body, headers=headers, timeout=10)


def get(sandbox: Sandbox, path: str, **params: Any) -> requests.Response:
    url = f"{sandbox.url}/minimax{path}"
    return requests.get(url, params=params, headers=KEY, timeout=10)


def good(answer: requests.Response) -> Any:
    """The body of a v1 answer that says success."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["Trace-Id"]
    assert answer.json()["base_resp"] == {"status_code": 0, "status_msg": "success"}
    return answer.json()


def code_of(answer: requests.Response) -> int:
    """The number of an error that HTTP calls 200."""
    assert answer.status_code == 200, answer.text
    code: int = answer.json()["base_resp"]["status_code"]
    return code


def ended(sandbox: Sandbox, path: str, job_id: Any) -> Any:
    """The answer of a v1 query once the job has ended."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        body = get(sandbox, path, task_id=job_id).json()
        if body["status"] not in ("Preparing", "Queueing", "Processing"):
            return body
        time.sleep(0.02)
    raise AssertionError("the job never ended")


def is_film(content: bytes) -> bool:
    with av.open(io.BytesIO(content)) as film:
        return next(film.decode(video=0)).width > 0


def is_sound(content: bytes) -> bool:
    with av.open(io.BytesIO(content)) as sound:
        return next(sound.decode(audio=0)).samples > 0


# Videos of v1


def test_v1_video_that_is_not_done_has_no_file(sandbox: Sandbox):
    body = {"model": H23, "prompt": "A kettle whistles [stuck]", "duration": 6}
    task_id = good(post(sandbox, "/v1/video_generation", body))["task_id"]
    fresh = good(get(sandbox, "/v1/query/video_generation", task_id=task_id))
    assert fresh["status"] in ("Preparing", "Queueing", "Processing")
    assert fresh["file_id"] == ""


def test_v1_video_takes_three_steps(sandbox: Sandbox):
    body = {"model": H23, "prompt": "A kettle whistles [Push in]", "duration": 6}
    task_id = good(post(sandbox, "/v1/video_generation", body))["task_id"]
    assert isinstance(task_id, str)
    done = ended(sandbox, "/v1/query/video_generation", task_id)
    assert (done["status"], done["video_width"], done["video_height"]) == (
        *("Success", 1366),
        768,
    )
    assert isinstance(done["file_id"], str)
    file = good(get(sandbox, "/v1/files/retrieve", file_id=done["file_id"]))["file"]
    assert file["file_id"] == int(done["file_id"])
    assert file["filename"] == "output_aigc.mp4"
    assert is_film(requests.get(file["download_url"], timeout=10).content)
    same = get(sandbox, "/v1/files/retrieve_content", file_id=done["file_id"])
    assert is_film(same.content)


@pytest.mark.parametrize(
    "change",
    [
        {"model": H23, "resolution": "1080P"},
        {"model": H23, "duration": 10, "first_frame_image": PICTURE},
        {"model": "MiniMax-Hailuo-2.3-Fast", "first_frame_image": URL, "prompt": None},
        {
            "model": H02,
            "resolution": "512P",
            "first_frame_image": URL,
            "last_frame_image": URL,
        },
        {
            "model": "S2V-01",
            "subject_reference": [{"type": "character", "image": [URL]}],
        },
    ],
)
def test_v1_video_is_taken(sandbox: Sandbox, change: dict[str, Any]):
    good(post(sandbox, "/v1/video_generation", {"prompt": "a kite", **change}))


@pytest.mark.parametrize(
    "change",
    [
        {"model": "abab-6"},
        {"prompt": ""},
        {"prompt": "a" * 2001},
        {"duration": 5},
        {"duration": 10, "resolution": "1080P"},
        {"resolution": "720P"},
        {"resolution": "1080p"},
        {"model": H02, "resolution": "512P"},
        {"model": "MiniMax-Hailuo-2.3-Fast"},
        {"model": "S2V-01"},
        {"model": "T2V-01", "first_frame_image": URL},
        {"last_frame_image": URL},
        {"first_frame_image": "data:image/png;base64,AAAA"},
        {"first_frame_image": "a.png"},
        {
            "first_frame_image": "data:image/png;base64,"
            + base64.b64encode(make_image("small", 640, 300)).decode()
        },
        {"subject_reference": [{"type": "dog", "image": [URL]}]},
        {"prompt_optimizer": "maybe"},
        {"callback_url": "http://127.0.0.1:9/nobody"},
    ],
)
def test_v1_video_that_does_not_fit_is_refused_with_2013(
    sandbox: Sandbox, change: dict[str, Any]
):
    body = {"model": H23, "prompt": "a kite", **change}
    answer = post(sandbox, "/v1/video_generation", body)
    assert (code_of(answer), answer.json()["task_id"]) == (2013, "")
    assert sandbox.ledger.submits("minimax") == []


@pytest.mark.parametrize(
    ("prompt", "headers", "status", "code"),
    [
        ("a kite", {}, 200, 1004),
        ("a kite", {"Authorization": "Bearer bad-key"}, 200, 1004),
        ("a kite", {"Authorization": "Bearer quota-key"}, 200, 1008),
        ("a kite [429 once]", KEY, 200, 1002),
        ("a kite [quota]", KEY, 200, 1008),
        ("a kite [403]", KEY, 200, 2061),
        ("a kite [blocked]", KEY, 200, 1026),
        ("a kite [503 before]", KEY, 503, 1000),
    ],
)
def test_v1_refusal_has_its_number_in_the_body(
    sandbox: Sandbox, prompt: str, headers: dict[str, str], status: int, code: int
):
    body = {"model": H23, "prompt": prompt}
    answer = post(sandbox, "/v1/video_generation", body, headers)
    assert answer.status_code == status
    assert answer.json()["base_resp"]["status_code"] == code
    assert sandbox.ledger.submits("minimax") == []


@pytest.mark.parametrize(("tag", "code"), [("[fail]", 1000), ("[blocked late]", 1027)])
def test_v1_job_that_failed_tells_why_beside_its_status(
    sandbox: Sandbox, tag: str, code: int
):
    body = {"model": H23, "prompt": f"a kite {tag}"}
    task_id = good(post(sandbox, "/v1/video_generation", body))["task_id"]
    done = ended(sandbox, "/v1/query/video_generation", task_id)
    assert (done["status"], done["file_id"]) == ("Fail", "")
    assert done["base_resp"]["status_code"] == code


def test_unknown_job_or_file_is_an_invalid_parameter(sandbox: Sandbox):
    answer = get(sandbox, "/v1/query/video_generation", task_id="1")
    assert (code_of(answer), answer.json()["status"]) == (2013, "")
    for file_id in ("", "x", "1", "9" * 40):
        assert code_of(get(sandbox, "/v1/files/retrieve", file_id=file_id)) == 2013


def test_link_that_was_changed_or_died_gives_no_file(sandbox: Sandbox):
    for tag, change in (("", "x"), ("[expire]", "")):
        body = {"model": H23, "prompt": f"a kite {tag}"}
        task_id = good(post(sandbox, "/v1/video_generation", body))["task_id"]
        file_id = ended(sandbox, "/v1/query/video_generation", task_id)["file_id"]
        file = good(get(sandbox, "/v1/files/retrieve", file_id=file_id))["file"]
        answer = requests.get(file["download_url"] + change, timeout=10)
        assert answer.status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/v1/video_generation",
        "/v1/image_generation",
        "/v1/t2a_v2",
        "/v1/t2a_async_v2",
        "/v1/music_generation",
    ],
)
@pytest.mark.parametrize("body", [None, [], {}, {"model": 7}, {"model": None}])
def test_body_that_makes_no_sense_is_refused(sandbox: Sandbox, path: str, body: Any):
    assert code_of(post(sandbox, path, body)) == 2013


# Callbacks


@contextmanager
def answering(repeats: bool) -> Iterator[tuple[str, Queue[Any]]]:
    """A receiver that repeats the challenge, or does not; its URL and what it hears."""
    heard: Queue[Any] = Queue()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.put(json.loads(body))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body if repeats else b"{}")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_callbacks_come_after_the_challenge_in_lower_case(sandbox: Sandbox):
    with answering(repeats=True) as (url, heard):
        body = {"model": H23, "prompt": "a kite", "callback_url": url}
        task_id = good(post(sandbox, "/v1/video_generation", body))["task_id"]
        assert list(heard.get(timeout=5)) == ["challenge"]
        assert heard.get(timeout=5)["status"] == "processing"
        last = heard.get(timeout=5)
        assert (last["task_id"], last["status"]) == (task_id, "success")
        assert last["file_id"]


def test_v2_callback_is_like_the_query(sandbox: Sandbox):
    with answering(repeats=True) as (url, heard):
        body = {**V2_BODY, "callback_url": url}
        task_id = post(sandbox, "/v2/video_generation", body).json()["task_id"]
        assert list(heard.get(timeout=5)) == ["challenge"]
        assert heard.get(timeout=5)["task"]["status"] == "running"
        assert heard.get(timeout=5)["task"]["id"] == task_id


def test_address_that_does_not_repeat_the_challenge_is_refused(sandbox: Sandbox):
    with answering(repeats=False) as (url, _):
        body = {"model": H23, "prompt": "a kite", "callback_url": url}
        assert code_of(post(sandbox, "/v1/video_generation", body)) == 2013


# Videos of v2


def v2_ended(sandbox: Sandbox, task_id: str) -> Any:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        task = get(sandbox, f"/v2/query/video_generation/{task_id}").json()["task"]
        if task["status"] not in ("queued", "running"):
            return task
        time.sleep(0.02)
    raise AssertionError("the task never ended")


def test_v2_video_names_its_link_itself(sandbox: Sandbox):
    answer = post(sandbox, "/v2/video_generation", V2_BODY)
    assert list(answer.json()) == ["task_id"]
    task_id = answer.json()["task_id"]
    task = v2_ended(sandbox, task_id)
    assert (task["status"], task["task_type"]) == ("succeeded", "t2v")
    assert task["usage"]["output_seconds"] == 6
    assert is_film(requests.get(task["content"]["url"], timeout=10).content)
    listed = get(sandbox, "/v2/query/video_generation", page_num=1, page_size=10)
    assert [each["id"] for each in listed.json()["tasks"]] == [task_id]
    again = {"model": H3, "source_task_id": task_id, "resolution": "2K"}
    assert post(sandbox, "/v2/video_regeneration", again).json()["task_id"] != task_id


def file_item(kind: str, role: str, url: str = URL) -> dict[str, Any]:
    return {"type": kind, kind: {"url": url}, "role": role}


@pytest.mark.parametrize(
    "content",
    [
        [TEXT, file_item("image_url", "first_frame", PICTURE)],
        [file_item("image_url", "first_frame"), file_item("image_url", "last_frame")],
        [TEXT] + [file_item("image_url", "reference_image")] * 9,
        [file_item("video_url", "base_video"), TEXT],
        [
            file_item("video_url", "reference_video"),
            file_item("audio_url", "reference_audio"),
        ],
    ],
)
def test_v2_content_is_taken_without_a_ratio(sandbox: Sandbox, content: Any):
    body = {"model": H3, "content": content, "resolution": "2K", "duration": 5}
    assert post(sandbox, "/v2/video_generation", body).json()["task_id"]


@pytest.mark.parametrize(
    "change",
    [
        {"model": H23},
        {"content": []},
        {"content": ["text"]},
        {"content": [{"type": "smell"}]},
        {"content": [TEXT, file_item("image_url", "last_frame")]},
        {"content": [TEXT, file_item("image_url", "reference_video")]},
        {"content": [TEXT, file_item("audio_url", "reference_audio")]},
        {"content": [TEXT] + [file_item("image_url", "reference_image")] * 10},
        {
            "content": [
                file_item("image_url", "first_frame"),
                file_item("image_url", "reference_image"),
            ]
        },
        {"ratio": "adaptive"},
        {"ratio": None},
        {"ratio": "2:1"},
        {"duration": 4},
        {"duration": 16},
        {"duration": "6"},
        {"resolution": "large"},
    ],
)
def test_v2_video_that_does_not_fit_is_refused_with_400(
    sandbox: Sandbox, change: dict[str, Any]
):
    answer = post(sandbox, "/v2/video_generation", {**V2_BODY, **change})
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "bad_request_error"
    assert answer.json()["error"]["message"].endswith("(2013)")


@pytest.mark.parametrize(
    ("tag", "status", "kind"),
    [
        ("[401]", 401, "authorized_error"),
        ("[quota]", 402, "insufficient_balance_error"),
        ("[blocked]", 422, "unprocessable_entity_error"),
        ("[429]", 429, "rate_limit_error"),
        ("[500 before]", 500, "server_error"),
    ],
)
def test_v2_refusal_is_an_http_status(
    sandbox: Sandbox, tag: str, status: int, kind: str
):
    content = [{"type": "text", "text": f"snow {tag}"}]
    answer = post(sandbox, "/v2/video_generation", {**V2_BODY, "content": content})
    assert (answer.status_code, answer.json()["error"]["type"]) == (status, kind)


# Images


def test_images_come_with_counts_as_texts(sandbox: Sandbox):
    body = {"model": "image-01", "prompt": "a kite", "n": 3, "aspect_ratio": "16:9"}
    made = good(post(sandbox, "/v1/image_generation", body))
    assert made["metadata"] == {"success_count": "3", "failed_count": "0"}
    for url in made["data"]["image_urls"]:
        content = requests.get(url, timeout=10).content
        with Image.open(io.BytesIO(content)) as image:
            assert (image.format, image.size) == ("JPEG", (1820, 1024))


def test_image_in_base64_has_the_size_asked_for(sandbox: Sandbox):
    body = {
        "model": "image-01",
        "prompt": "two kites [partial]",
        "n": 2,
        "width": 640,
        "height": 512,
        "response_format": "base64",
        "subject_reference": [{"type": "character", "image_file": PICTURE}],
    }
    made = good(post(sandbox, "/v1/image_generation", body))
    assert made["metadata"] == {"success_count": "1", "failed_count": "1"}
    (text,) = made["data"]["image_base64"]
    with Image.open(io.BytesIO(base64.b64decode(text))) as image:
        assert image.size == (640, 512)


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "a" * 1501},
        {"n": 10},
        {"aspect_ratio": "5:4"},
        {"width": 640},
        {"width": 500, "height": 512},
        {"width": 513, "height": 512},
        {"model": "image-01-live", "aspect_ratio": "21:9"},
        {"model": "image-01-live", "width": 512, "height": 512},
        {"response_format": "b64_json"},
        {"subject_reference": [{"type": "character", "image": [URL]}]},
    ],
)
def test_image_that_does_not_fit_is_refused(sandbox: Sandbox, change: dict[str, Any]):
    body = {"model": "image-01", "prompt": "a kite", **change}
    assert code_of(post(sandbox, "/v1/image_generation", body)) == 2013


def test_openai_style_edit_is_a_form_with_real_images(sandbox: Sandbox):
    url = f"{sandbox.url}/minimax/v1/images/edits"
    fields = {"model": "MiniMax-H3-Image", "prompt": "a kite", "n": "2"}

    def edit(content: bytes) -> requests.Response:
        files = {"image": ("a.png", content, "image/png")}
        return requests.post(url, data=fields, files=files, headers=KEY, timeout=10)

    data = good(edit(make_image("a frame", 320, 320)))["data"]
    assert len(data) == 2
    assert Image.open(io.BytesIO(requests.get(data[0]["url"], timeout=10).content))
    assert edit(b"no image").status_code == 400
    assert requests.post(url, data=fields, headers=KEY, timeout=10).status_code == 400


# Sounds


@pytest.mark.parametrize("form", ["mp3", "wav", "flac"])
def test_speech_is_hex_or_a_link(sandbox: Sandbox, form: str):
    body = {**SPEECH_BODY, "audio_setting": {"format": form, "sample_rate": 32000}}
    made = good(post(sandbox, "/v1/t2a_v2", body))
    assert is_sound(bytes.fromhex(made["data"]["audio"]))
    assert (made["data"]["status"], made["extra_info"]["audio_format"]) == (2, form)
    linked = good(post(sandbox, "/v1/t2a_v2", {**body, "output_format": "url"}))
    assert is_sound(requests.get(linked["data"]["audio"], timeout=10).content)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"model": "speech-9"}, 2013),
        ({"text": ""}, 2013),
        ({"text": "a" * 10_000}, 2013),
        ({"text": "a" + "\u200b" * 5}, 1042),
        ({"voice_setting": {}}, 2013),
        ({"voice_setting": {"voice_id": "x", "speed": 3}}, 2013),
        ({"voice_setting": {"voice_id": "x", "vol": 0}}, 2013),
        ({"voice_setting": {"voice_id": "x", "pitch": 13}}, 2013),
        ({"audio_setting": {"format": "opus"}}, 2013),
        ({"audio_setting": {"sample_rate": 48000}}, 2013),
        ({"output_format": "base64"}, 2013),
    ],
)
def test_speech_that_does_not_fit_is_refused(
    sandbox: Sandbox, change: dict[str, Any], code: int
):
    assert code_of(post(sandbox, "/v1/t2a_v2", {**SPEECH_BODY, **change})) == code


def test_long_speech_is_an_archive_of_an_uploaded_text(sandbox: Sandbox):
    upload = requests.post(
        f"{sandbox.url}/minimax/v1/files/upload",
        data={"purpose": "t2a_async_input"},
        files={"file": ("story.txt", b"Once upon a time", "text/plain")},
        headers=KEY,
        timeout=10,
    )
    file_id = good(upload)["file"]["file_id"]
    body = {
        "model": "speech-2.6-hd",
        "text_file_id": file_id,
        "voice_setting": {"voice_id": "x"},
    }
    refused = post(sandbox, "/v1/t2a_async_v2", {**body, "text_file_id": str(file_id)})
    assert code_of(refused) == 2013
    job = good(post(sandbox, "/v1/t2a_async_v2", body))
    assert isinstance(job["task_id"], int)
    assert job["usage_characters"] == 16
    done = ended(sandbox, "/v1/query/t2a_async_query_v2", job["task_id"])
    file = good(get(sandbox, "/v1/files/retrieve", file_id=done["file_id"]))["file"]
    archive = requests.get(file["download_url"], timeout=10).content
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
        endings = [name.rpartition(".")[2] for name in tar.getnames()]
        assert endings == ["titles", "extra", "mp3"]
        sound = tar.extractfile(tar.getnames()[2])
        assert sound is not None
        assert is_sound(sound.read())


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"lyrics": "La la"}, 0),
        ({"is_instrumental": True}, 0),
        ({"lyrics_optimizer": True}, 0),
        ({}, 2013),
        ({"model": "music-2.0", "lyrics_optimizer": True}, 2013),
        ({"lyrics": "a" * 3501}, 2013),
        ({"lyrics": "La", "audio_setting": {"format": "flac"}}, 2013),
        ({"lyrics": "La", "prompt": "a" * 2001}, 2013),
    ],
)
def test_song_needs_lyrics_unless_it_has_none(
    sandbox: Sandbox, change: dict[str, Any], code: int
):
    body = {"model": "music-2.6", "prompt": "a shanty", "output_format": "url"}
    answer = post(sandbox, "/v1/music_generation", {**body, **change})
    assert code_of(answer) == code
    if code == 0:
        song = requests.get(answer.json()["data"]["audio"], timeout=10).content
        assert is_sound(song)


def test_every_call_is_counted(sandbox: Sandbox):
    body = {"model": H23, "prompt": "a kite"}
    task_id = good(post(sandbox, "/v1/video_generation", body))["task_id"]
    get(sandbox, "/v1/query/video_generation", task_id=task_id)
    (paid,) = sandbox.ledger.submits("minimax")
    assert (paid.job_id, paid.model) == (task_id, H23)
    assert sandbox.ledger.calls("minimax", CallKind.POLL) == 1
