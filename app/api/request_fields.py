"""The kinds of value that a request has: strict in JSON, read from text in a form."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from marshmallow import ValidationError, fields, validate

from app.api.form_bodies import FormValue
from app.api.json_bodies import Misread, read_json
from app.api.spools import FormFile, LongText
from app.errors import InvalidRequest
from app.security.addresses import UnsafeUrl, parse_url

# As JSON, at most 12 characters stand for one.
MAX_TEXT = 40_000
MAX_URL = 8192

NOT_IN_LINES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
NOT_IN_A_LINE = re.compile(r"[\x00-\x1f\x7f]")
SURROGATE = re.compile(r"[\ud800-\udfff]")
WHOLE = re.compile(r"-?[0-9]{1,19}")
NUMBER = re.compile(r"-?[0-9]{1,19}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,3})?")
URL_LIKE = re.compile(r"[a-z][a-z0-9+.-]{0,20}://|https?:", re.IGNORECASE)

METADATA_DEPTH = 16
METADATA_NODES = 10_000
METADATA_BYTES = 64 * 1024

EMPTY = "must not be empty"


class Text(fields.String):
    """A text of 1 to `longest` characters; `lines` allows it to have several lines."""

    def __init__(
        self,
        longest: int,
        *,
        lines: bool = False,
        words: Sequence[str] = (),
        required: bool = False,
        **about: Any,
    ) -> None:
        checks: list[Any] = [
            validate.Length(
                min=1, max=longest, error=f"must have 1 to {longest:,} characters"
            )
        ]
        if words:
            told = f"must be {' or '.join(words)}"
            checks.append(validate.OneOf(words, error=told))
        super().__init__(
            validate=checks,
            required=required,
            allow_none=not required,
            error_messages={"required": "is required", "null": "must not be null"},
            metadata=about,
        )
        self.longest = longest
        self.lines = lines

    def _deserialize(
        self, value: Any, attr: str | None, data: Any, **kwargs: Any
    ) -> str:
        text = read_text(value, self.longest)
        check_characters(text, lines=self.lines)
        if not text.strip():
            raise ValidationError(EMPTY)
        return text


class Url(Text):
    """An http(s) URL whose syntax is safe; where it leads is checked when it is used.

    `references` also takes an upstream's own name of a file.
    """

    def __init__(self, *, references: bool = False, **about: Any) -> None:
        super().__init__(MAX_URL, **about)
        self.references = references

    def _deserialize(
        self, value: Any, attr: str | None, data: Any, **kwargs: Any
    ) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if not self.references or URL_LIKE.match(text):
            check_url(text)
        return text


class Whole(fields.Integer):
    """A whole number from `low` to `high`."""

    def __init__(self, low: int, high: int, **about: Any) -> None:
        super().__init__(
            strict=True,
            allow_none=True,
            validate=validate.Range(low, high, error=f"must be {low:,} to {high:,}"),
            error_messages={"invalid": "must be a whole number"},
            metadata=about,
        )

    def _deserialize(
        self, value: Any, attr: str | None, data: Any, **kwargs: Any
    ) -> int:
        refuse_misread(value)
        return super()._deserialize(value, attr, data, **kwargs)


class Number(fields.Float):
    """A number above 0 and up to `high`."""

    def __init__(self, high: float, **about: Any) -> None:
        super().__init__(
            allow_none=True,
            validate=validate.Range(
                0, high, min_inclusive=False, error=f"must be above 0, up to {high:,}"
            ),
            error_messages={"invalid": "must be a number"},
            metadata=about,
        )

    def _deserialize(
        self, value: Any, attr: str | None, data: Any, **kwargs: Any
    ) -> float:
        refuse_misread(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, attr, data, **kwargs)


class Seconds(Number):
    """A number, or the text of one: the spelling of OpenAI."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Any, **kwargs: Any
    ) -> float:
        if isinstance(value, str) and NUMBER.fullmatch(value):
            value = float(value)
        return super()._deserialize(value, attr, data, **kwargs)


class Image(fields.Field[Any]):
    """A URL, a data URL, base64, or a file; what it holds is looked at later."""

    def __init__(self, **about: Any) -> None:
        super().__init__(allow_none=True, metadata=about)

    def _deserialize(
        self, value: Any, attr: str | None, data: Any, **kwargs: Any
    ) -> str | LongText | FormFile:
        if isinstance(value, LongText | FormFile):
            return value
        if not isinstance(value, str):
            raise ValidationError("must be a URL, a data URL, base64 or a file")
        if not value.strip():
            raise ValidationError(EMPTY)
        if URL_LIKE.match(value):
            check_url(value)
        return value


class Images(fields.List[Any]):
    """Several images."""

    def __init__(self, most: int, **about: Any) -> None:
        self.told = f"must have 1 to {most} images"
        self.most = most
        super().__init__(
            Image(),
            allow_none=True,
            validate=validate.Length(min=1, max=most, error=self.told),
            error_messages={"invalid": "must be a list"},
            metadata=about,
        )

    def _deserialize(
        self, value: Any, attr: str | None, data: Any, **kwargs: Any
    ) -> list[Any]:
        # Before each one is looked at: a body has room for a million.
        if isinstance(value, list) and len(value) > self.most:
            raise ValidationError(self.told)
        return super()._deserialize(value, attr, data, **kwargs)


class Metadata(fields.Dict):
    """A JSON object of bounded size, for fields that only one provider knows."""

    def __init__(self, **about: Any) -> None:
        super().__init__(
            allow_none=True,
            error_messages={"invalid": "must be an object"},
            metadata=about,
        )

    def _deserialize(
        self, value: Any, attr: str | None, data: Any, **kwargs: Any
    ) -> dict[Any, Any]:
        refuse_misread(value)
        if not isinstance(value, dict):
            raise self.make_error("invalid")
        check_json(value)
        return value


def from_form(field: fields.Field[Any] | None, values: Sequence[FormValue]) -> Any:
    """What a form says, in the types of JSON; what does not fit is left as it is.

    Raises ValidationError.
    """
    if isinstance(field, Images):
        listed = values[0] if len(values) == 1 else None
        if isinstance(listed, str) and listed.lstrip().startswith("["):
            return _read_json_text(listed)
        return list(values)
    if field is not None and len(values) > 1:
        raise ValidationError("is given more than once")
    value = values[0]
    if isinstance(field, Metadata) and isinstance(value, str):
        return _read_json_text(value)
    if isinstance(field, Whole) and isinstance(value, str) and WHOLE.fullmatch(value):
        return int(value)
    if isinstance(field, Number) and isinstance(value, str) and NUMBER.fullmatch(value):
        return float(value)
    return value


def read_text(value: Any, longest: int) -> str:
    """The text that a value is, one that went to disk too; raises ValidationError."""
    if isinstance(value, LongText):
        # Beyond this it is too long however it is written.
        if value.spool.size_bytes > 12 * longest:
            raise ValidationError(f"must have 1 to {longest:,} characters")
        content = value.spool.open().read()
        try:
            if not value.escaped:
                return content.decode()
            text: str = json.loads(b'"' + content + b'"')
        except ValueError as error:  # also what is not UTF-8
            raise ValidationError("is not a text in UTF-8") from error
        return text
    if isinstance(value, FormFile):
        raise ValidationError("must be a text, not a file")
    if not isinstance(value, str):
        refuse_misread(value)
        raise ValidationError("must be a text")
    return value


def check_characters(text: str, *, lines: bool) -> None:
    """Raise ValidationError for characters that no upstream can take."""
    if SURROGATE.search(text):
        raise ValidationError("has half of a character (a lone surrogate)")
    if (NOT_IN_LINES if lines else NOT_IN_A_LINE).search(text):
        allowed = "line breaks and tabs are allowed" if lines else "it is one line"
        raise ValidationError(f"has a control character; {allowed}")


def check_url(text: str) -> None:
    """Raise ValidationError unless it is an http(s) URL of safe syntax."""
    try:
        parse_url(text)
    except UnsafeUrl as error:
        raise ValidationError(str(error)) from error


def refuse_misread(value: Any) -> None:
    """Raise ValidationError for what JSON can write but nobody can mean."""
    if isinstance(value, Misread):
        raise ValidationError(f"must not be {value.why}")


def check_json(value: Mapping[str, Any]) -> None:
    """Raise ValidationError when an object is too large, too deep, or not plain."""
    level: list[Any] = [value]
    node_count = 0
    for _ in range(METADATA_DEPTH):
        deeper: list[Any] = []
        for item in level:
            _check_node(item)
            if isinstance(item, dict):
                for name in item:
                    check_characters(name, lines=True)
                deeper.extend(item.values())
            elif isinstance(item, list):
                deeper.extend(item)
        node_count += len(deeper)
        if node_count > METADATA_NODES:
            raise ValidationError(f"must have at most {METADATA_NODES:,} values")
        level = deeper
    if level:
        raise ValidationError(f"must be nested at most {METADATA_DEPTH} deep")
    if len(json.dumps(value)) > METADATA_BYTES:
        raise ValidationError(f"must have at most {METADATA_BYTES:,} bytes as JSON")


def _check_node(item: Any) -> None:
    refuse_misread(item)
    match item:
        case LongText():
            raise ValidationError(f"must have at most {METADATA_BYTES:,} bytes as JSON")
        case str():
            check_characters(item, lines=True)
        case float() if not math.isfinite(item):
            raise ValidationError("must have only finite numbers")
        case dict() if names := getattr(item, "names", ()):
            raise ValidationError(f"has {names[0][:100]!r} more than once")


def _read_json_text(text: str) -> Any:
    try:
        return read_json(text.encode())
    except InvalidRequest as error:
        message = error.message.replace("the body", "it")
        raise ValidationError(f"must be JSON: {message}") from error
