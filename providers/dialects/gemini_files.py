"""Files of Google's media APIs: what comes inline, by link, and in Cloud Storage.

A result's link (`.../files/<id>:download?alt=media`) needs the key, redirects, and dies
after two days; `gs://` links are fetched through the JSON API of Cloud Storage.
"""

from __future__ import annotations

import base64
import re
import struct
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from providers import errors, inputs
from providers.dialects import gemini_errors
from providers.flow import Call, Flow
from providers.types import Artifact, MediaInput, Phase

STORAGE_HOST = "storage.googleapis.com"

# A file of the API itself, whatever the host: proxies put theirs, or leave Google's.
OWN_FILE = re.compile(
    r"https?://[^/?#]+(?:/[^?#]*)?/v\d\w*/files/([A-Za-z0-9_-]+)"
    r"(?::download)?/?(?:\?[^#]*)?"
)
SHORT_NAME = re.compile(r"files/([A-Za-z0-9_-]+)")
BUCKET_FILE = re.compile(r"gs://([^/]+)/(.+)")

FILE_PHASES = {
    "PROCESSING": Phase.RUNNING,
    "ACTIVE": Phase.SUCCEEDED,
    "FAILED": Phase.FAILED,
}

PCM_TYPES = ("audio/l16", "audio/pcm")
PCM_RATE = 24_000


@dataclass(frozen=True, slots=True)
class Picture:
    """An input image as base64, with its type."""

    data: str
    content_type: str


def as_picture(image: MediaInput) -> Flow[Picture]:
    """An input image in the one form that is taken: bytes, never a link."""
    file = yield from inputs.as_file(image)
    return Picture(base64.b64encode(file.content).decode(), file.content_type)


def own_file_id(uri: str) -> str | None:
    """The id of a file of the API, or None for any other link."""
    match = OWN_FILE.fullmatch(uri) or SHORT_NAME.fullmatch(uri)
    return match[1] if match else None


def linked(uri: str, content_type: str | None) -> Artifact:
    """The file behind a link.

    A file of the API is asked for below the channel's own base URL, as the official
    SDK does; any other http(s) link is kept as it is and gets no key.
    """
    if file_id := own_file_id(uri):
        return Artifact(
            url=f"/files/{file_id}:download?alt=media",
            content_type=content_type,
            protected=True,
        )
    if match := BUCKET_FILE.fullmatch(uri):
        bucket, name = (quote(part, safe="") for part in match.groups())
        return Artifact(
            url=f"https://{STORAGE_HOST}/storage/v1/b/{bucket}/o/{name}?alt=media",
            content_type=content_type,
            protected=True,
        )
    if not uri.startswith(("https://", "http://")):
        raise ValueError(f"{uri[:80]!r} is no link")
    return Artifact(url=uri, content_type=content_type)


def inline(data: str, mime_type: str) -> Artifact:
    """Bytes that came in base64; samples without a header become a WAV file."""
    # JSON of Google's may be in either alphabet of base64
    standard = data.replace("-", "+").replace("_", "/")
    content = base64.b64decode(standard, validate=True)
    if not content:
        raise ValueError("an empty file")
    kind, _, parameters = mime_type.partition(";")
    kind = kind.strip().lower()
    if kind not in PCM_TYPES or content.startswith(b"RIFF"):
        if kind in PCM_TYPES or kind == "audio/x-wav":
            kind = "audio/wav"
        return Artifact(content=content, content_type=kind or None)
    match = re.search(r"rate=(\d{4,6})", parameters)
    rate = int(match[1]) if match else PCM_RATE
    return Artifact(
        content=wav(content, rate),
        content_type="audio/wav",
        duration_s=len(content) / 2 / rate,
    )


def wav(samples: bytes, rate: int) -> bytes:
    """A WAV file of signed 16-bit little-endian samples, one channel."""
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        36 + len(samples),
        b"WAVE",
        b"fmt ",
        16,  # bytes of the format
        1,  # PCM
        1,  # channel
        rate,
        rate * 2,  # bytes a second
        2,  # bytes a sample
        16,  # bits a sample
        b"data",
        len(samples),
    )
    return header + samples


def file_phase(file_id: str) -> Flow[Phase]:
    """Whether a file of the API can be downloaded yet.

    One that is gone is refused like a foreign one, with 403: that says nothing of the
    account.
    """
    reply = yield Call("GET", f"/files/{file_id}")
    try:
        body = gemini_errors.accepted(reply, absent=errors.NotFound)
    except errors.ChannelRefused as error:
        if reply.status == 403 and "may not exist" in str(error):
            raise errors.NotFound(
                str(error), code=error.code, status=error.status
            ) from error
        raise
    return read_file_phase(body)


@errors.documented("a file of the API")
def read_file_phase(body: dict[str, Any]) -> Phase:
    """`{"name": "files/...", "state", "uri", ...}`."""
    return FILE_PHASES[body["state"]]
