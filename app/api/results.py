"""A task's result files: bytes with ranges, by the owner's key or a signed link."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import BinaryIO

from flask import Blueprint, Response, g, request
from werkzeug.http import parse_etags, parse_if_range_header
from werkzeug.wsgi import wrap_file

from app.api import auth
from app.api.problems import refusal
from app.api.tasks import ALIAS, ROUTE, check_task_id
from app.errors import NotAllowed, ResultNotFound
from app.media import extension_of
from app.security import signatures
from app.storage import NotStored
from app.store import tasks
from app.store.tasks import Result

bp = Blueprint("results", __name__)

NUMBER = re.compile(r"[0-9]{1,4}")
INPUT_NAME = re.compile(r"([0-9]{1,4})\.[a-z0-9]{1,5}")
EXPIRES = re.compile(r"[0-9]{1,12}")
RANGE = re.compile(r"bytes=(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))", re.I)
URL = re.compile(r"https?://[!-~]+")
UNKNOWN_TYPE = "application/octet-stream"

# A result is a stranger's file at our address: it must not become a page of ours.
SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": (
        "sandbox; default-src 'none'; img-src 'self'; media-src 'self';"
        " style-src 'unsafe-inline'"
    ),
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Referrer-Policy": "no-referrer",
}


@dataclass(frozen=True)
class Range:
    """Bytes from `start` to before `end`."""

    start: int
    end: int


@bp.get(f"{ROUTE}/<task_id>/results/<n>")
@bp.get(f"{ALIAS}/<task_id>/results/<n>")
def read(task_id: str, n: str) -> Response:
    """The n-th result, counted from 0: its bytes, or the upstream's own link."""
    result = _get_result(task_id, n)
    if result.storage_key is not None:
        file = _File(f"{task_id}-{result.n}", result.content_type, result.sha256)
        return _send(file, result.storage_key)
    if result.url is not None and URL.fullmatch(result.url):
        return Response(
            status=302,
            headers={
                "Location": result.url,
                "Referrer-Policy": "no-referrer",
                "Cache-Control": "no-store",
            },
        )
    raise ResultNotFound("this result has no file: its text is in the task")


@bp.get(f"{ROUTE}/<task_id>/inputs/<name>")
@bp.get(f"{ALIAS}/<task_id>/inputs/<name>")
def read_input(task_id: str, name: str) -> Response:
    """An input that the client sent as bytes, by a signed link.

    For upstreams that take input images only as URLs.
    """
    check_task_id(task_id)
    named = INPUT_NAME.fullmatch(name)
    n = int(named[1]) if named else -1
    _check_signature(signatures.check_input_link, task_id, n)
    with g.rt.reading() as tx:
        inputs = tasks.find_inputs(tx, [task_id]).get(task_id, {})
    images = inputs.get("images", ())
    image = images[n] if 0 <= n < len(images) else {}
    if "upload" not in image:
        raise ResultNotFound(f"task {task_id} has no such input")
    return _send(_File(f"{task_id}-input-{n}", image["content_type"]), image["upload"])


def read_range(size_bytes: int) -> Range | None:
    """The one range that a request asks for; None for all of the file.

    Several ranges are answered with the whole, as RFC 9110 allows. Raises ValueError
    when the range lies outside.
    """
    header = request.headers.get("Range")
    asked = RANGE.fullmatch(header) if header and request.method == "GET" else None
    if asked is None:
        return None
    first, last, length = asked.groups()
    if length:
        start, end = max(0, size_bytes - int(length)), size_bytes
    else:
        start, end = int(first), int(last) + 1 if last else size_bytes
    if last and start >= end:
        return None  # backwards: as good as no range
    if start >= min(end, size_bytes):
        raise ValueError("outside of the file")
    return Range(start, min(end, size_bytes))


def _get_result(task_id: str, n: str) -> Result:
    check_task_id(task_id)
    if not NUMBER.fullmatch(n):
        raise ResultNotFound(f"task {task_id} has no result {n[:20]!r}")
    number = int(n)
    if "signature" in request.args:
        _check_signature(signatures.check_link, task_id, number)
        with g.rt.reading() as tx:
            results = tasks.find_results(tx, task_id)
    else:
        client = auth.authenticate(auth.Scope.READ)
        with g.rt.reading() as tx:
            results = tasks.get(tx, task_id, client.id).results
    for result in results:
        if result.n == number:
            return result
    raise ResultNotFound(f"task {task_id} has no result {number}")


def _check_signature(check: Callable[..., bool], task_id: str, n: int) -> None:
    expires = request.args.get("expires", "")
    signature = request.args.get("signature", "")
    now = datetime.fromtimestamp(g.rt.now(), UTC)
    keys = (g.rt.link_key, *g.rt.old_link_keys)
    if not EXPIRES.fullmatch(expires) or not any(
        check(key, task_id, n, int(expires), signature, now) for key in keys
    ):
        raise NotAllowed(
            "this link has expired or was changed: get the task for a new one",
            code="link_expired",
        )


@dataclass(frozen=True)
class _File:
    """What is told of a file, beside its bytes."""

    name: str
    content_type: str | None
    sha256: str | None = None


def _send(file: _File, key: str) -> Response:
    try:
        size_bytes = g.rt.storage.size(key)
    except NotStored as error:
        raise ResultNotFound("this file is no longer kept") from error
    content_type = file.content_type or UNKNOWN_TYPE
    extension = extension_of(content_type)
    headers = {
        **SAFE_HEADERS,
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, max-age=86400, immutable",
        "Content-Disposition": f'inline; filename="{file.name}.{extension}"',
    }
    if file.sha256:
        headers["ETag"] = f'"{file.sha256}"'
        known = parse_etags(request.headers.get("If-None-Match"))
        if known.contains_weak(file.sha256):
            return Response(status=304, headers=headers)
    try:
        wanted = read_range(size_bytes) if _range_counts(file.sha256) else None
    except ValueError:
        return refusal(
            416,
            "range_not_satisfiable",
            f"the file has {size_bytes} bytes",
            headers={"Content-Range": f"bytes */{size_bytes}"},
        )
    part = wanted or Range(0, size_bytes)
    headers["Content-Length"] = str(part.end - part.start)
    if wanted:
        headers["Content-Range"] = f"bytes {part.start}-{part.end - 1}/{size_bytes}"
    body = () if request.method == "HEAD" else _body(key, part, size_bytes)
    return Response(
        body,
        206 if wanted else 200,
        headers,
        content_type=content_type,
        direct_passthrough=True,
    )


def _range_counts(sha256: str | None) -> bool:
    """Whether `If-Range`, when there is one, names the file as it is."""
    header = request.headers.get("If-Range")
    return header is None or (
        sha256 is not None and parse_if_range_header(header).etag == sha256
    )


def _body(key: str, part: Range, size_bytes: int) -> Iterable[bytes]:
    """The bytes, by the server's own way to send files where that is safe.

    The server then sends a real file without holding a thread while a slow client
    reads. It reads to the end of the file, so it is not given a part from the middle.
    """
    if part.end == size_bytes and "wsgi.file_wrapper" in request.environ:
        file = g.rt.storage.open(key)
        if _has_descriptor(file):
            file.seek(part.start)
            return wrap_file(request.environ, file)
        file.close()
    pieces: Iterator[bytes] = g.rt.storage.iter_range(key, part.start, part.end)
    return pieces


def _has_descriptor(file: BinaryIO) -> bool:
    """Whether a server may send the file by its descriptor; a bucket's has none."""
    try:
        return file.fileno() >= 0
    except (OSError, AttributeError):  # io.UnsupportedOperation is an OSError
        return False
