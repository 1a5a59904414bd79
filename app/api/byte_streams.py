"""A request's body in pieces: as long as it says, and not too long."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from app.api.json_bodies import body_error
from app.api.spools import CHUNK_BYTES
from app.errors import TooLarge


def read_chunks(environ: Mapping[str, Any], limit_bytes: int) -> Iterator[bytes]:
    """The body of a WSGI request; raises TooLarge, or InvalidRequest when it is cut."""
    length = _length(environ)
    if length is not None and length > limit_bytes:
        raise _too_large(limit_bytes)
    stream, read_bytes = environ["wsgi.input"], 0
    while length is None or read_bytes < length:
        wanted = (
            CHUNK_BYTES if length is None else min(CHUNK_BYTES, length - read_bytes)
        )
        try:
            piece = stream.read(wanted)
        except (OSError, ValueError) as error:
            raise body_error("the body broke off") from error
        if not piece:
            break
        read_bytes += len(piece)
        if read_bytes > limit_bytes:
            raise _too_large(limit_bytes)
        yield piece
    if length is not None and read_bytes < length:
        raise body_error(
            f"the body broke off: {read_bytes} bytes came, Content-Length says {length}"
        )


def read_all(environ: Mapping[str, Any], limit_bytes: int) -> bytes:
    """The whole body; raises TooLarge, or InvalidRequest when it is cut."""
    return b"".join(read_chunks(environ, limit_bytes))


def _length(environ: Mapping[str, Any]) -> int | None:
    """The length of the body; None when only the server knows where it ends."""
    text = environ.get("CONTENT_LENGTH") or ""
    if text.isascii() and text.isdigit() and len(text) <= 18:
        return int(text)
    if text:
        raise body_error("Content-Length is not a number of bytes")
    return None if environ.get("wsgi.input_terminated") else 0


def _too_large(limit_bytes: int) -> TooLarge:
    text = f"must have at most {limit_bytes:,} bytes"
    return TooLarge(f"the body {text}", errors={"body": [text]})
