"""Where a page of a list ended, as an opaque text that only its client can use."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

from app.errors import InvalidRequest
from app.store.task_lists import Place

MAC_BYTES = 16
PLACE = re.compile(r"([0-9]{1,16}) (task_[0-9a-f]{32})")


def make_cursor(key: bytes, client_id: str, place: Place) -> str:
    """The text that leads to what follows `place`."""
    told = f"{place.created_at} {place.task_id}".encode()
    sealed = _mac(key, client_id, told) + told
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


def read_cursor(key: bytes, client_id: str, cursor: str) -> Place:
    """The place of a cursor that this client was given; else InvalidRequest."""
    try:
        sealed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except ValueError:
        sealed = b""
    mac, told = sealed[:MAC_BYTES], sealed[MAC_BYTES:]
    if told and hmac.compare_digest(mac, _mac(key, client_id, told)):
        match = PLACE.fullmatch(told.decode("ascii", "replace"))
        if match:
            return Place(int(match[1]), match[2])
    text = "is not a next_cursor that you were given"
    raise InvalidRequest(f"cursor {text}", errors={"cursor": [text]})


def _mac(key: bytes, client_id: str, told: bytes) -> bytes:
    message = b"cursor %b %b" % (client_id.encode(), told)
    return hmac.digest(key, message, hashlib.sha256)[:MAC_BYTES]
