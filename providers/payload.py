"""Build an upstream's body: leave out what is not given, merge client metadata."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any


def given(**fields: Any) -> dict[str, Any]:
    """The fields that have a value: None is left out, False and 0 are kept."""
    return {name: value for name, value in fields.items() if value is not None}


def merged(
    body: Mapping[str, Any], extra: Mapping[str, Any], keep: Collection[str] = ()
) -> dict[str, Any]:
    """`body` with a client's provider-specific fields merged in, objects deeply.

    A client may add and override, but never the fields in `keep`: the model it is
    billed for, credentials, or the address that callbacks go to.
    """
    result = dict(body)
    for name, value in extra.items():
        if name in keep:
            continue
        old = result.get(name)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            result[name] = merged(old, value)
        else:
            result[name] = value
    return result
