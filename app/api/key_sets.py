"""Providers' public keys (JSON Web Key Sets), fetched from their own host and kept."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import requests

logger = logging.getLogger(__name__)

KEPT_S = 24 * 3600.0
# Also a stranger with a wrong signature makes us look again: not more often than this.
FETCH_SPACING_S = 60.0
TIMEOUT_S = 5.0
MAX_BYTES = 64 * 1024

KeySet = Mapping[str, Any]
Verify = Callable[[KeySet], bool]


class NoKeySet(Exception):
    """The keys cannot be had now."""


@dataclass
class _Entry:
    lock: threading.Lock = field(default_factory=threading.Lock)
    keys: KeySet | None = None
    fetched_at: float = float("-inf")
    tried_at: float = float("-inf")


class KeySets:
    """The key sets that one process knows, by URL."""

    def __init__(
        self,
        fetch: Callable[[str], KeySet] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch = fetch or fetch_key_set
        self._clock = clock
        self._entries: dict[str, _Entry] = {}
        self._lock = threading.Lock()

    def verify(self, url: str, is_signed: Verify) -> bool:
        """Whether the keys at `url` verify; keys that fail are fetched anew, once.

        Raises NoKeySet when there are none to ask.
        """
        with self._lock:
            entry = self._entries.setdefault(url, _Entry())
        with entry.lock:
            is_old = self._clock() - entry.fetched_at > KEPT_S
            if entry.keys is None or is_old:
                self._refresh(url, entry)
            keys = entry.keys
        if keys is None:
            raise NoKeySet(url)
        if is_signed(keys):
            return True
        with entry.lock:
            if entry.keys is keys and not self._refresh(url, entry):
                return False
            keys = entry.keys
        return keys is not None and is_signed(keys)

    def _refresh(self, url: str, entry: _Entry) -> bool:
        now = self._clock()
        if now - entry.tried_at < FETCH_SPACING_S:
            return False
        entry.tried_at = now
        try:
            entry.keys = self._fetch(url)
        except NoKeySet as error:
            logger.warning(
                "a provider's key set cannot be fetched",
                extra={"url": url, "error": str(error)},
            )
            if now - entry.fetched_at > KEPT_S:
                entry.keys = None
            return False
        entry.fetched_at = now
        return True


def fetch_key_set(url: str, timeout_s: float = TIMEOUT_S) -> KeySet:
    """The JSON object at `url`, without redirects or proxies; raises NoKeySet."""
    ends_at = time.monotonic() + timeout_s
    content = bytearray()
    try:
        with requests.Session() as session:
            session.trust_env = False
            with session.get(
                url,
                timeout=timeout_s,
                allow_redirects=False,
                stream=True,
                headers={"Accept": "application/json"},
            ) as answer:
                if answer.status_code != 200:
                    raise NoKeySet(f"HTTP {answer.status_code}")
                for piece in answer.iter_content(4096):
                    content += piece
                    if len(content) > MAX_BYTES:
                        raise NoKeySet(f"more than {MAX_BYTES} bytes")
                    if time.monotonic() > ends_at:
                        raise NoKeySet(f"takes more than {timeout_s:g} s")
    except requests.RequestException as error:
        raise NoKeySet(f"{type(error).__name__}") from error
    try:
        keys = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise NoKeySet("is no JSON") from error
    if not isinstance(keys, dict):
        raise NoKeySet("is no key set")
    return keys
