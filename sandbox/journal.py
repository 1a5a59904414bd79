"""What has to outlive the process, as lines of JSON in a file.

Each record is written when it happens and handed to the system at once, so that it
stays when the process is killed (not when the machine loses its power). The file is
private, as it holds the secrets that jobs were submitted with. Beside it are

    <name>.1       an older part, once the file has grown to half of what is allowed
    <name>.keys    the signing keys, one line per provider; held by one process

A file that begins with `HEADER` holds all there is, and an older part beside it is left
over from before.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows: there nothing tells of a second process
    fcntl = None  # type: ignore[assignment]

from sandbox.webhooks import SigningKeys

log = logging.getLogger(__name__)

Record = dict[str, Any]

HEADER = b'{"kind":"journal","version":1}\n'
MOST_BYTES = 256 * 1000**2
"""Room for the most jobs that are remembered, with prompts of usual length."""
WRITE_BYTES = 1000**2
"""How much is handed to the system at once where many records are written."""

as_json = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
"""One line, in ASCII whatever the texts hold."""


def line_of(record: Record) -> bytes:
    return as_json(record).encode() + b"\n"


class Journal:
    """The file while one process has it open; used inside the server's event loop."""

    def __init__(self, path: Path, most_bytes: int = MOST_BYTES) -> None:
        """Take the file; OSError when another process has it or it cannot be used."""
        self.path = path
        self.most_bytes = most_bytes
        self._older = path.with_name(path.name + ".1")
        self._keys = open_private(path.with_name(path.name + ".keys"))
        try:
            lock(self._keys, path)
            self._file = open_private(path)
        except OSError:
            os.close(self._keys)
            raise
        self._size = os.fstat(self._file).st_size
        self._torn = False
        self._failed = False
        self._closed = False

    def read(self, take: Callable[[Record], None]) -> None:
        """Give what was written to `take`, oldest first.

        A last line that is not whole is what a killed process leaves behind. Other
        lines that cannot be read, or that `take` refuses by a KeyError, TypeError or
        ValueError, are left out with a warning that tells how many.
        """
        damaged = 0
        torn = False
        for line in self._lines():
            damaged += torn
            torn = False
            try:
                take(json.loads(line))
            except (
                AttributeError,
                KeyError,
                RecursionError,
                TypeError,
                ValueError,
            ):
                torn = not line.endswith(b"\n")
                damaged += not torn
        if damaged:
            log.warning("%s: %d damaged lines are left out", self.path, damaged)

    def append(self, record: Record) -> None:
        """Write one record; a disk that refuses it is told once and lived with."""
        if self._closed:
            return
        line = line_of(record)
        if self._torn:
            line = b"\n" + line
        try:
            if self._file < 0 or self._size + len(line) > self.most_bytes // 2:
                self._start_anew()
            written = os.write(self._file, line)
        except OSError as error:
            self._fail(str(error))
            return
        self._size += written
        self._torn = written < len(line)
        if self._torn:
            self._fail("the disk is full")
        else:
            self._failed = False

    def rewrite(self, records: Iterable[Record]) -> None:
        """Let these records be all there is, whenever the process may be killed."""
        made = self.path.with_name(self.path.name + ".new")
        made.unlink(missing_ok=True)
        with open(open_private(made), "wb", buffering=WRITE_BYTES) as file:
            file.write(HEADER)
            for record in records:
                file.write(line_of(record))
            file.flush()
            os.fsync(file.fileno())
        self._move(made, self.path)
        self._torn = False
        self._older.unlink(missing_ok=True)

    def clear(self) -> None:
        """Forget every record; the signing keys stay."""
        self.rewrite(())

    def keys_of(self, providers: Iterable[str]) -> dict[str, SigningKeys]:
        """The signing keys of these providers, made and kept where there were none."""
        kept: dict[str, SigningKeys] = {}
        # a second descriptor of the file would give up the lock when it is closed
        os.lseek(self._keys, 0, os.SEEK_SET)
        text = os.read(self._keys, os.fstat(self._keys).st_size)
        for line in text.splitlines():
            with contextlib.suppress(ValueError, KeyError, TypeError):
                record = json.loads(line)
                kept[record["provider"]] = SigningKeys.read(record)
        found = {}
        for name in providers:
            found[name] = kept.get(name) or SigningKeys.generate()
            if name not in kept:
                record = {"provider": name, **found[name].record()}
                # a line that a kill has torn must not take this one with it
                os.write(self._keys, b"\n" + line_of(record))
        return found

    def close(self) -> None:
        """Let the file go; what is still appended is forgotten."""
        self._closed = True
        self._let_go()
        os.close(self._keys)

    def _lines(self) -> Iterator[bytes]:
        with open(self.path, "rb") as file:
            first = file.readline()
            if first != HEADER:
                with (
                    contextlib.suppress(FileNotFoundError),
                    open(self._older, "rb") as older,
                ):
                    yield from older
            if first:
                yield first
            yield from file

    def _start_anew(self) -> None:
        """Make what is written so far the older part; the one before it is dropped."""
        if self._size:
            self._move(self.path, self._older)
        else:
            self._move(self.path, self.path)

    def _move(self, source: Path, target: Path) -> None:
        """Rename a file while the journal is closed, as some systems want it."""
        self._let_go()
        try:
            source.replace(target)
        finally:
            self._file = open_private(self.path)
            self._size = os.fstat(self._file).st_size

    def _let_go(self) -> None:
        descriptor, self._file = self._file, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _fail(self, reason: str) -> None:
        if not self._failed:
            log.warning("%s cannot be written: %s", self.path, reason)
        self._failed = True


def open_private(path: Path) -> int:
    """A descriptor that reads and appends, of a file that only its owner may open."""
    binary = getattr(os, "O_BINARY", 0)
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | binary
    descriptor = os.open(path, flags, 0o600)
    if hasattr(os, "fchmod"):
        os.fchmod(descriptor, 0o600)
    return descriptor


def lock(descriptor: int, path: Path) -> None:
    """Keep other processes out until this one ends; OSError when one is there.

    Children of this process do not keep the lock when it is killed.
    """
    if fcntl is None:
        return
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        text = "the journal is in use by another process"
        raise OSError(error.errno, text, str(path)) from error
