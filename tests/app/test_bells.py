"""Bells: rung at once whatever the broker does, and few of them."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar

import pytest
from celery import Celery
from fakeredis import TcpFakeServer

from app import bells
from app.bells import Bell, Ringer, make_celery, transport_options
from app.settings import Settings
from workers import celery as workers_celery

WAIT_S = 15.0


def celery_at(broker_url: str, folder: Path = Path("unused")) -> Celery:
    env = {"GENRELAY_DATA": str(folder), "BROKER_URL": broker_url}
    return make_celery(Settings.from_env(env))


def until(holds: Any, seconds: float = WAIT_S) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.005)


@contextmanager
def silent_server() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken: list[socket.socket] = []

        def accept() -> None:
            with suppress(OSError):
                while True:
                    taken.append(listener.accept()[0])

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        for connection in taken:
            connection.close()
        thread.join(5)


def waiting(celery: Celery, bell: Bell) -> int:
    """How many messages are in the queue of a bell."""
    with celery.connection_for_read() as connection:
        queue = celery.amqp.queues[bell.value].bind(connection.default_channel)
        return int(queue.queue_declare(passive=False).message_count)


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_ring_never_waits_for_a_broker_that_hangs(scheme: str) -> None:
    with silent_server() as port:
        ringer = Ringer(celery_at(f"{scheme}://127.0.0.1:{port}/"))
        begun = time.monotonic()
        for _ in range(1000):
            ringer.ring(Bell.SUBMIT)
        assert time.monotonic() - begun < 0.5
        until(lambda: ringer.failed_count)
        begun = time.monotonic()
        ringer.ring(Bell.POLL)
        assert time.monotonic() - begun < 0.5
    begun = time.monotonic()
    ringer.close()
    assert time.monotonic() - begun < 5


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bells, "BROKER_PAUSE_S", 0.01)


@pytest.mark.usefixtures("no_pause")
@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_ring_never_fails_when_there_is_no_broker(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    ringer = Ringer(celery_at(f"{scheme}://127.0.0.1:{port}/"))
    ringer.ring(Bell.SUBMIT)
    until(lambda: ringer.failed_count)
    ringer.close()


def memory() -> Celery:
    celery = celery_at("memory://")
    with celery.connection_for_write() as connection:
        for bell in Bell:
            queue = celery.amqp.queues[bell.value].bind(connection.default_channel)
            queue.declare()
            queue.purge()
    return celery


@pytest.fixture(params=["memory", "redis", "rabbitmq"])
def broker(request: pytest.FixtureRequest) -> Celery:
    """A Celery app on each broker that answers."""
    if request.param == "memory":
        return memory()
    return celery_at(str(request.getfixturevalue(f"{request.param}_url")))


def test_ring_is_one_message_in_its_own_queue(broker: Celery) -> None:
    ringer = Ringer(broker)
    ringer.ring(Bell.POLL)
    until(lambda: waiting(broker, Bell.POLL) == 1)
    assert [waiting(broker, bell) for bell in Bell if bell is not Bell.POLL] == [0] * 3
    assert ringer.failed_count == 0
    ringer.close()


def test_many_rings_are_few_messages(broker: Celery) -> None:
    ringer = Ringer(broker)
    for _ in range(300):
        ringer.ring(Bell.SUBMIT)
        time.sleep(0.0005)
    until(lambda: waiting(broker, Bell.SUBMIT))
    ringer.ring(Bell.DELIVER)
    until(lambda: waiting(broker, Bell.DELIVER) == 1)
    assert waiting(broker, Bell.SUBMIT) <= bells.ENOUGH
    ringer.close()


@pytest.mark.usefixtures("no_pause")
def test_rings_come_through_when_the_broker_is_back(redis_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    gone = celery_at(f"redis://127.0.0.1:{port}/0")
    ringer = Ringer(gone)
    ringer.ring(Bell.SUBMIT)
    until(lambda: ringer.failed_count)
    back = celery_at(redis_url)
    ringer._celery = back  # it answers at its address again
    until(lambda: waiting(back, Bell.SUBMIT) == 1)
    ringer.close()


def test_connection_that_broke_is_made_anew(redis_url: str) -> None:
    celery = celery_at(redis_url)
    ringer = Ringer(celery)
    ringer.ring(Bell.SUBMIT)
    until(lambda: waiting(celery, Bell.SUBMIT) == 1)
    ringer._connection.default_channel.client.connection_pool.disconnect()
    ringer.ring(Bell.POLL)
    until(lambda: waiting(celery, Bell.POLL) == 1)
    ringer.close()


def test_closed_ringer_rings_no_more() -> None:
    celery = memory()
    ringer = Ringer(celery)
    ringer.close()
    ringer.ring(Bell.SUBMIT)
    assert ringer._thread is None
    assert waiting(celery, Bell.SUBMIT) == 0


def test_ringer_has_no_thread_before_its_first_ring() -> None:
    """A web server may fork between."""
    assert Ringer(celery_at("memory://"))._thread is None


def test_messages_are_json_and_nothing_else_is_taken() -> None:
    conf = celery_at("redis://127.0.0.1:1/0").conf
    assert conf.accept_content == ["json"]
    assert conf.task_serializer == "json"


def test_results_are_kept_nowhere() -> None:
    conf = celery_at("redis://127.0.0.1:1/0").conf
    assert conf.task_ignore_result
    assert conf.result_backend is None


def test_jobs_are_acknowledged_when_they_are_done_and_taken_one_by_one() -> None:
    conf = celery_at("redis://127.0.0.1:1/0").conf
    assert conf.task_acks_late
    assert conf.worker_prefetch_multiplier == 1
    assert not conf.worker_enable_remote_control
    assert not conf.task_create_missing_queues


def test_each_bell_has_its_own_queue() -> None:
    conf = celery_at("redis://127.0.0.1:1/0").conf
    assert {queue.name for queue in conf.task_queues} == {b.value for b in Bell}
    assert conf.task_routes == {b.job: {"queue": b.value} for b in Bell}


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("redis://h:1/0", {"socket_timeout", "socket_connect_timeout"}),
        ("rediss://h:1/0", {"socket_timeout", "socket_connect_timeout"}),
        ("amqp://h:1/", {"connect_timeout", "read_timeout", "write_timeout"}),
        ("memory://", {"polling_interval"}),
    ],
)
def test_every_broker_has_its_time_limits(url: str, wanted: set[str]) -> None:
    options = transport_options(url)
    assert wanted <= set(options)
    assert all(0 < options[name] <= 5 for name in wanted)


def test_every_bell_has_its_job_in_the_workers() -> None:
    celery = celery_at("memory://")

    class Jobs:
        """What a pool offers to `register`."""

        jobs: ClassVar[dict[Bell, object]] = dict.fromkeys(Bell, print)

    workers_celery.register(celery, Jobs())  # type: ignore[arg-type]
    assert {bell.job for bell in Bell} <= set(celery.tasks)


@pytest.fixture
def simulated_redis() -> Iterator[str]:
    """A Redis server written in Python: the transport is tested without a real one."""
    with TcpFakeServer(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"redis://127.0.0.1:{server.server_address[1]}/0"
        server.shutdown()
        thread.join(5)


def test_rings_wait_in_redis_as_one_or_two_messages(simulated_redis: str) -> None:
    celery = celery_at(simulated_redis)
    ringer = Ringer(celery)
    for _ in range(100):
        ringer.ring(Bell.SUBMIT)
        time.sleep(0.002)
    until(lambda: waiting(celery, Bell.SUBMIT) >= 1)
    ringer.close()
    assert waiting(celery, Bell.SUBMIT) <= bells.ENOUGH
    assert ringer.failed_count == 0
