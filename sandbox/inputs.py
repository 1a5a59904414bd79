"""Reads what a request brings; what does not fit is a `BadInput`, never a crash.

The getters treat null like an absent field, as the providers do.
"""

import base64
import binascii
import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import BodyPartReader, web

MOST_NUMBER = 1e300
"""An integer of many digits may have no float at all."""


class BadInput(ValueError):
    """The request does not fit; the text is for the caller, `field` is the culprit."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class FormFile:
    """One file of a multipart form."""

    name: str
    filename: str
    content_type: str
    data: bytes


@dataclass(frozen=True)
class Form:
    """A multipart or urlencoded form: texts (the last of a name) and files in order."""

    fields: dict[str, Any]
    files: tuple[FormFile, ...]


async def read_json(request: web.Request) -> dict[str, Any]:
    """The JSON object of the body."""
    try:
        body = json.loads(await request.read())
    except (ValueError, RecursionError) as error:
        raise BadInput("the body is not valid JSON") from error
    if not isinstance(body, dict):
        raise BadInput("the body must be a JSON object")
    return body


async def read_form(request: web.Request) -> Form:
    """The form of the body, whole in memory."""
    fields: dict[str, Any] = {}
    files: list[FormFile] = []
    try:
        if not request.content_type.startswith("multipart/"):
            return Form(dict(await request.post()), ())
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader) or part.name is None:
                raise BadInput("a part of the form has no name")
            data = bytes(await part.read(decode=True))
            if part.filename is None:
                fields[part.name] = data.decode()
            else:
                content_type = part.headers.get("Content-Type", "")
                files.append(FormFile(part.name, part.filename, content_type, data))
    except (ValueError, RuntimeError, AssertionError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput("the body is not a valid form") from error
    return Form(fields, tuple(files))


def bearer(request: web.Request, scheme: str = "Bearer") -> str | None:
    """The secret of `Authorization: <scheme> <secret>`, or None when it is not so."""
    found, _, secret = request.headers.get("Authorization", "").partition(" ")
    if found.lower() != scheme.lower():
        return None
    return secret.strip() or None


def basic(request: web.Request) -> tuple[str, str] | None:
    """Name and password of HTTP basic authorization, or None when it is not so."""
    encoded = bearer(request, "Basic")
    if encoded is None:
        return None
    try:
        name, mark, password = base64.b64decode(encoded).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (name, password) if mark else None


def get_text(
    body: Mapping[str, Any],
    name: str,
    *,
    default: str | None = None,
    longest: int | None = None,
) -> str:
    """A text; without `default` it must be there and not be empty."""
    value = body.get(name)
    if value is None:
        value = default
    if value is None or (value == "" and default is None):
        raise BadInput(f"{name} is required", name)
    if not isinstance(value, str):
        raise BadInput(f"{name} must be a string", name)
    if longest is not None and len(value) > longest:
        raise BadInput(f"{name} must be at most {longest} characters", name)
    return value


def get_number(
    body: Mapping[str, Any],
    name: str,
    *,
    default: float | None = None,
    least: float = -MOST_NUMBER,
    most: float = MOST_NUMBER,
    strict: bool = True,
) -> float:
    """A number within limits; one written as text counts when not `strict`."""
    value = body.get(name)
    if value is None:
        value = default
    if value is None:
        raise BadInput(f"{name} is required", name)
    if isinstance(value, str) and not strict:
        # what is no number is refused below, in the same words as other wrong types
        with contextlib.suppress(ValueError):
            value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadInput(f"{name} must be a number", name)
    if not least <= value <= most:
        raise BadInput(f"{name} must be between {least:g} and {most:g}", name)
    return float(value)


def get_whole(
    body: Mapping[str, Any],
    name: str,
    *,
    default: int | None = None,
    least: float = -(2**63),
    most: float = 2**63,
    strict: bool = True,
) -> int:
    """An integer within limits; one written as text counts when not `strict`."""
    number = get_number(
        body, name, default=default, least=least, most=most, strict=strict
    )
    if not number.is_integer():
        raise BadInput(f"{name} must be an integer", name)
    return int(number)


def get_flag(body: Mapping[str, Any], name: str, *, default: bool = False) -> bool:
    """True or false; the texts `true` and `false` of forms count too."""
    value = body.get(name)
    if value is None:
        return default
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    if not isinstance(value, bool):
        raise BadInput(f"{name} must be true or false", name)
    return value


def get_choice(
    body: Mapping[str, Any],
    name: str,
    choices: Sequence[str],
    *,
    default: str | None = None,
) -> str:
    """One of the words allowed."""
    value = get_text(body, name, default=default)
    if value not in choices:
        raise BadInput(f"{name} must be one of {', '.join(choices)}", name)
    return value


def get_object(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    """An object; empty when absent."""
    value = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadInput(f"{name} must be an object", name)
    return value


def get_list(body: Mapping[str, Any], name: str) -> list[Any]:
    """A list; empty when absent."""
    value = body.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise BadInput(f"{name} must be a list", name)
    return value
