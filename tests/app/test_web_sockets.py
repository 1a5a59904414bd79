"""Between sockets and the app: nothing is lost, and nothing spins."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import requests

from app.web_sockets import Threads
from app.wsgi import WebServer, serve
from tests.app.api.gateways import Gateway, make_gateway


class Job:
    """Served by a thread; says so, and may take long or fail."""

    def __init__(self, run: Callable[[], object] = lambda: None) -> None:
        self._run = run
        self.served = threading.Event()
        self.cancelled = False

    def service(self) -> None:
        self._run()
        self.served.set()

    def cancel(self) -> None:
        self.cancelled = True


def until(is_true: Callable[[], object]) -> None:
    """Wait for what another thread does."""
    ends_at = time.monotonic() + 20
    while not is_true():
        assert time.monotonic() < ends_at
        time.sleep(0.005)


def fail() -> None:
    raise RuntimeError("nobody foresaw this")


def test_a_job_that_fails_ends_no_thread() -> None:
    threads, job = Threads(1), Job()

    threads.add_task(Job(fail))
    threads.add_task(job)

    assert job.served.wait(20)
    assert threads.shutdown()


def test_jobs_that_wait_keep_no_thread_from_the_others() -> None:
    threads, goes_on = Threads(2), threading.Event()
    waiting = [Job(lambda: threads.wait(lambda: goes_on.wait(20))) for _ in range(30)]
    for job in waiting:
        threads.add_task(job)
    until(lambda: threads._waiting_count == 30)
    other = Job()
    threads.add_task(other)

    assert other.served.wait(20)
    goes_on.set()
    assert all(job.served.wait(20) for job in waiting)
    until(lambda: threads._count == 2)
    threads.shutdown()


def test_what_was_added_is_served_before_the_end() -> None:
    threads, jobs = Threads(1), [Job(lambda: time.sleep(0.01)) for _ in range(5)]
    for job in jobs:
        threads.add_task(job)

    threads.shutdown()

    assert all(job.served.is_set() for job in jobs)


def test_the_end_does_not_wait_for_ever() -> None:
    threads, goes_on, late = Threads(1), threading.Event(), Job()
    threads.add_task(Job(lambda: goes_on.wait(20)))
    threads.add_task(late)

    threads.shutdown(timeout=0.1)

    assert late.cancelled
    goes_on.set()
    until(lambda: threads._count == 0)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    made = make_gateway(tmp_path, GENRELAY_WEB_PORT="0", GENRELAY_WEB_THREADS="2")
    yield made
    made.rt.database.close()


@pytest.fixture
def server(gateway: Gateway) -> Iterator[WebServer]:
    started = serve(gateway.flask_app, gateway.rt.settings)
    yield started
    started.close()


HEALTH = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"


def connected(server: WebServer) -> socket.socket:
    return socket.create_connection((server.host, server.port), timeout=20)


def waiting(gateway: Gateway, server: WebServer) -> socket.socket:
    """A connection whose request waits for a task."""
    before, task_id = len(gateway.web.waiting._waiters), gateway.submitted()
    sock = connected(server)
    sock.sendall(
        f"GET /generation/tasks/{task_id}?wait=60 HTTP/1.1\r\nHost: a\r\n"
        f"Authorization: Bearer {gateway.key}\r\n\r\n".encode()
    )
    until(lambda: len(gateway.web.waiting._waiters) > before)
    return sock


def read_answer(sock: socket.socket) -> bytes:
    """One answer that fits into one packet."""
    return sock.recv(65536)


def test_an_answer_leaves_in_one_piece(server: WebServer) -> None:
    with connected(server) as sock:
        for _ in range(50):
            sock.sendall(HEALTH)
            head, _, body = read_answer(sock).partition(b"\r\n\r\n")

            assert b"200 OK" in head
            assert f"Content-Length: {len(body)}".encode() in head


def test_requests_sent_ahead_are_answered_in_order(server: WebServer) -> None:
    paths = ["healthz", "readyz", "nowhere"] * 10
    lines = "".join(f"GET /{path} HTTP/1.1\r\nHost: a\r\n\r\n" for path in paths)
    with connected(server) as sock:
        sock.sendall(lines.encode())
        content = b""
        while content.count(b"HTTP/1.1 ") < 30 or not content.endswith(b"}"):
            content += read_answer(sock)

    statuses = [part[:3] for part in content.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"200", b"404"] * 10


def test_more_may_wait_than_there_are_threads(
    gateway: Gateway, server: WebServer
) -> None:
    socks = [waiting(gateway, server) for _ in range(12)]

    assert requests.get(f"{server.url}/healthz", timeout=20).status_code == 200
    gateway.web.waiting.close()
    assert all(b"200 OK" in read_answer(sock) for sock in socks)
    for sock in socks:
        sock.close()


def test_clients_that_go_while_they_wait_cost_nothing(
    gateway: Gateway, server: WebServer
) -> None:
    for _ in range(4):
        waiting(gateway, server).close()
    time.sleep(0.1)
    started = time.process_time()
    time.sleep(1.0)

    assert time.process_time() - started < 0.5
    assert requests.get(f"{server.url}/healthz", timeout=20).status_code == 200
    gateway.web.waiting.close()
    until(lambda: len(server._map) == 2)  # what listens, and what wakes


def test_what_comes_while_a_request_waits_is_answered_after_it(
    gateway: Gateway, server: WebServer
) -> None:
    with waiting(gateway, server) as sock:
        sock.sendall(HEALTH)
        time.sleep(0.1)
        gateway.web.waiting.close()
        content = b""
        while content.count(b"HTTP/1.1 200 OK") < 2:
            content += read_answer(sock)


def test_a_connection_that_lies_idle_is_closed(
    gateway: Gateway, server: WebServer
) -> None:
    with connected(server) as sock:
        sock.sendall(HEALTH)
        read_answer(sock)
        sock.settimeout(0.05)
        ends_at, closed = time.monotonic() + 20, False
        while not closed and time.monotonic() < ends_at:
            # Again and again: the thread that answered notes the time as it ends.
            for channel in list(server._server.active_channels.values()):
                channel.last_activity -= 1000
            server._server.next_channel_cleanup = 0
            with suppress(TimeoutError):
                closed = sock.recv(10) == b""

        assert closed


def test_a_client_that_asks_may_send_its_body(
    gateway: Gateway, server: WebServer
) -> None:
    body = b'{"model": "lumen-free", "prompt": "a pier"}'
    head = (
        f"POST /generation/tasks HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
        f"Authorization: Bearer {gateway.key}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with connected(server) as sock:
        sock.sendall(head.encode())
        assert read_answer(sock).startswith(b"HTTP/1.1 100 Continue")
        sock.sendall(body)
        assert read_answer(sock).startswith(b"HTTP/1.1 200 OK")
