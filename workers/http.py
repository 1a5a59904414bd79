"""The HTTP engine of a worker process; aiohttp lives here only.

One event loop in a thread of its own carries thousands of slow exchanges. Each call is
checked (may this address get this channel's key?), authorized, sent once and read to a
limit. Nothing here repeats a call.
"""

from __future__ import annotations

import asyncio
import hashlib
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Self, TypeVar
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from app.generation_requests import Upload
from app.media import sniff
from app.security import addresses
from app.security.sealing import Sealer
from app.settings import Settings
from app.storage import Storage
from app.store.channels import Channel, ChannelKey
from providers import errors
from providers.flow import Call, Part, Reply, call_url
from providers.types import Credentials, Provider

try:
    import uvloop

    new_event_loop: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
except ImportError:  # not on Windows
    new_event_loop = asyncio.new_event_loop

T = TypeVar("T")

USER_AGENT = "genrelay"
CONNECT_TIMEOUT_S = 10.0
REDIRECTS = 5
# An inline answer of ten large images in base64.
REPLY_LIMIT_BYTES = 256 * 1024 * 1024
CHUNK_BYTES = 1024 * 1024
SNIFF_BYTES = 4096
REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})


class DownloadFailed(Exception):
    """A result file could not be copied; `final` when another try is in vain."""

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


class NoAnswer(Exception):
    """A client's receiver did not answer as HTTP says; the text says how."""


@dataclass(frozen=True)
class Account:
    """A channel with one of its keys: where calls go, and what authorizes them."""

    channel: Channel
    key: ChannelKey
    provider: Provider
    secret: str = field(repr=False)

    def url_of(self, call: Call) -> str:
        """The call's address: below the channel's base URL, or as it stands."""
        return call_url(self.channel.base_url, call)

    def is_below_base(self, call: Call) -> bool:
        """Whether the call's address begins with the channel's own base URL."""
        return call.url.startswith("/")

    def may_get_key(self, url: str) -> bool:
        """Whether this address belongs to the provider, so that it may see the key."""
        if _origin(url) == _origin(self.channel.base_url):
            return True
        parts = urlsplit(url)
        host = parts.hostname or ""
        own = {urlsplit(self.provider.base_url).hostname, *self.provider.hosts}
        return (
            parts.scheme == "https"
            and (host in own or any(host.endswith(h) for h in own if h and h[0] == "."))
            and parts.port in (None, 443)
            and _origin(self.channel.base_url) == _origin(self.provider.base_url)
        )


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A result file that is now in storage."""

    size_bytes: int
    sha256: str
    content_type: str | None
    sniffed_type: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client's receiver said."""

    status: int
    excerpt: str
    retry_after_s: float | None


Ready = Callable[[], Awaitable[None]]


@dataclass
class _Departure:
    """The last question before a request is written, and whether it was answered."""

    ready: Ready
    left: bool = False


_departure: ContextVar[_Departure | None] = ContextVar("departure", default=None)


class _Request(aiohttp.ClientRequest):
    """Asks at the last moment, when its connection stands, whether it may leave."""

    async def send(self, conn: Any) -> aiohttp.ClientResponse:
        departure = _departure.get()
        if departure is not None:
            await departure.ready()
            departure.left = True
        return await super().send(conn)


class GuardedResolver(AbstractResolver):
    """Looks a name up once and refuses it unless every address may be called.

    The addresses that were checked are those that are dialled.
    """

    def __init__(self, allow: Sequence[addresses.Network]) -> None:
        self._allow = allow

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses.check_addresses([str(entry[4][0]) for entry in found], self._allow)
        return [
            ResolveResult(
                hostname=host,
                host=str(entry[4][0]),
                port=port,
                family=entry[0],
                proto=entry[2],
                flags=socket.AI_NUMERICHOST,
            )
            for entry in found
        ]

    async def close(self) -> None:
        """Nothing is kept open."""


class Engine:
    """One event loop in a thread, and this process's connections."""

    def __init__(self, settings: Settings, storage: Storage, sealer: Sealer) -> None:
        self._settings = settings
        self._storage = storage
        self._sealer = sealer
        self._allow = tuple(settings.allow_networks)
        self._secrets: dict[tuple[str, bytes], str] = {}
        self.loop = new_event_loop()
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self.loop).result()
        return self

    def __exit__(self, *exc: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self.loop).result()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def account(self, channel: Channel, key: ChannelKey, provider: Provider) -> Account:
        """A channel ready to be called with a key; its secret is unsealed once."""
        known = (key.id, key.secret)
        if known not in self._secrets:
            self._secrets[known] = self._sealer.unseal(key.secret, f"key:{key.id}")
        return Account(channel, key, provider, self._secrets[known])

    async def send(
        self,
        call: Call,
        account: Account,
        *,
        timeout_s: float,
        uploads: Mapping[str, Upload] | None = None,
        ready: Ready | None = None,
    ) -> Reply:
        """One exchange; raises `NotSent`, `AnswerLost` and other provider errors.

        `ready` is awaited when the connection stands, right before the request is
        written; what it raises goes through, and nothing was sent then.
        """
        if call.url.startswith("upload:"):
            return await self._read_upload(call.url, uploads or {})
        if call.public:
            return await self._fetch_public(call, timeout_s)
        url = account.url_of(call)
        if not (account.is_below_base(call) or account.may_get_key(url)):
            raise errors.UnexpectedReply(
                f"the upstream names an address that is not its own: "
                f"{urlsplit(url).hostname}"
            )
        signed = account.provider.authorize(
            Call(
                call.method,
                url,
                headers=call.headers,
                json=call.json,
                parts=call.parts,
                body=call.body,
                paid=call.paid,
                public=call.public,
            ),
            Credentials(account.secret, account.channel.settings, time.time()),
        )
        # A kept connection may be closed by the other side just when a call is
        # written to it. A lost poll costs nothing; a paid call gets a fresh one.
        session = self._fresh if call.paid else self._kept
        return await self._exchange(
            session, signed, account.url_of(signed), timeout_s, ready
        )

    async def download(
        self,
        account: Account,
        url: str,
        storage_key: str,
        *,
        protected: bool,
        timeout_s: float,
    ) -> Downloaded:
        """Copy a result file into storage as it streams; raises `DownloadFailed`."""
        url = account.url_of(Call("GET", url))
        try:
            async with asyncio.timeout(timeout_s):
                for _ in range(REDIRECTS + 1):
                    moved = await self._download_once(
                        account, url, storage_key, protected=protected
                    )
                    if isinstance(moved, Downloaded):
                        return moved
                    url = moved
        except ValueError as error:  # UnsafeUrl, InvalidURL, and what is no URL at all
            raise DownloadFailed(f"no usable address: {error}", final=True) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise DownloadFailed(f"the file did not arrive: {_name(error)}") from error
        raise DownloadFailed("the file's address redirects too often", final=True)

    async def deliver(
        self, url: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float
    ) -> Answer:
        """POST to a client's receiver.

        Redirects are not followed. Raises `UnsafeUrl`, `OSError`, `TimeoutError` or
        `NoAnswer`.
        """
        guarded_url = self._guard(url)
        kept = b""
        read = 0
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._guarded.post(
                    guarded_url,
                    data=body,
                    headers=dict(headers),
                    allow_redirects=False,
                ) as response,
            ):
                async for chunk in response.content.iter_chunked(4096):
                    read += len(chunk)
                    kept = (kept + chunk)[:4096]
                    if read >= 65536:
                        break
                reply = Reply(response.status, _headers(response.headers))
        except aiohttp.ClientError as error:
            raise NoAnswer(_name(error)) from error
        return Answer(
            reply.status, kept.decode("utf-8", "replace"), reply.retry_after_s
        )

    def in_thread(self, function: Callable[..., T], *args: Any) -> Awaitable[T]:
        """Run blocking code (storage, Pillow) beside the loop."""
        return self.loop.run_in_executor(None, function, *args)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    async def _open(self) -> None:
        common: dict[str, Any] = {
            "cookie_jar": aiohttp.DummyCookieJar(),
            "headers": {"User-Agent": USER_AGENT},
            "trust_env": False,
            "requote_redirect_url": False,
            "request_class": _Request,
        }
        self._kept = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30), **common
        )
        self._fresh = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=True), **common
        )
        # aiohttp repeats a GET, PUT or DELETE whose connection broke, new ones too.
        self._fresh._retry_connection = False
        self._guarded = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                force_close=True,
                use_dns_cache=False,
                resolver=GuardedResolver(self._allow),
            ),
            **common,
        )

    async def _close(self) -> None:
        for session in (self._kept, self._fresh, self._guarded):
            await session.close()
        await self.loop.shutdown_default_executor()

    def _guard(self, url: str) -> URL:
        """The URL as the guard read it, or `UnsafeUrl`.

        An address in it is checked here, because the resolver is not asked about one.
        """
        parsed = addresses.parse_url(url)
        if parsed.address is not None:
            addresses.check_addresses([parsed.address], self._allow)
        return URL(parsed.url, encoded=True)

    async def _exchange(
        self,
        session: aiohttp.ClientSession,
        call: Call,
        url: str,
        timeout_s: float,
        ready: Ready | None,
    ) -> Reply:
        departure = None if ready is None else _Departure(ready)
        token = _departure.set(departure)
        try:
            async with session.request(
                call.method,
                URL(url, encoded=True),
                headers=dict(call.headers),
                json=call.json,
                data=_form(call.parts) if call.parts else call.body,
                timeout=_timeout(timeout_s),
                allow_redirects=False,
            ) as response:
                content = await _read(response, REPLY_LIMIT_BYTES)
                return Reply(response.status, _headers(response.headers), content)
        except (
            aiohttp.ClientConnectorError,
            aiohttp.ClientConnectorDNSError,
            aiohttp.ClientSSLError,
            aiohttp.ConnectionTimeoutError,
        ) as error:
            raise errors.NotSent(f"no connection: {_name(error)}") from error
        except (aiohttp.InvalidURL, ValueError) as error:
            raise errors.ChannelRefused(
                f"the channel's address or key cannot be sent: {_name(error)}"
            ) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            if departure is not None and not departure.left:
                raise errors.NotSent(f"it did not leave: {_name(error)}") from error
            raise errors.AnswerLost(f"no whole answer: {_name(error)}") from error
        finally:
            _departure.reset(token)

    async def _read_upload(self, url: str, uploads: Mapping[str, Upload]) -> Reply:
        upload = uploads.get(url)
        if upload is None:
            raise errors.Rejected("an uploaded input is gone")

        def read(key: str) -> bytes:
            with self._storage.open(key) as file:
                return file.read()

        content = await self.in_thread(read, upload.storage_key)
        return Reply(200, {"content-type": upload.content_type}, content)

    async def _fetch_public(self, call: Call, timeout_s: float) -> Reply:
        """A client's own URL: guarded at every hop, without credentials."""
        url = call.url
        try:
            async with asyncio.timeout(min(timeout_s, 60)):
                for _ in range(REDIRECTS + 1):
                    async with self._guarded.request(
                        call.method, self._guard(url), allow_redirects=False
                    ) as response:
                        if response.status in REDIRECT_STATUSES:
                            url = _redirected(url, response)
                            continue
                        limit = self._settings.max_upload_bytes
                        content = await _read(response, limit)
                        headers = _headers(response.headers)
                        if sniffed := sniff(content[:SNIFF_BYTES]):
                            headers["content-type"] = sniffed
                        return Reply(response.status, headers, content)
        except addresses.UnsafeUrl as error:
            raise errors.Rejected(str(error)) from error
        except (errors.UnexpectedReply, ValueError) as error:
            raise errors.Rejected(f"an input could not be fetched: {error}") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise errors.Rejected(
                f"an input could not be fetched: {_name(error)}"
            ) from error
        raise errors.Rejected("an input's address redirects too often")

    async def _download_once(
        self, account: Account, url: str, storage_key: str, *, protected: bool
    ) -> Downloaded | str:
        """The file's facts, or where it moved to."""
        call = Call("GET", url)
        address = URL(url, encoded=True)
        trusted = _origin(url) == _origin(account.channel.base_url)
        if protected and account.may_get_key(url):
            credentials = Credentials(
                account.secret, account.channel.settings, time.time()
            )
            call = account.provider.authorize(call, credentials)
            address = URL(account.url_of(call), encoded=True)
            session = self._kept
        elif trusted:
            session = self._kept
        else:
            address = self._guard(url)
            session = self._guarded
        async with session.get(
            address,
            headers=dict(call.headers),
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(
                total=None, connect=CONNECT_TIMEOUT_S, sock_read=30
            ),
        ) as response:
            if response.status in REDIRECT_STATUSES:
                return _redirected(url, response)
            if response.status != 200:
                raise DownloadFailed(
                    f"the file's address answered {response.status}",
                    final=response.status in (400, 401, 403, 404, 410),
                )
            return await self._store(response, storage_key)

    async def _store(
        self, response: aiohttp.ClientResponse, storage_key: str
    ) -> Downloaded:
        limit = self._settings.max_result_bytes
        digest = hashlib.sha256()
        size = 0
        head = b""
        manager = self._storage.writer(storage_key)
        writer = await self.in_thread(manager.__enter__)
        try:
            async for chunk in response.content.iter_chunked(CHUNK_BYTES):
                size += len(chunk)
                if size > limit:
                    raise DownloadFailed(
                        f"the file is larger than {limit} bytes", final=True
                    )
                head += chunk[: SNIFF_BYTES - len(head)]
                digest.update(chunk)
                await self.in_thread(writer.write, chunk)
            if not size:
                raise DownloadFailed("the file is empty")
        except BaseException as error:
            # The writer throws away what was written and lets the error through.
            with suppress(type(error)):
                await self.in_thread(
                    manager.__exit__, type(error), error, error.__traceback__
                )
            raise
        await self.in_thread(manager.__exit__, None, None, None)
        declared = response.headers.get("content-type", "").split(";")[0].strip()
        return Downloaded(
            size, digest.hexdigest(), declared.lower() or None, sniff(head)
        )


@lru_cache(maxsize=64)
def _timeout(timeout_s: float) -> aiohttp.ClientTimeout:
    connect_s = min(CONNECT_TIMEOUT_S, timeout_s / 2)
    return aiohttp.ClientTimeout(total=timeout_s, connect=connect_s)


def _form(parts: tuple[Part, ...]) -> aiohttp.FormData:
    form = aiohttp.FormData(default_to_multipart=True)
    for part in parts:
        form.add_field(
            part.name,
            part.content,
            filename=part.filename,
            content_type=part.content_type,
        )
    return form


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    if response.content_length is not None and response.content_length > limit:
        raise errors.UnexpectedReply(f"an answer of more than {limit} bytes")
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > limit:
            raise errors.UnexpectedReply(f"an answer of more than {limit} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


def _headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _redirected(url: str, response: aiohttp.ClientResponse) -> str:
    return urljoin(url, response.headers.get("location", ""))


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        return (parts.scheme, None, None)
    default = {"http": 80, "https": 443}.get(parts.scheme)
    return (parts.scheme, parts.hostname, port or default)


def _name(error: BaseException) -> str:
    """An error for logs and operators: its class, and its text where it has one."""
    text = str(error)
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__
