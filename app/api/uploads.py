"""Images that come as bytes: base64 or files, decoded, checked and stored in pieces."""

from __future__ import annotations

import binascii
import logging
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from app.api.json_bodies import unescape_ascii
from app.api.request_fields import URL_LIKE
from app.api.spools import CHUNK_BYTES, FormFile, Spool
from app.api.task_requests import GivenImage
from app.errors import GatewayError, InvalidRequest, TooLarge
from app.media import BadMedia, check_image
from app.security.addresses import UnsafeUrl, parse_url
from app.storage import Storage, StorageError

logger = logging.getLogger(__name__)

DATA_URL = re.compile(rb"data:[^,]{0,200};base64,", re.IGNORECASE)
HEAD_BYTES = 256
WHITE_SPACE = b" \t\r\n"
NOT_AN_IMAGE = "is no http(s) URL, data URL in base64, base64 or file"


@dataclass(frozen=True)
class Image:
    """An input image: a link to fetch, or bytes that were sent (`spool`)."""

    field: str
    url: str | None = None
    spool: Spool | None = None

    @property
    def identity(self) -> dict[str, str]:
        """What makes two images the same, for comparing two requests."""
        return {"sha256": self.spool.sha256} if self.spool else {"url": self.url or ""}


def read_images(
    given: Sequence[GivenImage], files: ExitStack, max_bytes: int
) -> list[Image]:
    """The images with base64 decoded; raises InvalidRequest or TooLarge."""
    return [_read_image(image, files, max_bytes) for image in given]


def check_images(images: Iterable[Image], max_pixels: int) -> list[str | None]:
    """The true content type of each image that was sent; raises InvalidRequest."""
    return [_check_image(image, max_pixels) for image in images]


@contextmanager
def stored(
    storage: Storage,
    task_id: str,
    images: Sequence[Image],
    content_types: Sequence[str | None],
) -> Iterator[list[dict[str, Any]]]:
    """The images as a task keeps them, their bytes in storage.

    They are removed again when the block refuses the task. After any other error the
    task may exist, if only its confirmation was lost, and needs them: then a sweep
    decides.
    """
    keys: list[str] = []
    try:
        kept: list[dict[str, Any]] = []
        for image, content_type in zip(images, content_types, strict=True):
            if image.spool is None:
                kept.append({"url": image.url})
                continue
            # The last characters of an id are random, its first ones tell the time.
            key = f"inputs/{task_id[-2:]}/{task_id}/{len(keys)}"
            keys.append(key)
            with storage.writer(key) as file:
                shutil.copyfileobj(image.spool.open(), file, CHUNK_BYTES)
            kept.append({"upload": key, "content_type": content_type})
    except BaseException:
        _remove(storage, keys)
        raise
    try:
        yield kept
    except GatewayError:
        _remove(storage, keys)
        raise


def _remove(storage: Storage, keys: Iterable[str]) -> None:
    for key in keys:
        try:
            storage.delete(key)
        except StorageError as error:
            logger.warning(
                "an input file is left behind",
                extra={"file": key, "error": str(error)},
            )


def _read_image(given: GivenImage, files: ExitStack, max_bytes: int) -> Image:
    value = given.value
    if value is None:  # a null within a list
        raise _error(given.field, NOT_AN_IMAGE)
    if isinstance(value, FormFile):
        _check_size(given.field, value.spool.size_bytes, max_bytes)
        return Image(given.field, spool=value.spool)
    if isinstance(value, str):
        if URL_LIKE.match(value):
            return Image(given.field, url=_check_url(given.field, value))
        try:
            chunks: Iterable[bytes] = [value.encode("ascii")]
        except UnicodeEncodeError as error:
            raise _error(given.field, NOT_AN_IMAGE) from error
    else:
        chunks = value.spool.chunks()
        if value.escaped:
            chunks = unescape_ascii(chunks)
    spool = Spool(files)
    try:
        for piece in _decode(chunks):
            spool.write(piece)
            _check_size(given.field, spool.size_bytes, max_bytes)
    except ValueError as error:
        raise _error(given.field, NOT_AN_IMAGE) from error
    return Image(given.field, spool=spool)


def _decode(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes behind a data URL or base64, padded or not; raises ValueError."""
    rest, is_first = b"", True
    for chunk in chunks:
        piece = chunk
        if is_first:
            piece, is_first = _without_prefix(chunk), False
        piece = rest + piece.translate(None, WHITE_SPACE)
        # Whole groups of four, but the last one: what follows a padding is an error.
        cut = max(0, (len(piece) - 1) // 4 * 4)
        rest = piece[cut:]
        yield _decode_groups(piece[:cut], last=False)
    yield _decode_groups(rest + b"=" * (-len(rest) % 4), last=True)


def _decode_groups(groups: bytes, *, last: bool) -> bytes:
    if not last and b"=" in groups:
        raise ValueError("characters after the padding")
    return binascii.a2b_base64(groups, strict_mode=True)


def _without_prefix(head: bytes) -> bytes:
    if head[:5].lower() != b"data:":
        return head
    prefix = DATA_URL.match(head[:HEAD_BYTES])
    if prefix is None:
        raise ValueError("a data URL without base64")
    return head[prefix.end() :]


def _check_image(image: Image, max_pixels: int) -> str | None:
    if image.spool is None:
        return None
    try:
        return check_image(image.spool.open(), max_pixels).content_type
    except BadMedia as error:
        raise _error(image.field, str(error)) from error


def _check_url(field: str, url: str) -> str:
    try:
        parse_url(url)
    except UnsafeUrl as error:
        raise _error(field, str(error)) from error
    return url


def _check_size(field: str, size_bytes: int, max_bytes: int) -> None:
    if size_bytes > max_bytes:
        text = f"must have at most {max_bytes:,} bytes"
        raise TooLarge(f"{field} {text}", errors={field: [text]})


def _error(field: str, text: str) -> InvalidRequest:
    return InvalidRequest(f"{field}: {text}", errors={field: [text]})
