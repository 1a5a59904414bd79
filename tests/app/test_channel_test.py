"""Does a channel's key work: every provider's free call, against the sandbox."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from app import channel_test
from app.accounts import SANDBOX_SECRET
from app.store.channels import Channel
from providers import auth
from providers.flow import Call, Flow
from providers.registry import BY_NAME, PROVIDERS
from providers.types import Credentials, Provider
from sandbox.server import Sandbox, SandboxSettings, running

TESTABLE = [provider for provider in PROVIDERS if provider.test is not None]
OPENAI = BY_NAME["openai"]
SECRET = "sk-the-real-secret"


def a_channel(base_url: str, provider: Provider = OPENAI) -> Channel:
    return Channel(
        id="ch_1",
        name="main",
        provider=provider.name,
        base_url=base_url,
        webhook_secret=None,
        groups=(),
        models={},
        weight=1,
        priority=0,
        limits={},
        settings={},
        enabled=True,
        origin="cli",
        failure_count=0,
        error_rate=0.0,
        paused_until=None,
        pause_reason=None,
        removed_at=None,
    )


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """A sandbox in which one key alone is right."""
    # Of a secret with two parts, some providers send the second alone.
    right = frozenset({SANDBOX_SECRET, SANDBOX_SECRET.partition(":")[2]})
    secrets = {provider.name: right for provider in PROVIDERS}
    with running(settings=SandboxSettings(secrets=secrets)) as server:
        yield server


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """A server that gives these bytes to whoever calls, and hangs up."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            self.request.sendall(answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def http(status: str, body: str, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", body]
    return "\r\n".join(lines).encode()


@pytest.mark.parametrize("provider", TESTABLE, ids=lambda provider: provider.name)
def test_a_right_key_works(provider: Provider, sandbox: Sandbox) -> None:
    channel = a_channel(sandbox.url + provider.sandbox_path, provider)

    result = channel_test.test(channel, provider, SANDBOX_SECRET)

    assert result == channel_test.Result(True, f"{channel.base_url} took the key")


@pytest.mark.parametrize("provider", TESTABLE, ids=lambda provider: provider.name)
def test_a_wrong_key_is_refused_in_plain_words(
    provider: Provider, sandbox: Sandbox
) -> None:
    channel = a_channel(sandbox.url + provider.sandbox_path, provider)

    result = channel_test.test(channel, provider, "wrong-id:wrong-key")

    assert not result.works
    assert "refused" in result.message
    assert "wrong-key" not in result.message


@pytest.mark.parametrize("provider", TESTABLE, ids=lambda provider: provider.name)
def test_a_test_generates_nothing(provider: Provider, sandbox: Sandbox) -> None:
    channel = a_channel(sandbox.url + provider.sandbox_path, provider)

    channel_test.test(channel, provider, SANDBOX_SECRET)

    assert not sandbox.ledger.submits(provider.name)


@pytest.mark.parametrize("provider", TESTABLE, ids=lambda provider: provider.name)
def test_an_upstream_in_trouble_proves_nothing(
    provider: Provider, sandbox: Sandbox
) -> None:
    channel = a_channel(sandbox.url + provider.sandbox_path, provider)
    dialect = provider.sandbox_path.split("/")[1]
    sandbox.behave(dialect, down=True)
    try:
        result = channel_test.test(channel, provider, SANDBOX_SECRET)
    finally:
        sandbox.behave(dialect)

    assert not result.works
    assert "in trouble" in result.message


def test_a_provider_without_a_free_call_says_so() -> None:
    provider = replace(OPENAI, test=None)

    result = channel_test.test(a_channel("http://127.0.0.1:9"), provider, SECRET)

    assert not result.works
    assert "openai has no free call to test with" in result.message


def test_an_address_where_nobody_listens_means_no_connection() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        channel = a_channel(f"http://127.0.0.1:{taken.getsockname()[1]}")

        result = channel_test.test(channel, OPENAI, SECRET)

    assert result.message == "no connection: Connection refused"


def test_a_server_without_tls_means_no_connection() -> None:
    with answering(b"hello\r\n") as url:
        channel = a_channel(url.replace("http:", "https:"))

        result = channel_test.test(channel, OPENAI, SECRET)

    assert result.message.startswith("no connection: ")


def test_a_connection_that_is_closed_brought_no_answer() -> None:
    with answering(b"") as url:
        result = channel_test.test(a_channel(url), OPENAI, SECRET)

    assert result.message.startswith("connected, but no whole answer came")


def test_an_answer_that_is_cut_is_no_answer() -> None:
    cut = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"
    with answering(cut) as url:
        result = channel_test.test(a_channel(url), OPENAI, SECRET)

    assert result.message.startswith("connected, but no whole answer came")


def test_a_redirect_does_not_lead_the_key_elsewhere() -> None:
    with (
        answering(http("200 OK", '{"data": []}')) as elsewhere,
        answering(http("302 Found", "", f"Location: {elsewhere}/")) as url,
    ):
        result = channel_test.test(a_channel(url), OPENAI, SECRET)

    assert not result.works


def test_a_page_of_html_is_not_the_providers_answer() -> None:
    with answering(http("200 OK", "<html>", "Content-Type: text/html")) as url:
        result = channel_test.test(a_channel(url), OPENAI, SECRET)

    assert "is the base URL right?" in result.message


def test_a_key_that_the_provider_repeats_is_hidden() -> None:
    body = '{"error": {"code": "invalid_api_key", "message": "wrong: ' + SECRET + '"}}'
    with answering(http("401 Unauthorized", body)) as url:
        result = channel_test.test(a_channel(url), OPENAI, SECRET)

    assert result.message == "the key was refused (HTTP 401): wrong: ***"


def test_a_key_that_no_header_can_carry_is_not_shown() -> None:
    secret = "sk-secret\nX: y"

    result = channel_test.test(a_channel("http://127.0.0.1:9"), OPENAI, secret)

    assert not result.works
    assert "sk-secret" not in result.message


def test_a_proxy_of_the_environment_does_not_get_the_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with (
        answering(http("200 OK", '{"data": []}')) as proxy,
        answering(http("401 Unauthorized", "{}")) as url,
    ):
        monkeypatch.setenv("HTTP_PROXY", proxy)
        monkeypatch.setenv("http_proxy", proxy)

        result = channel_test.test(a_channel(url), OPENAI, SECRET)

    assert "(HTTP 401)" in result.message


def test_authorize_sees_the_whole_url_as_it_is_sent() -> None:
    def search() -> Flow[None]:
        reply = yield Call("GET", "/tasks", params={"page": "1", "name": "a b"})
        assert reply.ok

    def sign(call: Call, credentials: Credentials) -> Call:
        signed.append(call)
        return replace(call, params={"signature": "x"})

    signed: list[Call] = []
    provider = replace(OPENAI, test=search, authorize=sign)
    with answering(http("200 OK", "{}")) as url:
        result = channel_test.test(a_channel(url), provider, SECRET)

    assert result.works
    assert signed[0].url == f"{url}/tasks?page=1&name=a+b"


@pytest.mark.parametrize(
    "call",
    [
        Call("GET", "https://elsewhere.example.com/models"),
        Call("POST", "/images", paid=True),
    ],
)
def test_only_free_calls_of_the_channel_itself_are_made(call: Call) -> None:
    def costly() -> Flow[None]:
        yield call

    provider = replace(OPENAI, test=costly, authorize=auth.bearer)

    result = channel_test.test(a_channel("http://127.0.0.1:9"), provider, SECRET)

    assert "is no free call" in result.message
