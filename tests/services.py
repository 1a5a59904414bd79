"""Real servers for tests: a PostgreSQL database, a Redis number, a RabbitMQ host of
their own for each test.

The servers are those that answer on their usual local ports, or that
TEST_DATABASE_URL, TEST_REDIS_URL and TEST_BROKER_URL name. Without an answer a test is
skipped with the reason; a server that was named and does not answer is an error.
"""

import fcntl
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import redis
from kombu import Connection

KNOCK_TIMEOUT_S = 1
LOGIN_TIMEOUT_S = 5
CLAIM_S = 900
PORTS = {
    "amqp": 5672,
    "amqps": 5671,
    "postgresql": 5432,
    "postgresql+psycopg": 5432,
    "redis": 6379,
    "rediss": 6379,
}
REDIS_NUMBERS = 16
REDIS_MARK = "genrelay:test:database"

POSTGRES_URLS = (
    "postgresql://postgres@127.0.0.1:5432/postgres",
    "postgresql://postgres:postgres@127.0.0.1:5432/postgres",
)
REDIS_URLS = ("redis://127.0.0.1:6379/0",)
RABBITMQ_URLS = ("amqp://guest:guest@127.0.0.1:5672//",)


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """URL of an empty database, with the driver's name."""
    with fresh_postgres() as url:
        yield url


@pytest.fixture
def redis_url() -> Iterator[str]:
    """URL of a Redis number that is empty and that no other test uses."""
    with fresh_redis() as url:
        yield url


@pytest.fixture
def rabbitmq_url() -> Iterator[str]:
    """URL of an empty virtual host, where none can be made of the server's own."""
    with fresh_rabbitmq() as url:
        yield url


@contextmanager
def fresh_postgres() -> Iterator[str]:
    """A new database, dropped afterwards, also from under those who still use it."""
    server = answering(
        "PostgreSQL", "TEST_DATABASE_URL", POSTGRES_URLS, log_in_postgres
    )
    name = f"genrelay_test_{secrets.token_hex(6)}"
    # Text is sorted and encoded alike whatever language the machine speaks.
    how = "TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'"
    execute(server, f"CREATE DATABASE {name} {how}")
    try:
        yield f"postgresql+psycopg://{urlsplit(server).netloc}/{name}"
    finally:
        execute(server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@contextmanager
def fresh_redis() -> Iterator[str]:
    """A number of the server, emptied again afterwards."""
    server = answering("Redis", "TEST_REDIS_URL", REDIS_URLS, log_in_redis)
    with redis.Redis.from_url(server) as claims:
        url, claim = claim_redis_number(server, claims)
        try:
            yield url
        finally:
            with redis.Redis.from_url(url) as numbered:
                numbered.flushdb()
            claims.delete(claim)


@contextmanager
def fresh_rabbitmq() -> Iterator[str]:
    """A new virtual host, deleted afterwards.

    Where none can be made, the one that the URL names, for one test at a time.
    """
    server = answering("RabbitMQ", "TEST_BROKER_URL", RABBITMQ_URLS, log_in_rabbitmq)
    parts = urlsplit(server)
    host = f"genrelay_test_{secrets.token_hex(6)}"
    if make_virtual_host(host, parts.username or "guest"):
        try:
            yield f"{parts.scheme}://{parts.netloc}/{host}"
        finally:
            rabbitmqctl("delete_vhost", host)
    else:
        path = Path(tempfile.gettempdir(), "genrelay-test-rabbitmq.lock")
        with path.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield server


def answering(
    name: str, variable: str, usual: tuple[str, ...], log_in: Callable[[str], None]
) -> str:
    """The first URL that lets us in; otherwise the test is skipped, or fails."""
    named = os.environ.get(variable)
    url, troubles = first_answer((named,) if named else usual, log_in)
    if url:
        return url
    if named:
        pytest.fail(f"{name} at {variable}: {troubles}")
    pytest.skip(f"needs {name}: {troubles}; {variable} may name one")


@cache
def first_answer(
    urls: tuple[str, ...], log_in: Callable[[str], None]
) -> tuple[str, str]:
    """A URL and "", or "" and what was wrong with each; asked once per process."""
    troubles = []
    for url in urls:
        parts = urlsplit(url)
        host, port = parts.hostname or "127.0.0.1", parts.port or PORTS[parts.scheme]
        try:
            socket.create_connection((host, port), timeout=KNOCK_TIMEOUT_S).close()
        except OSError:
            troubles.append(f"nothing answers at {host}:{port}")
            continue
        try:
            log_in(url)
        except (OSError, psycopg.Error, redis.RedisError):
            troubles.append(f"{host}:{port} does not let {parts.username} in")
            continue
        return url, ""
    return "", ", ".join(dict.fromkeys(troubles))


def log_in_postgres(url: str) -> None:
    """Connect once, or raise."""
    psycopg.connect(libpq_url(url), connect_timeout=LOGIN_TIMEOUT_S).close()


def log_in_redis(url: str) -> None:
    """Connect once, or raise."""
    with redis.Redis.from_url(url, socket_timeout=LOGIN_TIMEOUT_S) as server:
        server.ping()


def log_in_rabbitmq(url: str) -> None:
    """Connect once, or raise."""
    with Connection(url, connect_timeout=LOGIN_TIMEOUT_S) as server:
        try:
            server.connect()
        except (*server.connection_errors, *server.channel_errors) as error:
            raise ConnectionError from error


def libpq_url(url: str) -> str:
    """The URL as libpq reads it: without the driver's name."""
    return url.replace("+psycopg", "", 1)


def execute(server: str, statement: str) -> None:
    """Run one statement outside a transaction."""
    with psycopg.connect(libpq_url(server), autocommit=True) as connection:
        connection.execute(statement.encode())


def claim_redis_number(server: str, claims: redis.Redis) -> tuple[str, str]:
    """URL of an emptied number, and the key that keeps other tests away from it.

    A number that holds anything is a person's, unless it bears our mark: then a test
    that was killed left it.
    """
    parts = urlsplit(server)
    for number in range(1, REDIS_NUMBERS):
        claim = f"genrelay:test:claim:{number}"
        if not claims.set(claim, os.getpid(), nx=True, ex=CLAIM_S):
            continue
        url = f"{parts.scheme}://{parts.netloc}/{number}"
        with redis.Redis.from_url(url) as numbered:
            if not numbered.dbsize() or numbered.exists(REDIS_MARK):
                numbered.flushdb()
                numbered.set(REDIS_MARK, 1)
                return url, claim
        claims.delete(claim)
    pytest.fail(f"Redis has no empty database among 1 to {REDIS_NUMBERS - 1}")


def make_virtual_host(host: str, user: str) -> bool:
    """Whether there is a new virtual host that the user may use."""
    return rabbitmqctl("add_vhost", host) and rabbitmqctl(
        "set_permissions", "-p", host, user, ".*", ".*", ".*"
    )


def rabbitmqctl(*arguments: str) -> bool:
    """Whether RabbitMQ's own command line could do it; only its owner may."""
    command = shutil.which("rabbitmqctl")
    if not command:
        return False
    done = subprocess.run([command, "--quiet", *arguments], capture_output=True)
    return done.returncode == 0
