"""Multipart forms as the OpenAI API reads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from providers.flow import Part
from providers.inputs import InputFile


def text_parts(fields: Mapping[str, Any]) -> tuple[Part, ...]:
    """Text parts of a form; None is left out.

    Objects become `name[key]` and lists repeated `name[]`, as the official Python
    client (`openai` 3.54.0) writes them.
    """
    return tuple(
        part for name, value in fields.items() for part in _text_parts(name, value)
    )


def file_part(name: str, file: InputFile) -> Part:
    return Part(name, file.content, file.filename, file.content_type)


def _text_parts(name: str, value: Any) -> Iterator[Part]:
    if value is None:
        return
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _text_parts(f"{name}[{key}]", inner)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for inner in value:
            yield from _text_parts(f"{name}[]", inner)
    elif isinstance(value, bool):
        yield Part(name, "true" if value else "false")
    else:
        yield Part(name, str(value))
