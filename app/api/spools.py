"""Parts of a request that are too large for memory: files, and texts that hold one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

# What is smaller stays in memory: a prompt always does.
LONG_BYTES = 64 * 1024
CHUNK_BYTES = 64 * 1024


class Spool:
    """Bytes on their way through: written once, then read, gone with the request."""

    def __init__(self, files: ExitStack) -> None:
        self._file = SpooledTemporaryFile(LONG_BYTES)  # noqa: SIM115 - `files` closes it
        files.callback(self._file.close)
        self._hash = hashlib.sha256()
        self.size_bytes = 0

    def write(self, piece: bytes) -> None:
        """Add some bytes."""
        self._file.write(piece)
        self._hash.update(piece)
        self.size_bytes += len(piece)

    @property
    def sha256(self) -> str:
        """The digest of what was written, in hexadecimal."""
        return self._hash.hexdigest()

    def open(self) -> BinaryIO:
        """The bytes from their start."""
        self._file.seek(0)
        return cast(BinaryIO, self._file)

    def chunks(self) -> Iterator[bytes]:
        """The bytes from their start, in pieces."""
        file = self.open()
        while piece := file.read(CHUNK_BYTES):
            yield piece


class LongText:
    """A text value of more than LONG_BYTES; `escaped` when it is as JSON wrote it."""

    def __init__(self, spool: Spool, *, escaped: bool) -> None:
        self.spool = spool
        self.escaped = escaped


class FormFile:
    """A file of a form; its name and its claimed type are not believed."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
