"""From a request's body to one generation in unified words, or an exact refusal."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from flask import Request
from marshmallow import Schema, ValidationError

from app.api.byte_streams import read_chunks
from app.api.form_bodies import Form, read_form
from app.api.json_bodies import (
    MAX_NAMED,
    SHOWN_CHARS,
    body_error,
    read_json_object,
)
from app.api.request_fields import from_form
from app.api.schemas import MAX_IMAGES, NEW_TASK, texts_of
from app.api.spools import FormFile, LongText
from app.errors import InvalidRequest, UnsupportedType

JSON_TYPE = "application/json"
FORM_TYPE = "multipart/form-data"

# Beside the largest file: what the other fields and the form itself take.
SLACK_BYTES = 1024 * 1024

# Clients send the same few fields again and again.
PARTS_KEPT = 256

# Of two fields that mean the same, the first is the unified word.
ALIASES = {
    "image_url": "image",
    "image_urls": "images",
    "ratio": "aspect_ratio",
    "seconds": "duration",
}

ImageValue = str | LongText | FormFile


@dataclass(frozen=True)
class GivenImage:
    """One image as it came, and the field to name when it is wrong."""

    field: str
    value: ImageValue


@dataclass(frozen=True)
class TaskRequest:
    """A valid request; `inputs` are the unified fields that were given, but images.

    `names` has the client's own spelling of unified fields that it spelled otherwise.
    """

    model: str
    inputs: Mapping[str, Any]
    images: tuple[GivenImage, ...]
    metadata: Mapping[str, Any]
    response_format: str
    callback_url: str | None
    names: Mapping[str, str] = field(default_factory=dict)


def read_task_request(
    request: Request, files: ExitStack, *, max_upload_bytes: int
) -> TaskRequest:
    """The task that a request asks for; `files` closes what was spooled.

    Raises InvalidRequest with every wrong field, UnsupportedType or TooLarge.
    """
    read = _reader_of(request)
    chunks = read_chunks(request.environ, max_upload_bytes + SLACK_BYTES)
    return unify(load(NEW_TASK, read(chunks, files)))


def load(schema: Schema, values: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that were given, without nulls; raises InvalidRequest."""
    part = _part_of(schema, frozenset(values.keys() & schema.fields.keys()))
    try:
        loaded = part.load(values)
    except ValidationError as error:
        raise _refusal(schema, _by_field(error.messages)) from error
    return {name: value for name, value in loaded.items() if value is not None}


@functools.lru_cache(PARTS_KEPT)
def _part_of(schema: Schema, given: frozenset[str]) -> Schema:
    """The schema with only the fields that are given, or must be.

    marshmallow works on each field of a schema, and a request has few of many.
    """
    names = [
        name for name, field in schema.fields.items() if name in given or field.required
    ]
    return type(schema)(only=names)


def unify(given: Mapping[str, Any]) -> TaskRequest:
    """One value for each meaning; raises InvalidRequest where two differ."""
    fields = dict(given)
    names = {}
    for alias, name in ALIASES.items():
        if alias not in fields:
            continue
        value = fields.pop(alias)
        if name in fields and not _same(fields[name], value):
            text = f"{name} and {alias} mean the same and differ: give one of them"
            raise InvalidRequest(text, errors={name: [text], alias: [text]})
        if name not in fields:
            fields[name] = value
            names[name] = alias
    if "prompt" not in fields and "input" not in fields:
        text = "is required, unless input is given"
        raise InvalidRequest(f"prompt {text}", errors={"prompt": [text]})
    _check_sides(fields)
    images = _take_images(fields, names)
    return TaskRequest(
        model=fields.pop("model"),
        metadata=fields.pop("metadata", {}),
        response_format=fields.pop("response_format", "url"),
        callback_url=fields.pop("callback_url", None),
        images=images,
        inputs={"n": 1, **fields},
        names=names,
    )


def form_values(schema: Schema, form: Form) -> dict[str, Any]:
    """A form's fields in the types of JSON; raises InvalidRequest."""
    values: dict[str, Any] = {}
    errors: dict[str, list[str]] = {}
    for name, given in form.items():
        try:
            values[name] = from_form(schema.fields.get(name), given)
        except ValidationError as error:
            errors[name] = texts_of(error.messages)
    if errors:
        raise _refusal(schema, errors)
    return values


def _reader_of(
    request: Request,
) -> Callable[[Any, ExitStack], Mapping[str, Any]]:
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding != "identity":
        raise UnsupportedType(
            f"Content-Encoding {encoding[:SHOWN_CHARS]!r} is not taken: "
            "send the body as it is"
        )
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if request.mimetype == JSON_TYPE and charset in ("utf-8", "utf8"):
        return read_json_object
    if request.mimetype == FORM_TYPE:
        options = request.mimetype_params

        def read(chunks: Any, files: ExitStack) -> Mapping[str, Any]:
            return form_values(NEW_TASK, read_form(chunks, options, files))

        return read
    shown = request.headers.get("Content-Type", "")[:SHOWN_CHARS]
    raise UnsupportedType(
        f"Content-Type {shown!r} is not taken: send {JSON_TYPE} in UTF-8 or {FORM_TYPE}"
    )


def _refusal(schema: Schema, messages: Mapping[str, Any]) -> InvalidRequest:
    errors: dict[str, list[str]] = {}
    for name, about in messages.items():
        if len(errors) == MAX_NAMED:
            break
        if name in schema.fields:
            errors[name] = texts_of(about)
        elif name == "_schema":
            return body_error(" ".join(texts_of(about)))
        else:
            errors[str(name)[:SHOWN_CHARS]] = [_unknown(schema, str(name))]
    first = next(iter(errors))
    more = f" (and {len(messages) - 1} more: see errors)" if len(messages) > 1 else ""
    shown = first if first.isprintable() else ascii(first)
    return InvalidRequest(f"{shown} {errors[first][0]}{more}", errors=errors)


def _by_field(messages: Any) -> Mapping[str, Any]:
    """marshmallow gives a list when the body as a whole is wrong."""
    return messages if isinstance(messages, Mapping) else {"_schema": messages}


def _unknown(schema: Schema, name: str) -> str:
    text = "is no field of this API"
    near = difflib.get_close_matches(name.lower()[:SHOWN_CHARS], schema.fields, 1, 0.7)
    if near:
        text += f": did you mean {near[0]}?"
    if "metadata" in schema.fields:
        text += " Fields that only one provider knows go into metadata"
    return text


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, LongText | FormFile) and isinstance(other, LongText | FormFile):
        return one.spool.sha256 == other.spool.sha256
    return bool(one == other)


def _check_sides(fields: Mapping[str, Any]) -> None:
    for name, other in (("width", "height"), ("height", "width")):
        if name in fields and other not in fields:
            text = f"is required beside {name}"
            raise InvalidRequest(f"{other} {text}", errors={other: [text]})


def _take_images(
    fields: dict[str, Any], names: dict[str, str]
) -> tuple[GivenImage, ...]:
    """Every image in order: image, images, input_reference."""
    found = []
    for name in ("image", "images", "input_reference"):
        value = fields.pop(name, None)
        spelled = names.pop(name, name)
        if value is not None:
            each = value if isinstance(value, list) else [value]
            found += [GivenImage(spelled, image) for image in each]
    if len(found) > MAX_IMAGES:
        text = f"{len(found)} images are given together, {MAX_IMAGES} are allowed"
        raise InvalidRequest(text, errors={found[-1].field: [text]})
    if found:
        names["images"] = found[0].field
    return tuple(found)
