"""What a submit would send to its upstream, without sending anything."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from app.catalog import Offer
from app.errors import InvalidRequest
from app.generation_requests import Upload
from providers import errors
from providers.flow import Call, Part, Reply, call_url
from providers.types import Credentials, GenerationRequest, MediaInput

MASK = "***"
# What authorizes the call is made with this secret, a form that every provider takes:
# the true ones are sealed, and only workers open them.
STAND_IN = "sandbox-id:sandbox-key"
ASSUMED_TYPE = "image/png"
SHOWN_CHARS = 4000
NOTE_ON_ANSWER = (
    "the answer to the last call decides what is sent next, so no more can be told"
)
NOTE_ON_IMAGES = (
    "input images are not fetched here: their bytes are shown as a mark, and the type "
    "of one behind a link is taken to be " + ASSUMED_TYPE
)


@dataclass(frozen=True, slots=True)
class Plan:
    """The calls of a submit as JSON; `complete` when the one that is paid is there."""

    calls: Sequence[Mapping[str, Any]]
    complete: bool
    note: str


def plan_calls(
    offer: Offer, request: GenerationRequest, uploads: Mapping[str, Upload]
) -> Plan:
    """Run the provider's submit flow up to its paid call, and keep what it wants.

    Input images stand in as marks. A flow whose next call depends on an answer of the
    upstream's is shown up to there. Raises InvalidRequest for what the provider cannot
    express.
    """
    marks = _Marks(request.images, uploads)
    flow = offer.provider.submit(request)
    calls: list[Mapping[str, Any]] = []
    try:
        call = next(flow)
        while reply := marks.answer(call):
            call = flow.send(reply)
    except errors.Rejected as error:
        raise InvalidRequest(str(error)) from error
    except errors.ProviderError as error:
        return Plan(calls, False, f"the provider's flow ends before a call: {error}")
    except StopIteration:
        return Plan(calls, False, "the provider answers this without a call")
    flow.close()
    calls.append(_shown(offer, call, marks))
    notes = [] if call.paid else [NOTE_ON_ANSWER]
    if marks.used:
        notes.append(NOTE_ON_IMAGES)
    return Plan(calls, call.paid, "; ".join(notes))


class _Marks:
    """Stand-ins for the bytes of input images, and how to find them in a call."""

    def __init__(
        self, images: Sequence[MediaInput], uploads: Mapping[str, Upload]
    ) -> None:
        self.used = False
        self._replies = {}
        self._shown = {}
        for n, image in enumerate(images, 1):
            # A multiple of three bytes: in base64 it stands for itself.
            content = f"genrelay input image {n:03}".encode()
            upload = uploads.get(image.url)
            content_type = upload.content_type if upload else ASSUMED_TYPE
            self._replies[image.url] = Reply(
                200, {"content-type": content_type}, content
            )
            self._shown[content] = n

    def answer(self, call: Call) -> Reply | None:
        """What stands in for the answer to a call that fetches an input."""
        if not (call.public and call.method == "GET"):
            return None
        reply = self._replies.get(call.url)
        self.used = self.used or reply is not None
        return reply

    def in_text(self, text: str) -> str:
        """A text of a call, with the marks in words, and not too long."""
        for content, n in self._shown.items():
            encoded = base64.b64encode(content).decode()
            text = text.replace(encoded, f"<base64 of image {n}>")
        if len(text) > SHOWN_CHARS:
            return f"{text[:SHOWN_CHARS]}... ({len(text):,} characters)"
        return text

    def in_bytes(self, content: bytes) -> str:
        """The content of a file, in words."""
        n = self._shown.get(content)
        return f"<image {n}>" if n else f"<{len(content):,} bytes>"

    def in_json(self, value: Any) -> Any:
        """A JSON value, with the marks in words."""
        if isinstance(value, str):
            return self.in_text(value)
        if isinstance(value, Mapping):
            return {name: self.in_json(inner) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.in_json(inner) for inner in value]
        return value


def _shown(offer: Offer, call: Call, marks: _Marks) -> dict[str, Any]:
    """A call as it would leave, secrets masked."""
    shown = masked(offer, call)
    told: dict[str, Any] = {
        "method": shown.method,
        "url": _without_user(call_url(offer.channel.base_url, shown)),
        "headers": dict(shown.headers),
        "paid": shown.paid,
    }
    if shown.json is not None:
        told["json"] = marks.in_json(shown.json)
    if shown.parts:
        told["form"] = [_part(part, marks) for part in shown.parts]
    if shown.body is not None:
        told["body"] = marks.in_bytes(shown.body)
    return told


def masked(offer: Offer, call: Call) -> Call:
    """The call with everything that `authorize` adds to it hidden."""
    plain = replace(call, url=call_url(offer.channel.base_url, call), params={})
    credentials = Credentials(STAND_IN, offer.channel.settings, time.time())
    try:
        ready = offer.provider.authorize(plain, credentials)
    except errors.ProviderError:  # a key of another kind, or a setting is missing
        return replace(plain, headers={**plain.headers, "Authorization": MASK})
    headers = {
        name: value if plain.headers.get(name) == value else _mask(value)
        for name, value in ready.headers.items()
    }
    return replace(
        ready,
        url=_mask_stand_in(ready.url),
        params=dict.fromkeys(ready.params, MASK),
        headers=headers,
    )


def _mask(value: str) -> str:
    """A header's value with its scheme, which is no secret: "Bearer ***"."""
    scheme, space, rest = value.partition(" ")
    return f"{scheme} {MASK}" if space and rest and scheme.isalpha() else MASK


def _mask_stand_in(url: str) -> str:
    for part in (STAND_IN, *STAND_IN.split(":")):
        url = url.replace(part, MASK)
    return url


def _without_user(url: str) -> str:
    """A base URL may hold a password of its own."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    return urlunsplit(parts._replace(netloc=f"{MASK}@{parts.netloc.split('@')[-1]}"))


def _part(part: Part, marks: _Marks) -> dict[str, Any]:
    if part.filename is None and isinstance(part.content, str):
        return {"name": part.name, "value": marks.in_text(part.content)}
    content = part.content if isinstance(part.content, bytes) else part.content.encode()
    return {
        "name": part.name,
        "filename": part.filename,
        "content_type": part.content_type,
        "content": marks.in_bytes(content),
    }
