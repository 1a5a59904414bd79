"""Fields of a query, each of which may be given once."""

from __future__ import annotations

from collections import Counter
from typing import Any

from flask import request

from app.api.request_fields import WHOLE
from app.errors import InvalidRequest


def read_query() -> dict[str, Any]:
    """The query's fields in the types of JSON; each may be given once."""
    counts = Counter(name for name, _ in request.args.items(multi=True))
    for name, count in counts.items():
        if count > 1:
            raise _repeated(name)
    values: dict[str, Any] = request.args.to_dict()
    limit = values.get("limit")
    if limit is not None and WHOLE.fullmatch(limit):
        values["limit"] = int(limit)
    return values


def read_once(name: str) -> str | None:
    """One field's text; None when it is not given."""
    given = request.args.getlist(name)
    if len(given) > 1:
        raise _repeated(name)
    return given[0] if given else None


def _repeated(name: str) -> InvalidRequest:
    text = "is given more than once"
    return InvalidRequest(f"{name} {text}", errors={name: [text]})
