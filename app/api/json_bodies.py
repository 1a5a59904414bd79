"""Read a JSON body strictly and in little memory, whatever a stranger sends.

Long texts, which are images in base64, go to disk while the body arrives. Where JSON
leaves open what is meant (a name given twice, NaN, a number of a million digits) the
value becomes one that no field takes, so that the refusal can name the field.
"""

from __future__ import annotations

import json
import math
import re
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any, cast

from app.api.spools import LONG_BYTES, LongText, Spool
from app.errors import InvalidRequest, TooLarge

# All that is no long text: names, numbers, prompts, metadata, small images.
KEPT_BYTES = 2 * 1024 * 1024
MAX_LONG_TEXTS = 64
MAX_DEPTH = 32
MAX_DIGITS = 20
MAX_FLOAT_LENGTH = 100
# A body may have many wrong fields: so many are told, and so much of their names.
MAX_NAMED = 20
SHOWN_CHARS = 100

# To the quote that ends a string, over escaped characters.
IN_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)


class Misread:
    """A value that JSON can write but nobody can mean; `why` ends "must not be"."""

    def __init__(self, why: str) -> None:
        self.why = why


class Repeating(dict[str, Any]):
    """An object that gives some names more than once."""

    def __init__(self, pairs: Iterable[tuple[str, Any]], names: Iterable[str]) -> None:
        super().__init__(pairs)
        self.names = tuple(names)


def read_json_object(chunks: Iterable[bytes], files: ExitStack) -> dict[str, Any]:
    """The object that a body holds; raises InvalidRequest or TooLarge.

    Values are those of `json`, and `LongText` or `Misread`; `files` closes what was
    spooled.
    """
    value = _read_value(chunks, files)
    if not isinstance(value, dict):
        raise body_error("the body must be a JSON object")
    if isinstance(value, Repeating):
        raise InvalidRequest(
            "a field is given more than once",
            errors={
                name[:SHOWN_CHARS]: ["is given more than once"]
                for name in value.names[:MAX_NAMED]
            },
        )
    return value


def _read_value(chunks: Iterable[bytes], files: ExitStack) -> Any:
    pieces = iter(chunks)
    head = bytearray()
    for piece in pieces:
        head += piece
        if len(head) > LONG_BYTES:
            break
    else:  # no text of it can be a long one
        return read_json(head)
    texts = _LongTexts(files)
    texts.feed(bytes(head))
    for piece in pieces:
        texts.feed(piece)
    value = read_json(texts.kept)
    return texts.put_back(value, MAX_DEPTH) if texts.spooled else value


def read_json(content: bytes | bytearray) -> Any:
    """The value of a JSON text in UTF-8; raises InvalidRequest."""
    try:
        return DECODER.decode(content.decode())
    except UnicodeDecodeError as error:
        raise body_error(f"the body is not UTF-8 at byte {error.start}") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise body_error(f"the body is not JSON: {error.msg} ({where})") from error
    except RecursionError as error:
        raise body_error("the body is nested too deeply") from error


def body_error(message: str) -> InvalidRequest:
    """A refusal of the body as a whole."""
    return InvalidRequest(message, errors={"body": [message]})


class _LongTexts:
    """Takes long strings out of a JSON text while it arrives; `kept` is the rest."""

    def __init__(self, files: ExitStack) -> None:
        self.kept = bytearray()
        self.spooled: list[Spool] = []
        self._files = files
        # Stands for the long texts; no client can guess it.
        self._mark = secrets.token_hex(16)
        self._in_string = False
        self._after_backslash = False
        self._start = 0
        self._spool: Spool | None = None

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the body."""
        position = 0
        while position < len(chunk):
            if self._in_string:
                position = self._feed_string(chunk, position)
            else:
                quote = chunk.find(b'"', position)
                end = len(chunk) if quote < 0 else quote + 1
                self._keep(chunk[position:end])
                position = end
                if quote >= 0:
                    self._in_string = True
                    self._start = len(self.kept)

    def put_back(self, value: Any, depth: int) -> Any:
        """The parsed value with its long texts in their places."""
        if depth == 0:
            raise body_error("the body is nested too deeply")
        if isinstance(value, str) and value.startswith(self._mark):
            number = int(value.removeprefix(self._mark))
            return LongText(self.spooled[number], escaped=True)
        if isinstance(value, list):
            return [self.put_back(item, depth - 1) for item in value]
        if isinstance(value, dict):
            if any(name.startswith(self._mark) for name in value):
                raise body_error(f"a name in the body is over {LONG_BYTES} bytes long")
            for name, item in value.items():
                value[name] = self.put_back(item, depth - 1)
        return value

    def _feed_string(self, chunk: bytes, position: int) -> int:
        """Take a part of a string; gives where it ends."""
        if self._after_backslash:
            self._after_backslash = False
            self._take(chunk[position : position + 1])
            return position + 1
        found = IN_STRING.match(chunk, position)
        end = found.end() if found else position
        self._take(chunk[position:end])
        if end == len(chunk):
            return end
        if chunk[end : end + 1] == b'"':
            self._end_string()
        else:
            self._after_backslash = True
            self._take(b"\\")
        return end + 1

    def _take(self, piece: bytes) -> None:
        if self._spool is not None:
            self._spool.write(piece)
            return
        self.kept += piece
        if len(self.kept) - self._start > LONG_BYTES:
            if len(self.spooled) == MAX_LONG_TEXTS:
                raise body_error(f"the body has over {MAX_LONG_TEXTS} long texts")
            self._spool = Spool(self._files)
            self._spool.write(bytes(self.kept[self._start :]))
            del self.kept[self._start :]
        self._check_size()

    def _end_string(self) -> None:
        if self._spool is not None:
            self.kept += f"{self._mark}{len(self.spooled)}".encode()
            self.spooled.append(self._spool)
            self._spool = None
        self._keep(b'"')
        self._in_string = False

    def _keep(self, piece: bytes) -> None:
        self.kept += piece
        self._check_size()

    def _check_size(self) -> None:
        if len(self.kept) > KEPT_BYTES + LONG_BYTES:
            raise TooLarge(
                f"apart from images, a body may have {KEPT_BYTES} bytes",
                errors={"body": [f"is over {KEPT_BYTES} bytes, images not counted"]},
            )


def unescape_ascii(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """What a JSON string of ASCII characters says; ValueError when it is none."""
    rest = b""
    for chunk in chunks:
        piece = rest + chunk
        if b"\\" not in piece:
            rest = b""
            yield _plain(piece)
            continue
        whole = WHOLE_ESCAPES.match(piece)
        end = whole.end() if whole else 0
        rest = piece[end:]
        if len(rest) > LONGEST_ESCAPE:
            raise ValueError("a broken escape")
        yield json.loads(b'"' + piece[:end] + b'"').encode()
    if rest:
        raise ValueError("a broken escape")


LONGEST_ESCAPE = len("\\uD83D\\uDE00")
# A pair of surrogates is one character: it is kept together.
WHOLE_ESCAPES = re.compile(
    rb"(?:[^\\]++"
    rb"|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|\\u(?![dD][89abAB])[0-9a-fA-F]{4}"
    rb'|\\["\\/bfnrt])*+'
)
CONTROL = re.compile(rb"[\x00-\x1f]")


def _plain(piece: bytes) -> bytes:
    if CONTROL.search(piece):
        raise ValueError("a control character")
    return piece


def _read_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) == len(pairs):
        return value
    counts = Counter(name for name, _ in pairs)
    return Repeating(pairs, (name for name in counts if counts[name] > 1))


def _read_int(text: str) -> int | Misread:
    if len(text) > MAX_DIGITS:
        return Misread(f"a number of {len(text)} digits")
    return int(text)


def _read_float(text: str) -> float | Misread:
    if len(text) > MAX_FLOAT_LENGTH:
        return Misread(f"a number of {len(text)} characters")
    value = float(text)
    return value if math.isfinite(value) else Misread(f"a number as large as {text}")


def _read_constant(text: str) -> Misread:
    return Misread(text)


# typeshed wants numbers of hooks that may give anything
DECODER = json.JSONDecoder(
    object_pairs_hook=_read_pairs,
    parse_int=cast(Callable[[str], Any], _read_int),
    parse_float=cast(Callable[[str], Any], _read_float),
    parse_constant=_read_constant,
)
