"""Key sets are fetched seldom, with limits, and from one host only."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from app.api.key_sets import KeySets, NoKeySet, fetch_key_set
from tests.app.api.gateways import Clock

URL = "https://keys.example/jwks.json"
OLD, NEW = {"keys": ["old"]}, {"keys": ["new"]}


class Source:
    """Answers with what it has now; None: nothing."""

    def __init__(self, keys: Any) -> None:
        self.keys = keys
        self.count = 0

    def __call__(self, url: str) -> Any:
        self.count += 1
        if self.keys is None:
            raise NoKeySet("down")
        return self.keys


def signed_by(keys: Any) -> Any:
    return lambda known: known == keys


def test_keys_are_kept_for_a_day() -> None:
    clock, source = Clock(0), Source(OLD)
    sets = KeySets(source, clock)

    for hours in (0, 1, 23):
        clock.now = hours * 3600
        assert sets.verify(URL, signed_by(OLD))
    assert source.count == 1

    clock.now = 25 * 3600
    assert sets.verify(URL, signed_by(OLD))
    assert source.count == 2


def test_new_keys_are_fetched_once_the_old_ones_fail() -> None:
    clock, source = Clock(0), Source(OLD)
    sets = KeySets(source, clock)
    assert sets.verify(URL, signed_by(OLD))
    source.keys = NEW
    clock.now = 61

    assert sets.verify(URL, signed_by(NEW))


def test_forged_signatures_cause_one_fetch_a_minute() -> None:
    clock, source = Clock(0), Source(OLD)
    sets = KeySets(source, clock)
    for clock.now in (0, 1, 30, 59):
        assert not sets.verify(URL, signed_by("forged"))
    assert source.count == 1

    clock.now = 61
    assert not sets.verify(URL, signed_by("forged"))
    assert source.count == 2


def test_old_keys_serve_while_the_source_is_down_but_not_beyond_a_day() -> None:
    clock, source = Clock(0), Source(OLD)
    sets = KeySets(source, clock)
    sets.verify(URL, signed_by(OLD))
    source.keys = None

    clock.now = 3600
    assert not sets.verify(URL, signed_by(NEW))
    assert sets.verify(URL, signed_by(OLD))
    clock.now = 25 * 3600
    with pytest.raises(NoKeySet):
        sets.verify(URL, signed_by(OLD))


def test_a_source_that_is_down_is_asked_once_a_minute() -> None:
    clock, source = Clock(0), Source(None)
    sets = KeySets(source, clock)
    for clock.now in (0, 10, 59):
        with pytest.raises(NoKeySet):
            sets.verify(URL, signed_by(OLD))

    assert source.count == 1


# Over a real socket

PAGES: dict[str, tuple[int, dict[str, str], bytes]] = {
    "/good": (200, {}, json.dumps(OLD).encode()),
    "/moved": (302, {"Location": "/good"}, b""),
    "/missing": (404, {}, b"{}"),
    "/large": (200, {}, b" " * 70_000 + b"{}"),
    "/page": (200, {}, b"<html>"),
    "/list": (200, {}, b"[]"),
    "/deep": (200, {}, b"[" * 60_000),
}


@pytest.fixture
def host() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = PAGES[self.path]
            self.send_response(status)
            for name, text in headers.items():
                self.send_header(name, text)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_key_set_is_fetched(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")

    assert fetch_key_set(f"{host}/good") == OLD


@pytest.mark.parametrize("path", sorted(PAGES.keys() - {"/good"}))
def test_what_is_no_key_set_is_refused(host: str, path: str) -> None:
    with pytest.raises(NoKeySet):
        fetch_key_set(host + path)


def test_a_host_that_is_down_has_no_key_set() -> None:
    with pytest.raises(NoKeySet):
        fetch_key_set("http://127.0.0.1:9/jwks.json", timeout_s=1)
