"""The web server over real sockets."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from app.wsgi import WebServer, serve
from tests.app.api.gateways import SECRET_KEY, Gateway, make_gateway
from tests.app.api.test_tasks import finish


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    made = make_gateway(tmp_path, GENRELAY_WEB_PORT="0", GENRELAY_WEB_THREADS="4")
    yield made
    made.rt.database.close()


@pytest.fixture
def server(gateway: Gateway) -> Iterator[WebServer]:
    started = serve(gateway.flask_app, gateway.rt.settings)
    yield started
    started.close()


def raw(server: WebServer, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send these bytes; status, headers and body of what comes back."""
    with socket.create_connection((server.host, server.port), timeout=20) as sock:
        sock.sendall(request)
        answer = http.client.HTTPResponse(sock)
        answer.begin()
        return answer.status, dict(answer.getheaders()), answer.read()


def test_a_task_is_taken_and_read(gateway: Gateway, server: WebServer) -> None:
    taken = requests.post(
        f"{server.url}/generation/tasks",
        json={"model": "lumen-free", "prompt": "a pier"},
        headers=gateway.headers,
        timeout=20,
    )
    location = taken.headers["Location"]
    task = requests.get(server.url + location, headers=gateway.headers, timeout=20)

    assert task.json()["data"]["status"] == "queued"


def test_a_chunked_body_is_read(gateway: Gateway, server: WebServer) -> None:
    body = json.dumps({"model": "lumen-free", "prompt": "a pier"}).encode()

    taken = requests.post(
        f"{server.url}/generation/tasks",
        data=iter([body[:10], body[10:]]),
        headers={**gateway.headers, "Content-Type": "application/json"},
        timeout=20,
    )

    assert taken.status_code == 200


def test_a_body_over_the_limit_gets_its_answer(
    gateway: Gateway, server: WebServer
) -> None:
    size = gateway.rt.settings.max_upload_bytes + 1024 * 1024 + 1

    answer = requests.post(
        f"{server.url}/generation/tasks",
        data=b" " * size,
        headers={**gateway.headers, "Content-Type": "application/json"},
        timeout=20,
    )

    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


@pytest.mark.parametrize(
    ("head", "status", "code"),
    [
        (
            "POST /generation/tasks HTTP/1.1\r\nContent-Length: 9999999999",
            413,
            "too_large",
        ),
        (
            "POST /generation/tasks HTTP/1.1\r\nContent-Length: x",
            400,
            "invalid_request",
        ),
        (
            "POST /generation/tasks HTTP/1.1\r\nContent-Length: -1",
            400,
            "invalid_request",
        ),
        ("GET /healthz HTTP/1.1\r\nX: " + "a" * 70_000, 431, "headers_too_large"),
        ("hello", 400, "invalid_request"),
    ],
)
def test_what_the_server_refuses_by_itself_is_the_envelope(
    server: WebServer, head: str, status: int, code: str
) -> None:
    got, headers, body = raw(server, head.encode() + b"\r\nHost: a\r\n\r\n")

    assert (got, json.loads(body)["code"]) == (status, code)
    assert headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("wanted", ["", "bytes=1000-", "bytes=1000-1999"])
def test_files_are_sent_exactly(
    gateway: Gateway, server: WebServer, wanted: str
) -> None:
    content = bytes(range(251)) * 20_000
    task_id = gateway.submitted()
    gateway.rt.storage.put("results/a.mp4", content)
    finish(gateway, task_id, storage_key="results/a.mp4", content_type="video/mp4")
    url = f"{server.url}/generation/tasks/{task_id}/results/0"
    headers = {**gateway.headers, **({"Range": wanted} if wanted else {})}

    with requests.Session() as session:
        got = [session.get(url, headers=headers, timeout=20).content for _ in range(2)]

    part = {"": slice(None), "bytes=1000-": slice(1000, None)}.get(
        wanted, slice(1000, 2000)
    )
    assert got == [content[part]] * 2


def test_slow_readers_of_files_do_not_hold_the_threads(
    gateway: Gateway, server: WebServer
) -> None:
    task_id = gateway.submitted()
    gateway.rt.storage.put("results/a.mp4", b"x" * 40_000_000)
    finish(gateway, task_id, storage_key="results/a.mp4")
    path = f"/generation/tasks/{task_id}/results/0"
    request = f"GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {gateway.key}"
    readers = []
    for _ in range(8):  # twice as many as there are threads
        reader = socket.create_connection((server.host, server.port), timeout=20)
        reader.sendall(request.encode() + b"\r\n\r\n")
        reader.recv(100)
        readers.append(reader)

    assert requests.get(f"{server.url}/healthz", timeout=20).status_code == 200
    for reader in readers:
        reader.close()


def test_close_answers_those_who_wait(gateway: Gateway, server: WebServer) -> None:
    task_id, answers = gateway.submitted(), list[int]()

    def wait() -> None:
        url = f"{server.url}/generation/tasks/{task_id}?wait=60"
        answer = requests.get(url, headers=gateway.headers, timeout=50)
        answers.append(answer.status_code)

    waiter = threading.Thread(target=wait)
    waiter.start()
    while not gateway.web.waiting._waiters:
        time.sleep(0.005)
    started = time.monotonic()

    server.close()
    waiter.join()

    assert answers == [200]
    assert time.monotonic() - started < 15


def test_close_frees_the_port_and_may_be_called_twice(
    gateway: Gateway, server: WebServer
) -> None:
    port = server.port

    server.close()
    server.close()

    assert not [t for t in threading.enumerate() if t.name == "web server"]
    with pytest.raises(OSError):
        socket.create_connection((server.host, port), timeout=2)


def test_links_of_a_task_lead_to_the_port_in_use(
    gateway: Gateway, server: WebServer
) -> None:
    task_id = gateway.submitted()
    gateway.rt.storage.put("results/a.png", b"png")
    finish(gateway, task_id, storage_key="results/a.png")

    url = f"{server.url}/generation/tasks/{task_id}"
    link = data_of(requests.get(url, headers=gateway.headers, timeout=20))

    assert urlsplit(link).port == server.port
    assert requests.get(link, timeout=20).content == b"png"


def data_of(answer: requests.Response) -> str:
    link: str = answer.json()["data"]["result_urls"][0]
    return link


def test_other_servers_get_the_app_from_the_environment(gateway: Gateway) -> None:
    code = """
from app.wsgi import application
print(application().test_client().get("/readyz").status_code)
"""
    env = {
        "GENRELAY_DATA": str(gateway.rt.settings.data),
        "GENRELAY_SECRET_KEY": SECRET_KEY,
        "PATH": os.environ["PATH"],
    }
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env=env,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert ran.stdout.strip() == "200", ran.stderr
