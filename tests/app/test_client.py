"""A client of the gateway, against a server that does as it is told."""

from __future__ import annotations

import io
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from app.client import CallFailed, Clock, Finished, Target, find_gateway, generate

TASK_ID = "task_0123456789abcdef0123456789abcdef"
KEY = "sk-test"
PNG = b"\x89PNG\r\n\x1a\n and so on"
HANG_UP = "hang up"


@dataclass(frozen=True)
class Answer:
    """What the server says to one call."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    missing_bytes: int = 0


@dataclass(frozen=True)
class Asked:
    """One call as it arrived."""

    method: str
    path: str
    headers: Message
    body: bytes

    def form(self) -> list[tuple[str, str | None, bytes]]:
        """Name, file name and content of each part."""
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        parts: Any = BytesParser().parsebytes(head + self.body).get_payload()
        return [
            (
                part.get_param("name", header="content-disposition"),
                part.get_filename(),
                part.get_payload(decode=True),
            )
            for part in parts
        ]


@dataclass
class Server:
    """Answers each kind of call from a list; its last answer is repeated."""

    url: str = ""
    posts: list[Answer | str] = field(default_factory=list)
    gets: list[Answer | str] = field(default_factory=list)
    files: list[Answer | str] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)

    def answer(self, asked: Asked) -> Answer | str:
        self.asked.append(asked)
        kind = self.posts if asked.method == "POST" else self.gets
        if asked.path.startswith("/files/"):
            kind = self.files
        return kind.pop(0) if len(kind) > 1 else kind[0]

    def of(self, method: str, start: str = "/") -> list[Asked]:
        return [
            asked
            for asked in self.asked
            if asked.method == method and asked.path.startswith(start)
        ]


@dataclass
class Time:
    """A clock that goes on only while somebody sleeps."""

    now_s: float = 0.0
    slept: list[float] = field(default_factory=list)

    def clock(self) -> Clock:
        return Clock(lambda: self.now_s, self.sleep)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_s += seconds


@pytest.fixture
def server() -> Iterator[Server]:
    """A server whose one task succeeds at once, with one image."""
    told = Server()

    class Handler(BaseHTTPRequestHandler):
        def handle_call(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = told.answer(Asked(self.command, self.path, self.headers, body))
            if isinstance(answer, str):
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            length = len(answer.body) + answer.missing_bytes
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_POST = handle_call

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.url = f"http://127.0.0.1:{http.server_port}"
    told.posts = [success({"task_id": TASK_ID, "status": "queued"})]
    told.gets = [success(a_task(told.url))]
    told.files = [Answer(body=PNG)]
    thread = threading.Thread(target=http.serve_forever, args=(0.02,))
    thread.start()
    yield told
    http.shutdown()
    thread.join()
    http.server_close()


def envelope(status: int, code: str, message: str, **more: Any) -> Answer:
    headers = more.pop("headers", {})
    body = {"code": code, "message": message, "data": None, **more}
    return Answer(status, json.dumps(body).encode(), headers)


def success(data: Mapping[str, Any]) -> Answer:
    return envelope(200, "success", "", data=data)


def a_result(url: str | None, **fields: Any) -> dict[str, Any]:
    return {"url": url, "content_type": "image/png", "text": None, **fields}


def a_task(url: str, **fields: Any) -> dict[str, Any]:
    return {
        "task_id": TASK_ID,
        "model": "lumen/1",
        "status": "succeeded",
        "progress": "100%",
        "error": "",
        "error_code": None,
        "results": [a_result(f"{url}/files/0?signature=x")],
        **fields,
    }


@dataclass(frozen=True)
class Caller:
    """Generates with one server and one folder."""

    server: Server
    folder: Path
    time: Time

    def __call__(self, **options: Any) -> Finished:
        return generate(
            Target(self.server.url, KEY),
            **{
                "prompt": "a lighthouse",
                "model": "lumen/1",
                "images": [],
                "fields": {},
                "out": self.folder,
                "timeout_s": 600,
                "console": Console(quiet=True),
                "clock": self.time.clock(),
                **options,
            },
        )

    def refusal(self, **options: Any) -> str:
        with pytest.raises(CallFailed) as caught:
            self(**options)
        return str(caught.value)


@pytest.fixture
def call(server: Server, tmp_path: Path) -> Caller:
    return Caller(server, tmp_path / "out", Time())


def test_a_prompt_becomes_a_file(call: Caller, server: Server) -> None:
    finished = call()

    assert finished.files == (call.folder / "lumen-1-89abcdef-1.png",)
    assert finished.files[0].read_bytes() == PNG
    assert finished.task["task_id"] == TASK_ID
    assert finished.texts == ()


def test_a_prompt_alone_is_sent_as_json(call: Caller, server: Server) -> None:
    call()

    (post,) = server.of("POST")
    assert post.path == "/generation/tasks"
    assert post.headers["Authorization"] == "Bearer sk-test"
    assert post.headers["Content-Type"] == "application/json"
    assert json.loads(post.body) == {"model": "lumen/1", "prompt": "a lighthouse"}


def test_fields_are_sent_as_a_form_whose_texts_the_gateway_reads(
    call: Caller, server: Server
) -> None:
    call(fields={"n": "2", "size": "1024x1024", "title": "ü"}, prompt="ein Turm, schön")

    assert server.of("POST")[0].form() == [
        ("model", None, b"lumen/1"),
        ("prompt", None, "ein Turm, schön".encode()),
        ("n", None, b"2"),
        ("size", None, b"1024x1024"),
        ("title", None, "ü".encode()),
    ]


def test_images_are_sent_as_files_in_their_order(
    call: Caller, server: Server, tmp_path: Path
) -> None:
    first, second = tmp_path / "a.png", tmp_path / "b.bin"
    first.write_bytes(PNG)
    second.write_bytes(b"\0\r\n--")

    call(images=[first, second])

    assert server.of("POST")[0].form()[2:] == [
        ("images", "a.png", PNG),
        ("images", "b.bin", b"\0\r\n--"),
    ]


def test_a_single_image_is_the_field_image(
    call: Caller, server: Server, tmp_path: Path
) -> None:
    image = tmp_path / "a.png"
    image.write_bytes(PNG)

    call(images=[image])

    assert server.of("POST")[0].form()[2] == ("image", "a.png", PNG)


def test_a_task_is_followed_to_its_end(call: Caller, server: Server) -> None:
    server.gets = [
        success(a_task(server.url, status="queued", progress="0%")),
        success(a_task(server.url, status="processing", progress="40%")),
        success(a_task(server.url)),
    ]

    assert call().files

    looks = server.of("GET", "/generation")
    assert [look.path for look in looks] == [f"/generation/tasks/{TASK_ID}?wait=30"] * 3


@pytest.mark.parametrize(
    "lost",
    [
        HANG_UP,
        Answer(502, b"<html>"),
        Answer(504),
        Answer(200, b"{", missing_bytes=50),
        envelope(409, "idempotency_conflict", "", headers={"Retry-After": "1"}),
        envelope(429, "rate_limited", "", headers={"Retry-After": "7"}),
        envelope(503, "not_ready", "", headers={"Retry-After": "2"}),
    ],
)
def test_a_task_whose_answer_is_lost_is_sent_again_under_the_same_key(
    call: Caller, server: Server, lost: Answer | str
) -> None:
    server.posts.insert(0, lost)

    assert call().files

    first, second = server.of("POST")
    assert first.headers["Idempotency-Key"]
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]
    assert first.body == second.body


def test_a_form_that_is_sent_again_has_the_same_content(
    call: Caller, server: Server, tmp_path: Path
) -> None:
    image = tmp_path / "a.png"
    image.write_bytes(PNG)
    server.posts.insert(0, HANG_UP)

    call(images=[image], fields={"n": "1"})

    first, second = server.of("POST")
    assert first.form() == second.form()


def test_every_task_has_a_key_of_its_own(call: Caller, server: Server) -> None:
    call()
    call()

    first, second = server.of("POST")
    assert first.headers["Idempotency-Key"] != second.headers["Idempotency-Key"]


def test_retry_after_is_waited_for(call: Caller, server: Server) -> None:
    busy = envelope(429, "rate_limited", "", headers={"Retry-After": "7"})
    server.posts.insert(0, busy)

    call()

    assert call.time.slept[0] == 7


def test_a_gateway_that_never_answers_a_task_is_given_up(
    call: Caller, server: Server
) -> None:
    server.posts = [HANG_UP]

    told = call.refusal()

    assert "which may have been taken" in told
    assert len(server.of("POST")) == 5


def test_waiting_for_a_busy_gateway_ends_with_the_time(
    call: Caller, server: Server
) -> None:
    server.posts = [envelope(503, "not_ready", "", headers={"Retry-After": "30"})]

    told = call.refusal(timeout_s=100)

    assert told == "the task was not taken within 100 seconds: HTTP 503"
    assert len(server.of("POST")) == 4


def test_nobody_listening_is_said_at_once(call: Caller, server: Server) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        server.url = f"http://127.0.0.1:{taken.getsockname()[1]}"

        told = call.refusal()

    assert told == f"nothing answers at {server.url}: Connection refused"
    assert call.time.slept == []


@pytest.mark.parametrize("lost", [HANG_UP, Answer(502), Answer(503), Answer(429)])
def test_a_lost_look_is_repeated(
    call: Caller, server: Server, lost: Answer | str
) -> None:
    server.gets = [lost, lost, *server.gets]

    assert call().files

    assert call.time.slept[:2] == [0.5, 1.0]
    assert len(server.of("POST")) == 1


def test_a_refusal_is_told_in_the_gateways_words(call: Caller, server: Server) -> None:
    server.posts = [
        envelope(400, "invalid_request", "n is 9", errors={"n": ["is 9"]}),
    ]

    assert call.refusal() == "n is 9 (invalid_request, HTTP 400)"
    assert len(server.of("POST")) == 1


def test_every_wrong_field_is_told(call: Caller, server: Server) -> None:
    errors = {"n": ["is 9", "is odd"], "size": ["is unknown"]}
    server.posts = [envelope(400, "invalid_request", "n is 9 ...", errors=errors)]

    told = call.refusal()

    assert told == "n is 9; n is odd; size is unknown (invalid_request, HTTP 400)"


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, b"<html>"),
        Answer(404, b"not here"),
        Answer(200, b"[]"),
        Answer(200, b'{"code": "success", "message": "", "data": null}'),
        Answer(500, b'{"error": "x"}'),
    ],
)
def test_another_service_at_that_address_is_recognised(
    call: Caller, server: Server, answer: Answer
) -> None:
    server.posts = [answer]

    assert "and not as genrelay" in call.refusal()


def test_a_task_that_fails_says_why(call: Caller, server: Server) -> None:
    failed = a_task(
        server.url, status="failed", error="too dark", error_code="content_rejected"
    )
    server.gets = [success(failed)]

    told = call.refusal()

    assert told == f"{TASK_ID} failed (content_rejected): too dark"


def test_a_task_that_takes_too_long_is_left_to_itself(
    call: Caller, server: Server
) -> None:
    server.gets = [success(a_task(server.url, status="processing"))]

    told = call.refusal(timeout_s=3)

    assert told.startswith(f"{TASK_ID} is still processing after 3 seconds; it goes on")
    assert len(server.of("GET")) < 10


def test_no_more_is_waited_for_than_the_time_that_is_left(
    call: Caller, server: Server
) -> None:
    call(timeout_s=12)

    assert server.of("GET", "/generation")[0].path.endswith("?wait=12")


def test_on_a_terminal_the_percentage_is_asked_for_often(
    call: Caller, server: Server
) -> None:
    server.gets.insert(
        0, success(a_task(server.url, status="processing", progress="40%"))
    )
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=80)

    call(console=console)

    assert server.of("GET", "/generation")[0].path.endswith("?wait=2")
    assert "40%" in screen.getvalue()
    assert "processing" in screen.getvalue()


def test_a_file_that_is_there_is_never_overwritten(call: Caller) -> None:
    call.folder.mkdir()
    present = call.folder / "lumen-1-89abcdef-1.png"
    present.write_bytes(b"mine")

    finished = call()

    assert finished.files == (call.folder / "lumen-1-89abcdef-1-2.png",)
    assert present.read_bytes() == b"mine"


def test_results_are_numbered_and_named_by_their_type(
    call: Caller, server: Server
) -> None:
    results = [
        a_result(f"{server.url}/files/0"),
        a_result(f"{server.url}/files/1", content_type="audio/mpeg"),
        a_result(f"{server.url}/files/2", content_type=None),
    ]
    server.gets = [success(a_task(server.url, results=results))]

    names = [file.name for file in call().files]

    assert names == [
        "lumen-1-89abcdef-1.png",
        "lumen-1-89abcdef-2.mp3",
        "lumen-1-89abcdef-3.bin",
    ]


def test_a_model_name_cannot_lead_out_of_the_folder(
    call: Caller, server: Server
) -> None:
    server.gets = [success(a_task(server.url, model="../../etc/passwd"))]

    assert call().files == (call.folder / "etc-passwd-89abcdef-1.png",)


def test_a_result_without_a_file_is_a_text(call: Caller, server: Server) -> None:
    result = a_result(None, content_type=None, text="la la la")
    server.gets = [success(a_task(server.url, results=[result]))]

    finished = call()

    assert finished.texts == ("la la la",)
    assert finished.files == ()


def test_the_key_is_not_sent_to_where_files_lie(call: Caller, server: Server) -> None:
    call()

    assert server.of("GET", "/files/")[0].headers["Authorization"] is None


def test_the_key_goes_nowhere_but_to_the_gateway(
    call: Caller, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login someone password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))

    call()

    assert {asked.headers["Authorization"] for asked in server.asked} == {
        "Bearer sk-test",
        None,
    }


@pytest.mark.parametrize(
    "lost", [HANG_UP, Answer(503), Answer(body=PNG[:5], missing_bytes=5)]
)
def test_a_file_that_did_not_arrive_whole_is_fetched_again(
    call: Caller, server: Server, lost: Answer | str
) -> None:
    server.files.insert(0, lost)

    assert call().files[0].read_bytes() == PNG


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Answer(404), "cannot be fetched: HTTP 404"),
        (Answer(body=PNG, missing_bytes=5), "a result file did not arrive"),
    ],
)
def test_a_file_that_cannot_be_had_leaves_no_half_of_it(
    call: Caller, server: Server, answer: Answer, told: str
) -> None:
    server.files = [answer]

    assert told in call.refusal()
    assert list(call.folder.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told_before_anything_is_paid(
    call: Caller, server: Server
) -> None:
    call.folder.write_text("a file")

    with pytest.raises(FileExistsError):
        call()

    assert server.asked == []


def test_a_field_that_is_a_parameter_too_is_refused(
    call: Caller, server: Server
) -> None:
    assert "prompt is given twice" in call.refusal(fields={"prompt": "b"})
    assert server.asked == []


@pytest.fixture
def embedded(tmp_path: Path) -> dict[str, str]:
    """The environment of a data folder in which a gateway runs."""
    (tmp_path / "gateway.json").write_text('{"url": "http://127.0.0.1:8123"}')
    (tmp_path / "credentials.json").write_text('{"api_key": "sk-own"}')
    return {"GENRELAY_DATA": str(tmp_path)}


def test_the_embedded_gateway_is_found_by_its_data_folder(
    embedded: dict[str, str],
) -> None:
    found = find_gateway(None, None, embedded)

    assert found == Target("http://127.0.0.1:8123", "sk-own")


def test_a_named_gateway_and_key_are_taken(embedded: dict[str, str]) -> None:
    found = find_gateway("https://gate.example.com/", "sk-1", embedded)

    assert found == Target("https://gate.example.com", "sk-1")


def test_another_key_may_be_used_at_the_embedded_gateway(
    embedded: dict[str, str],
) -> None:
    assert find_gateway(None, "sk-2", embedded).api_key == "sk-2"


def test_the_embedded_key_is_not_sent_to_another_gateway(
    embedded: dict[str, str],
) -> None:
    with pytest.raises(CallFailed, match="--api-key"):
        find_gateway("https://gate.example.com", None, embedded)


def test_a_key_is_not_shown_with_its_target() -> None:
    assert "sk-1" not in repr(Target("http://127.0.0.1", "sk-1"))


def test_no_gateway_at_all_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(CallFailed, match="genrelay up"):
        find_gateway(None, None, {"GENRELAY_DATA": str(tmp_path)})


def test_a_damaged_file_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "gateway.json").write_text("{")

    with pytest.raises(CallFailed, match="no gateway was started"):
        find_gateway(None, None, {"GENRELAY_DATA": str(tmp_path)})


@pytest.mark.parametrize(
    "url",
    ["gate.example.com", "ftp://gate.example.com", "http://", "http://g/?a=b", ""],
)
def test_a_wrong_address_is_named(url: str, tmp_path: Path) -> None:
    with pytest.raises(CallFailed, match=r"is not http\(s\)"):
        find_gateway(url, "sk-1", {"GENRELAY_DATA": str(tmp_path)})


def test_a_key_that_no_header_can_carry_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CallFailed, match="printable ASCII"):
        find_gateway("http://g", "sk-ü", {"GENRELAY_DATA": str(tmp_path)})
