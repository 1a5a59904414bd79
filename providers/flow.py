"""Calls, replies, and the generator protocol that joins them.

A flow is a generator: it yields the HTTP calls it wants, gets each reply sent back, and
returns what it learned. It does no I/O itself, so it runs under any HTTP library, and a
test plays it with replies from a file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlencode

T = TypeVar("T")


class NotJson(ValueError):
    """A body that should be JSON is not."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a multipart form: a text field, or a file when it has a name."""

    name: str
    content: str | bytes
    filename: str | None = None
    content_type: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request that a flow wants.

    `url` is a path below the channel's base URL ("/v2/videos"), or absolute. At most
    one of `json`, `parts` and `body` is given. `paid` marks the one call of a submit
    that may cost money: it is recorded before it is sent and never repeated. `public`
    marks somebody else's URL (a client's image, a signed link): it is sent without
    credentials and must lead to a public address, or be an upload of this task.
    """

    method: str
    url: str
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    parts: tuple[Part, ...] = ()
    body: bytes | None = None
    paid: bool = False
    public: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """An upstream's answer; `headers` has lower-case names."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def content_type(self) -> str:
        """The media type without parameters, lower case; "" when there is none."""
        return self.headers.get("content-type", "").split(";")[0].strip().lower()

    @property
    def retry_after_s(self) -> float | None:
        """Seconds asked for by `Retry-After`; the date form counts as no hint."""
        try:
            seconds = float(self.headers.get("retry-after", ""))
        except ValueError:
            return None
        return seconds if math.isfinite(seconds) and seconds >= 0 else None

    def json(self) -> Any:
        """The body as JSON; raises `NotJson` when it is none."""
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError) as error:
            raise NotJson(f"HTTP {self.status} with a body that is not JSON") from error


Flow = Generator[Call, Reply, T]


def call_url(base_url: str, call: Call) -> str:
    """A call's whole address: below the base URL, or absolute as it stands."""
    url = call.url
    if url.startswith("/"):
        url = base_url.rstrip("/") + url
    if call.params:
        url += ("&" if "?" in url else "?") + urlencode(call.params)
    return url


def drive(flow: Flow[T], send: Callable[[Call], Reply]) -> T:
    """Run a flow to its end; an error of `send` is raised inside the flow."""
    try:
        call = next(flow)
        while True:
            try:
                reply = send(call)
            except Exception as error:
                call = flow.throw(error)
            else:
                call = flow.send(reply)
    except StopIteration as stop:
        result: T = stop.value
        return result


async def drive_async(flow: Flow[T], send: Callable[[Call], Awaitable[Reply]]) -> T:
    """Run a flow to its end; an error of `send` is raised inside the flow."""
    try:
        call = next(flow)
        while True:
            try:
                reply = await send(call)
            except Exception as error:
                call = flow.throw(error)
            else:
                call = flow.send(reply)
    except StopIteration as stop:
        result: T = stop.value
        return result
