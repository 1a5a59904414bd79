"""Fakes that are passed in."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from providers.flow import Call, Flow, Reply, drive

T = TypeVar("T")

REPLIES = Path(__file__).parent / "providers" / "replies"


def answer(body: Any = None, *, status: int = 200, **headers: str) -> Reply:
    """A JSON reply; header names are given with underscores."""
    return Reply(
        status,
        {
            "content-type": "application/json",
            **{name.replace("_", "-").lower(): text for name, text in headers.items()},
        },
        json.dumps(body).encode(),
    )


def recorded(name: str, *, status: int = 200, **headers: str) -> Reply:
    """A reply kept as a file: `recorded("fal/submit")`."""
    content = (REPLIES / f"{name}.json").read_bytes()
    fixed = {header.replace("_", "-").lower(): text for header, text in headers.items()}
    return Reply(status, {"content-type": "application/json", **fixed}, content)


def raw(content: bytes, content_type: str, status: int = 200) -> Reply:
    """A reply that is no JSON: a file, or a page of HTML."""
    return Reply(status, {"content-type": content_type}, content)


@dataclass
class Played:
    """Answers a flow's calls in order, and keeps them for a look."""

    replies: list[Reply | Exception]
    calls: list[Call] = field(default_factory=list)

    def send(self, call: Call) -> Reply:
        self.calls.append(call)
        assert self.replies, f"one call too many: {call.method} {call.url}"
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply


def play(flow: Flow[T], *replies: Reply | Exception) -> T:
    """Run a flow on these replies; every one of them must be used."""
    played = Played(list(replies))
    result = drive(flow, played.send)
    assert not played.replies, f"{len(played.replies)} replies were never asked for"
    return result


def calls_of(flow: Flow[Any], *replies: Reply | Exception) -> list[Call]:
    """The calls that a flow makes on these replies."""
    played = Played(list(replies))
    drive(flow, played.send)
    return played.calls
