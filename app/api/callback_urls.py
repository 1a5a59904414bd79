"""Refuse, at intake, a callback URL that leads into our own network.

The delivery resolves and checks again, and dials the address that it checked; this look
only tells the client at once. A name that does not resolve in time is refused too.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from app.api.memory import Memory
from app.errors import InvalidRequest
from app.security.addresses import Network, Resolver, UnsafeUrl, parse_url, resolve

logger = logging.getLogger(__name__)

REMEMBERED_S = 30.0
REMEMBERED_HOSTS = 5_000
RESOLVE_TIMEOUT_S = 3.0
RESOLVER_THREADS = 16


class CallbackUrls:
    """Checks callback URLs; remembers for a moment which hosts were good."""

    def __init__(
        self,
        allow: Sequence[Network],
        resolver: Resolver = socket.getaddrinfo,
        *,
        timeout_s: float = RESOLVE_TIMEOUT_S,
    ) -> None:
        self._allow = allow
        self._resolver = resolver
        self._timeout_s = timeout_s
        self._good: Memory[tuple[str, int], bool] = Memory(
            REMEMBERED_S, REMEMBERED_HOSTS
        )
        # A resolver may be silent for half a minute: no web thread waits that long.
        self._threads = ThreadPoolExecutor(RESOLVER_THREADS, "resolver")

    def check(self, url: str) -> None:
        """Raise InvalidRequest unless every address of the host is allowed."""
        try:
            parsed = parse_url(url)
            if parsed.address is not None:
                resolve(url, self._allow)
                return
            host = (parsed.host, parsed.port)
            if self._good.find(host):
                return
            since = self._good.now()
            looked = self._threads.submit(resolve, url, self._allow, self._resolver)
            try:
                looked.result(self._timeout_s)
            except TimeoutError as error:
                looked.cancel()
                raise UnsafeUrl(f"{parsed.host} does not resolve in time") from error
        except UnsafeUrl as error:
            logger.info("a callback URL is refused", extra={"reason": error.reason})
            raise InvalidRequest(
                f"callback_url: {error}", errors={"callback_url": [str(error)]}
            ) from error
        self._good.keep(host, True, since=since)

    def close(self) -> None:
        """Let the resolver's threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)
