"""Input and result files behind one URL: a folder, or a bucket that speaks S3.

    storage = open_storage("/var/lib/genrelay")
    with storage.writer("results/ab/task_x/0.png") as file:
        file.write(content)

A file is there whole or not at all: it is written under another name and becomes
visible when the `with` block ends without an error. Files are written once and never
changed, so a reader may come back for the next part.
"""

import errno
import io
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import uuid4

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from obstore.store import S3Store

MIB = 1024 * 1024
CHUNK_BYTES = 256 * 1024

MAX_KEY_LENGTH = 512
KEY = re.compile(
    r"[0-9A-Za-z][0-9A-Za-z._-]{0,127}(?:/[0-9A-Za-z][0-9A-Za-z._-]{0,127})*"
)

# Where a folder keeps what is being written; no key can lead here.
INCOMING = ".incoming"
# The cleaning may remove an old empty folder that a writer is about to use.
PUBLISH_ATTEMPTS = 3
# What a file system says of a key that is not there, or is a folder of keys
ABSENT = (FileNotFoundError, IsADirectoryError, NotADirectoryError)
# Failures of a disk while the caller writes; other OSErrors of its block are its own
DISK_FAILURES = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EIO,
    errno.EROFS,
}

BUCKET = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{1,61}[0-9A-Za-z]")
S3_OPTIONS = ("endpoint_url", "region")
# Up to SPOOL_BYTES wait in memory, then on disk, until a file for S3 is complete;
# UPLOADS parts of PART_BYTES are in memory at a time.
SPOOL_BYTES = 8 * MIB
PART_BYTES = 8 * MIB
UPLOADS = 4
# One request of S3; parts of several chunks save requests
BLOCK_BYTES = 4 * MIB

ALLOWED = (
    "a storage URL is a folder (/var/lib/genrelay or file:///var/lib/genrelay) or "
    "s3://bucket/prefix?endpoint_url=https://...&region=..."
)


class StorageError(Exception):
    """The storage failed, or was asked for what cannot be; the text says which."""


class NotStored(StorageError):
    """Nothing is stored under this key."""


class Storage(Protocol):
    """Files under keys such as `results/ab/task_x/0.png`.

    All methods raise StorageError, for a key of another shape too, and those that read
    raise NotStored.
    """

    def writer(self, key: str) -> AbstractContextManager[BinaryIO]:
        """A file to write to, stored when the block ends and discarded on an error."""

    def put(self, key: str, content: bytes) -> None:
        """Store these bytes."""

    def open(self, key: str) -> BinaryIO:
        """The stored file, to read and seek in; the caller closes it."""

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """At most `length` bytes from `start`, fewer where the file ends."""

    def iter_range(
        self, key: str, start: int, end: int, chunk: int = CHUNK_BYTES
    ) -> Iterator[bytes]:
        """The bytes from `start` to before `end`, in pieces of at most `chunk`.

        NotStored is raised by the call, not by the first piece.
        """

    def size(self, key: str) -> int:
        """How many bytes are stored."""

    def exists(self, key: str) -> bool:
        """Whether something is stored."""

    def delete(self, key: str) -> None:
        """Remove the file; nothing happens when there is none."""

    def keys_older_than(self, moment: datetime, prefix: str = "") -> Iterator[str]:
        """Keys stored before the moment, in any order, below a folder of keys or all.

        They may be deleted while they come.
        """

    def clean_stale(self, older_than: datetime) -> int:
        """Remove what dead writers left behind before the moment; how many files.

        Folders that were emptied before it go, too, so this looks at all of them and
        is for now and then. The moment must lie further back than any writing takes.
        """


def open_storage(url: str) -> Storage:
    """The storage behind a URL; raises StorageError saying what a URL may be.

    A folder is made if it is missing. S3 needs the extra `genrelay[s3]` and takes its
    credentials from the environment (`AWS_ACCESS_KEY_ID`, ...) or the machine's role;
    it starts threads, so a process that forks opens its storage afterwards.
    """
    scheme = url.partition("://")[0] if "://" in url else ""
    if scheme == "s3":
        return _open_bucket(url)
    if scheme == "file":
        return _open_folder(_read_file_url(url))
    if scheme or not url.strip():
        raise StorageError(ALLOWED)
    return _open_folder(Path(url))


# A folder


@dataclass(frozen=True)
class Folder:
    """Files in a folder of this machine, or of a network file system."""

    root: Path

    @contextmanager
    def writer(self, key: str) -> Iterator[BinaryIO]:
        path = self._path(key)
        temporary = self.root / INCOMING / uuid4().hex
        with _explained("write", key):
            temporary.parent.mkdir(parents=True, exist_ok=True)
            file = temporary.open("xb")
        try:
            with _disk_failures_explained(key):
                yield file
            with _explained("write", key):
                file.flush()
                os.fsync(file.fileno())
                file.close()
                _publish(temporary, path)
        finally:
            with suppress(OSError):
                file.close()
            with suppress(OSError):
                temporary.unlink(missing_ok=True)

    def put(self, key: str, content: bytes) -> None:
        with self.writer(key) as file:
            file.write(content)

    def open(self, key: str) -> BinaryIO:
        with _explained("read", key):
            return self._path(key).open("rb")

    def read_range(self, key: str, start: int, length: int) -> bytes:
        _check_range(start, start + length)
        with self.open(key) as file, _explained("read", key):
            file.seek(start)
            return file.read(length)

    def iter_range(
        self, key: str, start: int, end: int, chunk: int = CHUNK_BYTES
    ) -> Iterator[bytes]:
        _check_range(start, end)
        self.size(key)
        return self._iterate(key, start, end, chunk)

    def _iterate(self, key: str, start: int, end: int, chunk: int) -> Iterator[bytes]:
        with self.open(key) as file, _explained("read", key):
            file.seek(start)
            while start < end and (piece := file.read(min(chunk, end - start))):
                yield piece
                start += len(piece)

    def size(self, key: str) -> int:
        with _explained("read", key):
            found = self._path(key).stat()
        if not stat.S_ISREG(found.st_mode):
            raise NotStored(f"{key} is not stored")
        return found.st_size

    def exists(self, key: str) -> bool:
        return _is_stored(self, key)

    def delete(self, key: str) -> None:
        path = self._path(key)
        with _explained("delete", key), suppress(*ABSENT):
            path.unlink()

    def keys_older_than(self, moment: datetime, prefix: str = "") -> Iterator[str]:
        folder = self._path(prefix.rstrip("/")) if prefix else self.root
        for path, written_at in _walk(folder):
            key = path.relative_to(self.root).as_posix()
            if written_at < moment.timestamp() and KEY.fullmatch(key):
                yield key

    def clean_stale(self, older_than: datetime) -> int:
        removed = 0
        for path, written_at in _walk(self.root / INCOMING):
            if written_at < older_than.timestamp():
                with _explained("delete", path.name):
                    path.unlink(missing_ok=True)
                removed += 1
        for name in _folders(self.root):
            if name != INCOMING:
                _remove_empty(self.root / name, older_than.timestamp())
        return removed

    def _path(self, key: str) -> Path:
        _check_key(key)
        return self.root / key


def _open_folder(path: Path) -> Folder:
    root = path.absolute()
    with _explained("use the folder", str(root)):
        root.mkdir(parents=True, exist_ok=True)
    return Folder(root)


def _read_file_url(url: str) -> Path:
    parts = urlsplit(url)
    path = Path(unquote(parts.path))
    is_local = parts.netloc in ("", "localhost") and path.is_absolute()
    if not is_local or parts.query or parts.fragment:
        raise StorageError(ALLOWED)
    return path


def _publish(temporary: Path, path: Path) -> None:
    """Give a complete file its name, so that a power cut does not take it back."""
    for attempt in range(1, PUBLISH_ATTEMPTS + 1):
        missing = [each for each in path.parents if not each.exists()]
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.replace(path)
            break
        except (FileNotFoundError, FileExistsError):  # mkdir says either when it loses
            if attempt == PUBLISH_ATTEMPTS:
                raise
    for folder in {path.parent, *(each.parent for each in missing)}:
        _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_empty(folder: Path, emptied_before: float) -> None:
    """Remove folders that have been empty since the moment, the inner ones first.

    A folder that a writer has just made is younger, and so are those around it.
    """
    for name in _folders(folder):
        _remove_empty(folder / name, emptied_before)
    with suppress(OSError):  # not empty, or gone
        if folder.stat().st_mtime < emptied_before:
            folder.rmdir()


def _folders(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [each.name for each in entries if each.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StorageError(f"cannot list {folder}: {error.strerror}") from error


def _walk(folder: Path) -> Iterator[tuple[Path, float]]:
    """Every file below the folder and when it was written."""
    try:
        entries = list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise StorageError(f"cannot list {folder}: {error.strerror}") from error
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(folder / entry.name)
            continue
        if not entry.is_file(follow_symlinks=False):
            continue
        with suppress(FileNotFoundError):  # deleted meanwhile
            yield folder / entry.name, entry.stat(follow_symlinks=False).st_mtime


# A bucket


@dataclass(frozen=True)
class Bucket:
    """Files in a bucket of S3 or of a service that speaks like it.

    A bucket keeps the parts of uploads that were cut off: let a lifecycle rule of the
    bucket remove incomplete uploads after a day.
    """

    store: "S3Store"
    failure: type[Exception]

    @contextmanager
    def writer(self, key: str) -> Iterator[BinaryIO]:
        _check_key(key)
        with SpooledTemporaryFile(SPOOL_BYTES) as file:
            with _disk_failures_explained(key):
                yield cast(BinaryIO, file)
            with self._explained("write", key):
                file.seek(0)
                self.store.put(
                    key,
                    cast(BinaryIO, file),
                    chunk_size=PART_BYTES,
                    max_concurrency=UPLOADS,
                )

    def put(self, key: str, content: bytes) -> None:
        _check_key(key)
        with self._explained("write", key):
            self.store.put(key, content, chunk_size=PART_BYTES, max_concurrency=UPLOADS)

    def open(self, key: str) -> BinaryIO:
        remote = RemoteFile(self.size(key), lambda *span: self._read(key, *span))
        return io.BufferedReader(remote, BLOCK_BYTES)

    def read_range(self, key: str, start: int, length: int) -> bytes:
        _check_range(start, start + length)
        end = min(start + length, self.size(key))
        return self._read(key, start, end)

    def iter_range(
        self, key: str, start: int, end: int, chunk: int = CHUNK_BYTES
    ) -> Iterator[bytes]:
        _check_range(start, end)
        return self._iterate(key, start, min(end, self.size(key)), chunk)

    def _iterate(self, key: str, start: int, end: int, chunk: int) -> Iterator[bytes]:
        # A request per block, so that a slow reader holds no connection open
        step = max(chunk, BLOCK_BYTES)
        for offset in range(start, end, step):
            block = self._read(key, offset, min(offset + step, end))
            for piece in range(0, len(block), chunk):
                yield block[piece : piece + chunk]

    def _read(self, key: str, start: int, end: int) -> bytes:
        if start >= end:
            return b""
        with self._explained("read", key):
            return self.store.get_range(key, start=start, end=end).to_bytes()

    def size(self, key: str) -> int:
        _check_key(key)
        with self._explained("read", key):
            return self.store.head(key)["size"]

    def exists(self, key: str) -> bool:
        return _is_stored(self, key)

    def delete(self, key: str) -> None:
        _check_key(key)
        with suppress(NotStored), self._explained("read", key):
            self.store.delete(key)

    def keys_older_than(self, moment: datetime, prefix: str = "") -> Iterator[str]:
        if prefix:
            _check_key(prefix.rstrip("/"))
        with self._explained("list", prefix or "the bucket"):
            for found in self.store.list(prefix.rstrip("/") or None, chunk_size=1000):
                for each in found:
                    if each["last_modified"] < moment and KEY.fullmatch(each["path"]):
                        yield each["path"]

    def clean_stale(self, older_than: datetime) -> int:
        """Nothing: an upload that was cut off has no name here."""
        return 0

    @contextmanager
    def _explained(self, action: str, key: str) -> Iterator[None]:
        with _explained(action, key):
            try:
                yield
            except self.failure as error:
                reason = str(error).partition("\n")[0]  # pages of details follow
                raise StorageError(f"cannot {action} {key}: {reason}") from error


class RemoteFile(io.RawIOBase):
    """A file of known size as what `read(start, end)` gives; seeks cost nothing."""

    def __init__(self, size: int, read: Callable[[int, int], bytes]) -> None:
        self._size = size
        self._read = read
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}
        position = start[whence] + offset
        if position < 0:
            raise OSError(errno.EINVAL, "a seek before the start of the file")
        self._position = position
        return position

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        end = min(self._position + len(view), self._size)
        content = self._read(self._position, end)
        view[: len(content)] = content
        self._position += len(content)
        return len(content)

    def readall(self) -> bytes:
        # The inherited one asks for 8 KiB at a time
        content = self._read(self._position, self._size)
        self._position += len(content)
        return content


def _open_bucket(url: str) -> Bucket:
    bucket, prefix, options = _read_s3_url(url)
    try:
        # Only here: a gateway with its files in a folder need not install it
        from obstore.exceptions import BaseError
        from obstore.store import S3Store
    except ImportError as error:
        raise StorageError(
            "a storage URL with s3:// needs an extra: pip install 'genrelay[s3]'"
        ) from error
    endpoint = options.get("endpoint_url", "")
    try:
        store = S3Store(
            bucket,
            prefix=prefix or None,
            config={
                **({"endpoint": endpoint} if endpoint else {}),
                **({"region": options["region"]} if "region" in options else {}),
                # one DELETE per file: not every service knows the other way
                "disable_bulk_delete": True,
            },
            client_options={
                "allow_http": endpoint.startswith("http://"),
                "connect_timeout": timedelta(seconds=5),
                "timeout": timedelta(seconds=60),
            },
            retry_config={"max_retries": 4, "retry_timeout": timedelta(seconds=60)},
        )
    except (BaseError, ValueError) as error:
        raise StorageError(f"cannot use the bucket {bucket}: {error}") from error
    return Bucket(store, BaseError)


def _read_s3_url(url: str) -> tuple[str, str, dict[str, str]]:
    """Bucket, prefix and options."""
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise StorageError(
            "a storage URL holds no credentials: S3 takes them from the environment, "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    prefix = parts.path.strip("/")
    if BUCKET.fullmatch(parts.netloc) is None or parts.fragment:
        raise StorageError(ALLOWED)
    if prefix:
        _check_key(prefix)
    options = {}
    for name, values in parse_qs(parts.query, keep_blank_values=True).items():
        if name not in S3_OPTIONS or len(values) > 1 or not values[0]:
            raise StorageError(f"{ALLOWED}; {name!r} is wrong")
        options[name] = values[0]
    endpoint = urlsplit(options.get("endpoint_url", "https://default"))
    if endpoint.scheme not in ("http", "https") or not endpoint.hostname:
        raise StorageError(f"{ALLOWED}; endpoint_url is wrong")
    return parts.netloc, prefix, options


# Both


def _check_key(key: str) -> None:
    if len(key) > MAX_KEY_LENGTH or KEY.fullmatch(key) is None:
        raise StorageError(
            f"{key[:MAX_KEY_LENGTH]!r} is not a storage key: parts of letters, digits, "
            "'.', '_' and '-', each starting with a letter or digit, separated by '/'"
        )


def _check_range(start: int, end: int) -> None:
    if not 0 <= start <= end:
        raise StorageError(f"there are no bytes from {start} to {end}")


def _is_stored(storage: Storage, key: str) -> bool:
    try:
        storage.size(key)
    except NotStored:
        return False
    return True


@contextmanager
def _explained(action: str, key: str) -> Iterator[None]:
    """OSErrors as ours."""
    try:
        yield
    except OSError as error:
        if action == "read" and isinstance(error, ABSENT):
            raise NotStored(f"{key} is not stored") from error
        reason = error.strerror or str(error).partition("\n")[0]
        raise StorageError(f"cannot {action} {key}: {reason}") from error


@contextmanager
def _disk_failures_explained(key: str) -> Iterator[None]:
    """What a full or broken disk does to the caller's writing as ours.

    The caller's block copies from elsewhere, and errors of a network are OSErrors, too.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_FAILURES:
            raise
        raise StorageError(f"cannot write {key}: {error.strerror}") from error
