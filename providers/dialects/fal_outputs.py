"""The files in a result of fal, whatever shape the endpoint gives it.

Nearly all endpoints answer one of `images`, `video`, `audio` or `image`; the rest has
files in single objects, lists, or plain URL strings under many names. So a result is
walked: first the usual names, then everything that looks like a file.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from providers.types import Artifact

USUAL = (
    "video",
    "videos",
    "video_url",
    "images",
    "image",
    "audio",
    "audios",
    "audio_url",
    "audio_file",
)
BESIDE = frozenset(
    {"thumbnail", "thumbnails", "thumbnail_url", "spritesheet", "preview", "timings"}
)
"""Files about the result, which are no results."""

CONTENT_TYPES: Mapping[str, str] = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "svg": "image/svg+xml",
    "mp4": "video/mp4",
    "webm": "video/webm",
    "mov": "video/quicktime",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "opus": "audio/opus",
    "m4a": "audio/mp4",
}
DEEPEST = 6


def read_artifacts(result: Mapping[str, Any]) -> tuple[list[Artifact], int]:
    """The files of a result, and how many images the safety checker blacked out.

    A result whose only output is a text gives that text.
    """
    blacked = result.get("has_nsfw_concepts") or []
    files: list[Mapping[str, Any]] = []
    blocked_count = 0
    for name in USUAL:
        for index, file in enumerate(files_in(result.get(name))):
            if name == "images" and index < len(blacked) and blacked[index] is True:
                blocked_count += 1
            else:
                files.append(file)
    if not files and not blocked_count:
        files = list(files_anywhere(result))
    by_url = {file["url"]: file for file in files}  # `images` may repeat `image`
    artifacts = [artifact(file) for file in by_url.values()]
    if len(artifacts) == 1 and artifacts[0].duration_s is None:
        duration_ms = number(result.get("duration_ms"))
        if duration_ms is not None:
            artifacts = [artifact({**files[0], "duration": duration_ms / 1000})]
    text = result.get("output")
    if not artifacts and not blocked_count and isinstance(text, str) and text:
        artifacts = [Artifact(text=text)]
    return artifacts, blocked_count


def files_in(value: Any) -> Iterator[Mapping[str, Any]]:
    """A file object, a URL as plain text, or a list of either."""
    if isinstance(value, list):
        for item in value:
            yield from files_in(item)
    elif isinstance(value, str):
        if is_link(value):
            yield {"url": value}
    elif isinstance(value, Mapping) and is_link(value.get("url")):
        yield value


def files_anywhere(value: Any, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """Every file in a result of unknown shape, in its own order."""
    found = list(files_in(value))
    if found or depth > DEEPEST:
        yield from found
    elif isinstance(value, list):
        for item in value:
            yield from files_anywhere(item, depth + 1)
    elif isinstance(value, Mapping):
        for name, item in value.items():
            says_link = not isinstance(item, str) or name.endswith(("url", "output"))
            if says_link and name not in BESIDE:
                yield from files_anywhere(item, depth + 1)


def is_link(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(("https://", "http://", "data:"))


def artifact(file: Mapping[str, Any]) -> Artifact:
    """One file object; `sync_mode` puts the bytes into the URL."""
    url: str = file["url"]
    content = None
    content_type = file.get("content_type")
    if not isinstance(content_type, str) or content_type == "application/octet-stream":
        content_type = None
    if url.startswith("data:"):
        declared, content = read_data_url(url)
        content_type = content_type or declared
    elif content_type is None:
        content_type = CONTENT_TYPES.get(ending(url))
    return Artifact(
        url=url if content is None else None,
        content=content,
        content_type=content_type,
        width=whole(file.get("width")),
        height=whole(file.get("height")),
        duration_s=number(file.get("duration")),
    )


def read_data_url(url: str) -> tuple[str | None, bytes]:
    """Media type and bytes of `data:<type>[;base64],<data>`, or ValueError."""
    head, comma, data = url.removeprefix("data:").partition(",")
    if not comma:
        raise ValueError("a data URL without data")
    content_type, *marks = head.split(";")
    if "base64" not in marks:
        return content_type or None, unquote_to_bytes(data)
    try:
        return content_type or None, base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise ValueError("a data URL that is not base64") from error


def ending(url: str) -> str:
    """The file ending of a URL's path, lower case, "" when there is none."""
    name = urlsplit(url).path.rpartition("/")[2]
    return name.rpartition(".")[2].lower() if "." in name else ""


def whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)
