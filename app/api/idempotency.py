"""`Idempotency-Key`: the same request again gets the first answer, and costs nothing.

A body is compared by its meaning: aliases, nulls and the order of fields do not matter,
files count by their bytes, so that JSON and a form that say the same are the same.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence

from werkzeug.datastructures import Headers

from app.api.task_requests import TaskRequest
from app.api.uploads import Image
from app.errors import IdempotencyMismatch, InvalidRequest
from app.store.idempotency import KeptAnswer

HEADER = "Idempotency-Key"
KEY = re.compile(r"[!-~]{1,255}")


def read_key(headers: Headers) -> str | None:
    """The key of a request, if it has one; raises InvalidRequest for another shape."""
    given = headers.get(HEADER)  # one given twice comes joined by a comma and a space
    if given is None:
        return None
    if KEY.fullmatch(given) is None:
        text = "must be one text of 1 to 255 visible ASCII characters"
        raise InvalidRequest(f"{HEADER} {text}", errors={HEADER: [text]})
    return given


def body_hash(wanted: TaskRequest, images: Sequence[Image]) -> bytes:
    """32 bytes that two requests share when they ask for the same."""
    meaning = {
        "model": wanted.model,
        "inputs": dict(wanted.inputs),
        "images": [image.identity for image in images],
        "metadata": dict(wanted.metadata),
        "response_format": wanted.response_format,
        "callback_url": wanted.callback_url,
    }
    text = json.dumps(meaning, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).digest()


def check_same(kept: KeptAnswer, body_hash: bytes) -> None:
    """Raise IdempotencyMismatch when the first request asked for something else."""
    if kept.body_hash != body_hash:
        raise IdempotencyMismatch(
            f"this {HEADER} was used for another request: take a new one"
        )
