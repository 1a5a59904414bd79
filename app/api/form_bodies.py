"""Read a multipart form part by part: small texts in memory, all else on disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack

from werkzeug.datastructures import Headers
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import (
    Data,
    Epilogue,
    Event,
    Field,
    File,
    MultipartDecoder,
    NeedData,
)

from app.api.json_bodies import body_error
from app.api.spools import CHUNK_BYTES, LONG_BYTES, FormFile, LongText, Spool
from app.errors import InvalidRequest, TooLarge

MAX_PARTS = 100
MAX_BOUNDARY_LENGTH = 200  # RFC 2046 allows 70
# The headers of one part stand in the buffer until they are complete.
BUFFER_BYTES = CHUNK_BYTES + 16 * 1024
# What may follow a boundary on its line: two dashes, white space, a line break.
DELIMITER_REST = 32
# All small texts together.
TEXTS_BYTES = 2 * 1024 * 1024

FormValue = str | LongText | FormFile
Form = dict[str, list[FormValue]]


def read_form(
    chunks: Iterable[bytes], options: Mapping[str, str], files: ExitStack
) -> Form:
    """The values of each field in their order; raises InvalidRequest or TooLarge.

    `options` are the parameters of the content type, `files` closes what was spooled.
    """
    boundary = options.get("boundary", "")
    if not 0 < len(boundary) <= MAX_BOUNDARY_LENGTH or not boundary.isascii():
        raise body_error("the Content-Type of the form names no boundary")
    decoder = MultipartDecoder(boundary.encode(), BUFFER_BYTES, max_parts=MAX_PARTS)
    form = _FormBuilder(files)
    try:
        for chunk in _with_whole_delimiters(chunks, boundary.encode()):
            decoder.receive_data(chunk)
            while not isinstance(event := decoder.next_event(), NeedData | Epilogue):
                form.take(event)
        decoder.receive_data(None)
        while not isinstance(event := decoder.next_event(), Epilogue):
            form.take(event)
    except RequestEntityTooLarge as error:
        raise TooLarge(
            f"a form may have {MAX_PARTS} parts with short headers",
            errors={"body": [f"has over {MAX_PARTS} parts, or one with long headers"]},
        ) from error
    except (ValueError, AttributeError) as error:
        # What the decoder raises for a form that is cut or malformed.
        raise body_error("the body is not a complete multipart form") from error
    return form.values


def _with_whole_delimiters(chunks: Iterable[bytes], boundary: bytes) -> Iterator[bytes]:
    """The same bytes, cut so that no piece ends right behind a boundary.

    Werkzeug 3.1 takes the line break before a boundary for data when the boundary has
    come but not the rest of its line.
    """
    delimiter, held = b"\r\n--" + boundary, b""
    reach = len(delimiter) + DELIMITER_REST
    for chunk in chunks:
        piece = held + chunk
        at = piece.rfind(delimiter, max(0, len(piece) - reach))
        # Or it may be about to come.
        cut = at if at >= 0 else max(0, len(piece) - len(delimiter))
        held = piece[cut:]
        yield piece[:cut]
    yield held


class _FormBuilder:
    """Puts the decoder's events together."""

    def __init__(self, files: ExitStack) -> None:
        self.values: Form = {}
        self._files = files
        self._name = ""
        self._text = bytearray()
        self._spool: Spool | None = None
        self._is_file = False
        self._texts_bytes = 0

    def take(self, event: Event) -> None:
        match event:
            case Field() | File():
                self._begin(event.name, event.headers, isinstance(event, File))
            case Data():
                self._add(event.data)
                if not event.more_data:
                    self._end()

    def _begin(self, name: str | None, headers: Headers, is_file: bool) -> None:
        if not name:
            raise body_error("a part of the form has no name")
        if "content-transfer-encoding" in headers:
            encoding = headers["content-transfer-encoding"].strip().lower()
            if encoding not in ("binary", "8bit", "7bit"):
                # Out of use since RFC 7578: what it says of the bytes is not undone.
                raise _error(name, f"has the transfer encoding {encoding[:40]!r}")
        self._name, self._is_file = name, is_file
        self._text = bytearray()
        self._spool = Spool(self._files) if is_file else None

    def _add(self, piece: bytes) -> None:
        if self._spool is None:
            self._text += piece
            if len(self._text) <= LONG_BYTES:
                return
            self._spool, piece = Spool(self._files), bytes(self._text)
            self._text.clear()
        self._spool.write(piece)

    def _end(self) -> None:
        value: FormValue
        if self._spool is None:
            self._texts_bytes += len(self._text)
            if self._texts_bytes > TEXTS_BYTES:
                raise TooLarge(
                    f"the texts of a form may have {TEXTS_BYTES} bytes together",
                    errors={"body": [f"has texts of over {TEXTS_BYTES} bytes"]},
                )
            try:
                value = self._text.decode()
            except UnicodeDecodeError as error:
                raise _error(self._name, "is not UTF-8") from error
        elif self._is_file:
            value = FormFile(self._spool)
        else:
            value = LongText(self._spool, escaped=False)
        self.values.setdefault(self._name, []).append(value)


def _error(name: str, text: str) -> InvalidRequest:
    return InvalidRequest(f"{name} {text}", errors={name: [text]})
