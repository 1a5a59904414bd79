"""The engine against real servers: what is sent where, how failures are classed."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import ipaddress
import socket
import ssl
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.generation_requests import Upload
from app.security.addresses import Networks, UnsafeUrl
from app.security.sealing import Sealer
from app.settings import Settings
from app.storage import NotStored, Storage, StorageError, open_storage
from app.store.channels import Channel, ChannelKey
from providers import auth, errors
from providers.flow import Call, Part, Reply
from providers.types import Provider
from tests.workers import sites
from tests.workers.bench import LUMEN, PNG
from tests.workers.sites import Asked, Said, data, moved, open_site, page
from workers import http
from workers.http import Account, Answer, Downloaded, DownloadFailed, Engine

T = TypeVar("T")

SECRET = "sk-top-secret"
SEALER = Sealer.from_secret("a secret key for the tests of the engine")
LOCAL = "127.0.0.0/8,::1/128"
KEY = f"Bearer {SECRET}"


def settings_of(folder: Path, allow: str = "", **fields: Any) -> Settings:
    env = {"GENRELAY_DATA": str(folder), "GENRELAY_ALLOW_NETWORKS": allow}
    return replace(Settings.from_env(env), **fields)


class Desk:
    """An engine, and calls as plain functions."""

    def __init__(self, folder: Path, allow: str = "", **fields: Any) -> None:
        self.settings = settings_of(folder, allow, **fields)
        self.storage: Storage = open_storage(str(folder / "files"))
        self.engine = Engine(self.settings, self.storage, SEALER)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.engine.loop).result(30)

    def account(self, base_url: str, provider: Provider = LUMEN) -> Account:
        channel = Channel(
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
        key = ChannelKey(
            id="key_1",
            channel_id="ch_1",
            name="key-1",
            secret=SEALER.seal(SECRET, "key:key_1"),
            failure_count=0,
            paused_until=None,
            pause_reason=None,
            removed_at=None,
        )
        return self.engine.account(channel, key, provider)

    def send(
        self, base_url: str, call: Call, timeout_s: float = 10, **how: Any
    ) -> Reply:
        account = how.pop("account", None) or self.account(base_url)
        return self.run(self.engine.send(call, account, timeout_s=timeout_s, **how))

    def download(
        self, base_url: str, url: str, *, protected: bool = False, **how: Any
    ) -> Downloaded:
        account = how.pop("account", None) or self.account(base_url)
        return self.run(
            self.engine.download(
                account,
                url,
                "results/1",
                protected=protected,
                timeout_s=how.pop("timeout_s", 10),
            )
        )

    def deliver(self, url: str, body: bytes = b"{}", timeout_s: float = 10) -> Answer:
        headers = {"webhook-id": "msg_1", "Content-Type": "application/json"}
        return self.run(self.engine.deliver(url, headers, body, timeout_s=timeout_s))

    def stored(self) -> bytes:
        with self.storage.open("results/1") as file:
            return file.read()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """An engine that keeps to public addresses."""
    made = Desk(tmp_path_factory.mktemp("strict"))
    with made.engine:
        yield made


@pytest.fixture(scope="module")
def lenient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """An engine whose operator lets loopback addresses through."""
    made = Desk(
        tmp_path_factory.mktemp("lenient"),
        LOCAL,
        max_upload_bytes=100_000,
        max_result_bytes=300_000,
    )
    with made.engine:
        yield made


GET = Call("GET", "/jobs/1")
POST = Call("POST", "/jobs", json={"a": 1}, paid=True)


def always(said: Said) -> sites.Reaction:
    return lambda asked: said


# A call and its answer


def test_call_goes_below_the_base_url_with_the_key(desk: Desk) -> None:
    with open_site(always(data(id="1"))) as site:
        reply = desk.send(f"{site.url}/v2/", Call("GET", "/jobs", params={"a": "b c"}))
    (asked,) = site.asked
    assert (asked.method, asked.target) == ("GET", "/v2/jobs?a=b+c")
    assert asked.headers["authorization"] == KEY
    assert asked.headers["user-agent"] == "genrelay"
    assert (reply.status, reply.json()) == (200, {"id": "1"})
    assert reply.headers["content-type"] == "application/json"


@pytest.mark.parametrize("status", [201, 301, 302, 307, 308, 400, 401, 429, 500, 503])
def test_every_status_is_a_reply(desk: Desk, status: int) -> None:
    answer = page(b"x", status=status, headers="Location: /other\r\nRetry-After: 7\r\n")
    with open_site(always(answer)) as site:
        reply = desk.send(site.url, POST)
    assert (reply.status, reply.content, reply.retry_after_s) == (status, b"x", 7)
    assert len(site.asked) == 1  # redirects are not followed


def test_json_body_arrives(desk: Desk) -> None:
    with open_site(always(data())) as site:
        desk.send(site.url, Call("POST", "/", json={"text": "Zoë"}))
    assert site.asked[0].headers["content-type"] == "application/json"
    assert b"Zo" in site.asked[0].body


def test_raw_body_arrives_byte_for_byte(desk: Desk) -> None:
    body = bytes(range(256))
    with open_site(always(data())) as site:
        headers = {"Content-Type": "audio/mpeg"}
        desk.send(site.url, Call("PUT", "/", body=body, headers=headers))
    assert site.asked[0].body == body
    assert site.asked[0].headers["content-type"] == "audio/mpeg"


def test_form_has_fields_and_files(desk: Desk) -> None:
    parts = (
        Part("model", "up-1"),
        Part("image", PNG, filename="a.png", content_type="image/png"),
        Part("image", b"2", filename="b.png", content_type="image/png"),
    )
    with open_site(always(data())) as site:
        desk.send(site.url, Call("POST", "/", parts=parts, paid=True))
    (asked,) = site.asked
    assert asked.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert b'name="model"' in asked.body
    assert b"up-1" in asked.body
    assert b'name="image"; filename="a.png"' in asked.body
    assert PNG in asked.body
    assert asked.body.count(b'name="image"') == 2


def test_form_of_text_alone_is_a_multipart_form_too(desk: Desk) -> None:
    with open_site(always(data())) as site:
        desk.send(site.url, Call("POST", "/", parts=(Part("a", "b"),)))
    assert "multipart/form-data" in site.asked[0].headers["content-type"]


@pytest.mark.parametrize(
    "target",
    [
        "/f?sig=a%2Fb%2f%3D&x=a+b",
        "/f?Signature=~%7E&q=%E2%98%83&e=",
        "/a%20b/c%2Fd?x=%25&y=a:b@c,d;e",
        "/a/./b/../c?x=[1]&y='q'",
        "/f?X-Amz-Credential=AK%2F2026%2Fus-east-1&X-Amz-Date=20260101T000000Z",
    ],
)
def test_address_arrives_byte_for_byte(lenient: Desk, target: str) -> None:
    with open_site(always(page(PNG))) as own, open_site(always(page(PNG))) as cdn:
        lenient.send(own.url, Call("GET", f"{own.url}{target}"))
        lenient.send(own.url, Call("GET", f"{cdn.url}{target}", public=True))
        lenient.download(own.url, f"{own.url}{target}")
        lenient.download(own.url, f"{cdn.url}{target}")
    assert [asked.target for asked in own.asked + cdn.asked] == [target] * 4


def test_compressed_answer_is_read(desk: Desk) -> None:
    body = gzip.compress(b'{"id": 1}')
    with open_site(always(page(body, headers="Content-Encoding: gzip\r\n"))) as site:
        assert desk.send(site.url, GET).json() == {"id": 1}


def test_cookies_are_not_kept(desk: Desk) -> None:
    with open_site(always(page(headers="Set-Cookie: a=b\r\n"))) as site:
        desk.send(site.url, GET)
        desk.send(site.url, GET)
    assert all("cookie" not in asked.headers for asked in site.asked)


def test_proxies_of_the_environment_are_not_used(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{sites.closed_port()}")
    monkeypatch.delenv("no_proxy", raising=False)
    with open_site(always(data())) as site:
        assert desk.send(site.url, GET).ok


# Failures


def failure(desk: Desk, base_url: str, call: Call = POST, timeout_s: float = 5) -> str:
    with pytest.raises(errors.ProviderError) as raised:
        desk.send(base_url, call, timeout_s)
    return type(raised.value).__name__


def test_refused_connection_was_not_sent(desk: Desk) -> None:
    assert failure(desk, f"http://127.0.0.1:{sites.closed_port()}") == "NotSent"


@pytest.mark.parametrize("host", ["no-such-name.invalid", "a" * 64 + ".example"])
def test_name_that_does_not_resolve_was_not_sent(desk: Desk, host: str) -> None:
    assert failure(desk, f"http://{host}", timeout_s=20) in (
        "NotSent",
        "ChannelRefused",
    )


def test_connection_that_is_not_taken_in_time_was_not_sent(desk: Desk) -> None:
    with sites.full_backlog() as port:
        assert failure(desk, f"http://127.0.0.1:{port}", timeout_s=0.6) == "NotSent"


def test_server_that_speaks_no_tls_was_not_sent_anything(desk: Desk) -> None:
    with open_site(always(data())) as site:
        url = site.url.replace("http:", "https:")
        assert failure(desk, url, timeout_s=1) == "NotSent"
    assert site.asked == []


def test_certificate_that_nobody_trusts_was_not_sent_anything(
    desk: Desk, tmp_path: Path
) -> None:
    with open_site(always(data()), tls=self_signed(tmp_path)) as site:
        assert failure(desk, site.url) == "NotSent"
    assert site.asked == []


OVER = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
LOST = [
    pytest.param(Said(end="close"), id="closed after sending"),
    pytest.param(Said(end="reset"), id="reset after sending"),
    pytest.param(Said((OVER + b"cut",), "close"), id="cut body"),
    pytest.param(Said((OVER + b"cut",), "reset"), id="reset in the body"),
    pytest.param(
        Said(
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",), "close"
        ),
        id="cut chunk",
    ),
    pytest.param(Said((b"HTTP/1.1 2xx what\r\n\r\n",), "close"), id="garbage status"),
    pytest.param(Said((b"\x00\x01\x02 no HTTP\r\n\r\n",), "close"), id="no HTTP"),
    pytest.param(Said((b"HTTP/1.1 200 OK\r\nContent-L",), "close"), id="cut head"),
    pytest.param(
        Said((b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",), "close"),
        id="huge header",
    ),
    pytest.param(
        Said((b"HTTP/1.1 200 OK\r\nContent-Length: a\r\n\r\n",), "close"),
        id="no length",
    ),
    pytest.param(
        page(b"not gzip", headers="Content-Encoding: gzip\r\n"), id="bad compression"
    ),
]


@pytest.mark.parametrize("said", LOST)
def test_answer_that_did_not_come_whole_may_have_been_taken(
    desk: Desk, said: Said
) -> None:
    with open_site(always(said)) as site:
        assert failure(desk, site.url) == "AnswerLost"
    assert len(site.asked) == 1


def test_answer_that_comes_too_late_may_have_been_taken(desk: Desk) -> None:
    with open_site(always(Said(end="hang"))) as site:
        assert failure(desk, site.url, timeout_s=0.3) == "AnswerLost"


class Late(errors.HeldUp):
    """What a test refuses a departure with."""


def test_call_that_is_held_back_at_the_last_moment_is_not_sent(desk: Desk) -> None:
    async def ready() -> None:
        raise Late("too late")

    with open_site(always(data(id="1"))) as site, pytest.raises(Late):
        desk.send(site.url, POST, ready=ready)
    assert site.asked == []


@pytest.mark.parametrize("call", [GET, POST])
def test_last_moment_is_when_the_connection_stands(desk: Desk, call: Call) -> None:
    opened: list[int] = []

    async def ready() -> None:
        await asyncio.get_running_loop().run_in_executor(None, site.accepted.wait, 10)
        opened.append(len(site.asked))

    with open_site(always(data(id="1"))) as site:
        assert desk.send(site.url, call, ready=ready).status == 200
    assert opened == [0]
    assert len(site.asked) == 1


def test_call_that_waits_for_its_moment_too_long_was_not_sent(desk: Desk) -> None:
    async def ready() -> None:
        await asyncio.sleep(60)

    with open_site(always(data(id="1"))) as site, pytest.raises(errors.NotSent):
        desk.send(site.url, POST, timeout_s=0.3, ready=ready)
    assert site.asked == []


def test_body_that_drips_too_slowly_may_have_been_taken(desk: Desk) -> None:
    with open_site(always(Said((OVER, b"a"), "hang"))) as site:
        assert failure(desk, site.url, timeout_s=0.4) == "AnswerLost"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
@pytest.mark.parametrize("said", [Said(end="close"), Said(end="reset")])
def test_paid_call_is_made_once_whatever_its_method(
    desk: Desk, method: str, said: Said
) -> None:
    with open_site(always(said)) as site:
        failure(desk, site.url, Call(method, "/pay", paid=True))
    assert len(site.asked) == 1


def test_paid_call_never_goes_over_a_used_connection(desk: Desk) -> None:
    with open_site(always(data())) as site:
        for call in (GET, GET, POST, POST, GET):
            desk.send(site.url, call)
    first, second, third, fourth, last = (asked.connection for asked in site.asked)
    assert first == second == last
    assert len({first, third, fourth}) == 3


def test_answer_over_the_limit_may_have_been_taken(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "REPLY_LIMIT_BYTES", 10_000)
    small = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * 20_000
    bomb = gzip.compress(b"\0" * 5_000_000)
    for said in (
        page(b"x" * 20_000),
        Said((small,), "close"),
        page(bomb, headers="Content-Encoding: gzip\r\n"),
        page(b"x", length=10**12),
    ):
        with open_site(always(said)) as site:
            assert failure(desk, site.url) in ("UnexpectedReply", "AnswerLost")


def test_key_that_cannot_be_sent_is_the_operators_business(desk: Desk) -> None:
    def odd(call: Call, credentials: Any) -> Call:
        return replace(call, headers={"X-Key": "a\r\nb: c"})

    with open_site(always(data())) as site:
        account = desk.account(site.url, replace(LUMEN, authorize=odd))
        with pytest.raises(errors.ChannelRefused) as raised:
            desk.send(site.url, POST, account=account)
    assert site.asked == []
    assert SECRET not in str(raised.value)


# The key


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/steal",
        "https://api.lumen.example.evil.example/",
        "https://api.lumen.example@evil.example/",
        "https://evil.example\\@api.lumen.example/",
        "http://127.0.0.1:1/",
        "https://[::1/",
        "https://evil.example:99999/",
        "file:///etc/passwd",
        "gopher://api.lumen.example/",
    ],
)
def test_hostile_address_of_an_answer_gets_no_call_with_the_key(
    desk: Desk, url: str
) -> None:
    with (
        open_site(always(data())) as site,
        pytest.raises((errors.ProviderError, ValueError)),
    ):
        desk.send(site.url, Call("GET", url))
    assert site.asked == []


def test_strange_host_that_an_answer_names_gets_no_call(lenient: Desk) -> None:
    with open_site(always(data())) as own, open_site(always(data())) as evil:
        with pytest.raises(errors.UnexpectedReply):
            lenient.send(own.url, Call("GET", f"{evil.url}/status/1"))
        lenient.send(own.url, Call("GET", f"{own.url}/status/1"))
    assert evil.asked == []
    assert own.asked[0].headers["authorization"] == KEY


@pytest.mark.parametrize(
    ("base_url", "url", "may"),
    [
        (LUMEN.base_url, "https://api.lumen.example/other/path", True),
        (LUMEN.base_url, "https://queue.lumen.example/x", True),
        (LUMEN.base_url, "https://api.lumen.example:443/x", True),
        (LUMEN.base_url, "http://api.lumen.example/x", False),
        (LUMEN.base_url, "https://api.lumen.example:8443/x", False),
        (LUMEN.base_url, "https://lumen.example/x", False),
        (LUMEN.base_url, "https://eu1.cluster.example/x", True),
        (LUMEN.base_url, "https://cluster.example/x", False),
        (LUMEN.base_url, "https://evilcluster.example/x", False),
        (LUMEN.base_url, "http://eu1.cluster.example/x", False),
        (LUMEN.base_url, "https://evil.example/?https://api.lumen.example/", False),
        ("https://proxy.example/lumen", "https://proxy.example/x", True),
        ("https://proxy.example/lumen", "https://api.lumen.example/x", False),
        ("https://proxy.example/lumen", "https://queue.lumen.example/x", False),
        ("http://127.0.0.1:7000", "http://127.0.0.1:7001/", False),
        ("http://127.0.0.1:7000", "https://127.0.0.1:7000/", False),
    ],
)
def test_key_is_for_the_channels_own_hosts(
    desk: Desk, base_url: str, url: str, may: bool
) -> None:
    hosts = frozenset({"queue.lumen.example", ".cluster.example"})
    provider = replace(LUMEN, hosts=hosts)
    assert desk.account(base_url, provider).may_get_key(url) is may


def test_path_that_looks_like_another_host_stays_at_ours(desk: Desk) -> None:
    with open_site(always(data())) as site:
        desk.send(site.url, Call("GET", "//evil.example/x"))
    assert site.asked[0].target == "//evil.example/x"


def test_secret_is_in_no_text_of_an_account(desk: Desk) -> None:
    assert SECRET not in repr(desk.account("https://api.lumen.example"))


def test_secret_that_was_changed_is_used_at_once(desk: Desk) -> None:
    account = desk.account("http://127.0.0.1")
    changed = replace(account.key, secret=SEALER.seal("new", "key:key_1"))
    assert desk.engine.account(account.channel, changed, LUMEN).secret == "new"


def test_key_in_the_query_is_sent_but_only_there(desk: Desk) -> None:
    def in_query(call: Call, credentials: Any) -> Call:
        return replace(call, params={**call.params, "key": credentials.secret})

    with open_site(always(data())) as site:
        account = desk.account(site.url, replace(LUMEN, authorize=in_query))
        desk.send(
            site.url, Call("GET", "/jobs?a=1", params={"b": "2"}), account=account
        )
    assert site.asked[0].target == f"/jobs?a=1&b=2&key={SECRET}"
    assert "authorization" not in site.asked[0].headers


# Inputs that a client named


def test_clients_url_is_fetched_without_the_key_by_its_true_type(lenient: Desk) -> None:
    answer = page(PNG, headers="Content-Type: text/html\r\n")
    with open_site(always(answer)) as cdn:
        reply = lenient.send(cdn.url, Call("GET", f"{cdn.url}/a.png", public=True))
    assert (reply.content, reply.content_type) == (PNG, "image/png")
    assert "authorization" not in cdn.asked[0].headers


PRIVATE = [
    "http://127.0.0.1:{port}/",
    "http://localhost:{port}/",
    "http://[::1]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://0.0.0.0:{port}/",
    "http://2130706433:{port}/",
    "http://127.1:{port}/",
    "http://169.254.169.254/latest/meta-data/",
    "http://10.0.0.1/",
    "http://[fd00::1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://user@127.0.0.1:{port}/",
    "ftp://127.0.0.1:{port}/",
    "no address at all",
]


@pytest.mark.parametrize("url", PRIVATE)
def test_clients_url_to_a_private_address_is_refused(desk: Desk, url: str) -> None:
    with open_site(always(page(PNG))) as site, pytest.raises(errors.Rejected) as raised:
        desk.send(site.url, Call("GET", url.format(port=site.port), public=True))
    assert site.asked == []
    assert str(raised.value) == "the URL must be http(s) and lead to a public address"


@pytest.mark.parametrize("url", PRIVATE)
def test_callback_to_a_private_address_is_refused(desk: Desk, url: str) -> None:
    with open_site(always(page())) as site, pytest.raises(UnsafeUrl):
        desk.deliver(url.format(port=site.port))
    assert site.asked == []


@pytest.mark.parametrize("url", PRIVATE)
def test_upstreams_link_to_a_private_address_is_refused(desk: Desk, url: str) -> None:
    with open_site(always(page(PNG))) as site, pytest.raises(DownloadFailed) as raised:
        desk.download("https://api.lumen.example", url.format(port=site.port))
    assert site.asked == []
    assert raised.value.final


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_networks_of_the_operator_are_let_through(lenient: Desk, host: str) -> None:
    with open_site(always(page(PNG)), host) as site:
        assert lenient.send(site.url, Call("GET", site.url + "/", public=True)).ok
        assert lenient.deliver(site.url + "/hook").status == 200


def test_redirect_of_a_public_fetch_is_checked_again(lenient: Desk) -> None:
    for url in ("http://10.0.0.1/", "http://169.254.169.254/", "file:///etc/passwd"):
        with open_site(always(moved(url))) as site, pytest.raises(errors.Rejected):
            lenient.send(site.url, Call("GET", site.url + "/", public=True))


def test_redirects_of_a_public_fetch_are_followed_a_few_times(lenient: Desk) -> None:
    def hop(asked: Asked) -> Said:
        n = int(asked.target.removeprefix("/"))
        return moved(f"/{n - 1}") if n else page(PNG)

    with open_site(hop) as site:
        assert lenient.send(site.url, Call("GET", f"{site.url}/5", public=True)).ok
        with pytest.raises(errors.Rejected):
            lenient.send(site.url, Call("GET", f"{site.url}/6", public=True))


@pytest.mark.parametrize("location", ["http://[::1", "http://a:b:c/", "", "\x7f", "//"])
def test_redirect_to_nonsense_is_a_refusal(lenient: Desk, location: str) -> None:
    with open_site(always(moved(location))) as site:
        with pytest.raises(errors.Rejected):
            lenient.send(site.url, Call("GET", site.url + "/", public=True))
        with pytest.raises(DownloadFailed) as raised:
            lenient.download("https://api.lumen.example", site.url + "/a")
    assert raised.value.final


def test_input_over_the_limit_is_refused(lenient: Desk) -> None:
    bomb = gzip.compress(b"\0" * 5_000_000)
    for said in (
        page(b"x" * 100_001),
        page(b"x", length=10**9),
        page(bomb, headers="Content-Encoding: gzip\r\n"),
    ):
        with open_site(always(said)) as site, pytest.raises(errors.Rejected):
            lenient.send(site.url, Call("GET", site.url + "/", public=True))


def test_upload_is_read_from_storage_without_a_call(desk: Desk) -> None:
    desk.storage.put("inputs/a", PNG)
    uploads = {"upload:0": Upload("inputs/a", "image/png")}
    reply = desk.send(
        "http://127.0.0.1:1", Call("GET", "upload:0", public=True), uploads=uploads
    )
    assert (reply.content, reply.content_type) == (PNG, "image/png")


def test_upload_that_is_not_this_tasks_is_refused(desk: Desk) -> None:
    with pytest.raises(errors.Rejected):
        desk.send("http://127.0.0.1:1", Call("GET", "upload:1", public=True))


class Rebinding(asyncio.SelectorEventLoop):
    """A loop whose look-ups answer otherwise each time."""

    def __init__(self, *answers: list[str]) -> None:
        super().__init__()
        self.answers = list(answers)

    async def getaddrinfo(self, host: Any, port: Any, **how: Any) -> Any:
        family = socket.AF_INET
        return [
            (family, socket.SOCK_STREAM, 6, "", (address, port))
            for address in self.answers.pop(0)
        ]


@pytest.mark.parametrize(
    "answer",
    [["10.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["169.254.169.254"], []],
)
def test_name_that_leads_inside_is_refused_whatever_else_it_has(
    answer: list[str],
) -> None:
    loop = Rebinding(answer)
    resolver = http.GuardedResolver(())
    try:
        with pytest.raises(UnsafeUrl):
            loop.run_until_complete(resolver.resolve("rebind.example", 80))
    finally:
        loop.close()


def test_addresses_that_are_dialled_are_those_that_were_checked() -> None:
    loop = Rebinding(["8.8.8.8", "9.9.9.9"], ["127.0.0.1"])
    resolver = http.GuardedResolver(())
    try:
        found = loop.run_until_complete(resolver.resolve("rebind.example", 80))
        assert [each["host"] for each in found] == ["8.8.8.8", "9.9.9.9"]
        assert len(loop.answers) == 1  # asked once
        with pytest.raises(UnsafeUrl):
            loop.run_until_complete(resolver.resolve("rebind.example", 80))
    finally:
        loop.close()


def test_allowed_network_counts_for_names_too() -> None:
    loop = Rebinding(["10.1.2.3"])
    resolver = http.GuardedResolver(Networks.parse("10.0.0.0/8"))
    found = loop.run_until_complete(resolver.resolve("inside.example", 80))
    loop.close()
    assert found[0]["host"] == "10.1.2.3"


# Result files


def test_file_is_stored_with_its_facts(lenient: Desk) -> None:
    content = PNG + b"x" * 200_000
    answer = page(content, headers="Content-Type: Image/WEBP; a=b\r\n")
    with open_site(always(answer)) as site:
        got = lenient.download("https://api.lumen.example", f"{site.url}/a")
    assert lenient.stored() == content
    assert got == Downloaded(
        len(content), hashlib.sha256(content).hexdigest(), "image/webp", "image/png"
    )
    assert "authorization" not in site.asked[0].headers


def test_type_is_seen_though_the_first_piece_is_tiny(lenient: Desk) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(PNG)}\r\n\r\n".encode()
    said = Said((head + PNG[:3], PNG[3:20], PNG[20:]))
    with open_site(always(said)) as site:
        got = lenient.download("https://api.lumen.example", f"{site.url}/a")
    assert got.sniffed_type == "image/png"


def test_protected_file_is_asked_for_with_the_key(desk: Desk) -> None:
    with open_site(always(page(PNG))) as site:
        desk.download(site.url, "/files/1", protected=True)
        desk.download(site.url, f"{site.url}/files/2", protected=False)
    first, second = site.asked
    assert (first.target, first.headers["authorization"]) == ("/files/1", KEY)
    assert "authorization" not in second.headers


def test_key_does_not_follow_a_redirect_elsewhere(lenient: Desk) -> None:
    with (
        open_site(always(page(PNG))) as cdn,
        open_site(always(moved(f"{cdn.url}/signed"))) as own,
    ):
        lenient.download(own.url, "/files/1", protected=True)
    assert own.asked[0].headers["authorization"] == KEY
    assert "authorization" not in cdn.asked[0].headers
    assert SECRET not in cdn.asked[0].target


def test_protected_link_to_a_strange_host_gets_no_key(lenient: Desk) -> None:
    with open_site(always(page(PNG))) as evil:
        lenient.download("https://api.lumen.example", f"{evil.url}/x", protected=True)
    assert "authorization" not in evil.asked[0].headers


def test_redirect_of_a_file_into_our_network_is_refused(desk: Desk) -> None:
    with (
        open_site(always(page(PNG))) as inside,
        open_site(always(moved(f"{inside.url}/secret"))) as own,
        pytest.raises(DownloadFailed) as raised,
    ):
        desk.download(own.url, "/files/1", protected=True)
    assert inside.asked == []
    assert raised.value.final


@pytest.mark.parametrize(
    ("said", "final"),
    [
        (page(status=404), True),
        (page(status=403), True),
        (page(status=410), True),
        (page(status=500), False),
        (page(status=429), False),
        (page(status=206), False),
        (page(b""), False),
        (page(b"x" * 300_001), True),
        (page(b"x" * 50, length=100, headers="Connection: close\r\n"), False),
        (Said((OVER + b"cut",), "close"), False),
        (Said((OVER + b"cut",), "reset"), False),
        (Said(end="close"), False),
        (page(b"x" * 90, headers="Content-Encoding: gzip\r\n"), False),
    ],
)
def test_file_that_did_not_come_whole_is_not_stored(
    lenient: Desk, said: Said, final: bool
) -> None:
    lenient.storage.delete("results/1")
    if said.pieces and b"Connection: close" in said.pieces[0]:
        said = replace(said, end="close")
    with open_site(always(said)) as site, pytest.raises(DownloadFailed) as raised:
        lenient.download("https://api.lumen.example", f"{site.url}/a")
    assert raised.value.final is final
    with pytest.raises(NotStored):
        lenient.stored()


def test_file_that_does_not_end_in_time_is_given_up(lenient: Desk) -> None:
    with (
        open_site(always(Said((OVER, b"a"), "hang"))) as site,
        pytest.raises(DownloadFailed) as raised,
    ):
        lenient.download("https://api.lumen.example", f"{site.url}/a", timeout_s=0.4)
    assert not raised.value.final


def test_storage_that_fails_is_not_taken_for_the_upstreams_failure(
    lenient: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        def writer(self, key: str) -> Any:
            raise StorageError("the disk is full")

    monkeypatch.setattr(lenient.engine, "_storage", Full())
    with open_site(always(page(PNG))) as site, pytest.raises(StorageError):
        lenient.download("https://api.lumen.example", f"{site.url}/a")


# Callbacks to clients


def test_callback_arrives_as_it_was_signed(lenient: Desk) -> None:
    with open_site(always(page(b"ok", status=202))) as site:
        answer = lenient.deliver(f"{site.url}/hook?a=%2F", b'{"a":"\xc3\xab"}')
    (asked,) = site.asked
    assert (asked.method, asked.target) == ("POST", "/hook?a=%2F")
    assert asked.body == b'{"a":"\xc3\xab"}'
    assert asked.headers["webhook-id"] == "msg_1"
    assert asked.headers["content-type"] == "application/json"
    assert answer == Answer(202, "ok", None)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_of_a_receiver_is_not_followed(lenient: Desk, status: int) -> None:
    with (
        open_site(always(page())) as other,
        open_site(always(moved(f"{other.url}/x", status))) as site,
    ):
        assert lenient.deliver(f"{site.url}/hook").status == status
    assert other.asked == []


def test_no_more_than_four_kib_of_an_answer_are_kept(lenient: Desk) -> None:
    body = b"\xff" * 10 + b"a" * 20_000
    with open_site(always(page(body, headers="Retry-After: 30\r\n"))) as site:
        answer = lenient.deliver(f"{site.url}/hook")
    assert len(answer.excerpt) == 4096
    assert answer.retry_after_s == 30


def test_endless_answer_is_not_read_to_its_end(lenient: Desk) -> None:
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
    said = Said((head + b"x" * 70_000,), "hang")
    with open_site(always(said)) as site:
        answer = lenient.deliver(f"{site.url}/hook", timeout_s=5)
    assert (answer.status, len(answer.excerpt)) == (200, 4096)


def test_bomb_of_a_receiver_is_not_unpacked(lenient: Desk) -> None:
    bomb = gzip.compress(b"a" * 50_000_000)
    answer = page(bomb, headers="Content-Encoding: gzip\r\n")
    # The client library may give up first.
    with open_site(always(answer)) as site, suppress(aiohttp.ClientError):
        assert lenient.deliver(f"{site.url}/hook").excerpt in ("a" * 4096, "")


def test_receiver_has_so_much_time_on_the_wall_clock(lenient: Desk) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"
    dripping = Said((head, *[b"x"] * 60))
    with open_site(always(dripping)) as site, pytest.raises(TimeoutError):
        lenient.deliver(f"{site.url}/hook", timeout_s=0.3)


def test_guarded_calls_use_a_new_connection_each(lenient: Desk) -> None:
    with open_site(always(page())) as site:
        lenient.deliver(f"{site.url}/hook")
        lenient.deliver(f"{site.url}/hook")
    assert site.connections == 2


def test_bearer_is_what_these_tests_look_for() -> None:
    assert LUMEN.authorize is auth.bearer


def self_signed(folder: Path) -> ssl.SSLContext:
    """A server's TLS with a certificate that nobody trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context
