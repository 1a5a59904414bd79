"""Input images in the form an upstream takes: URL, data URL, raw base64, or file."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from providers import errors
from providers.flow import Call, Flow
from providers.types import MediaInput

EXTENSIONS = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/webp": "webp",
    "image/gif": "gif",
    "image/bmp": "bmp",
}


@dataclass(frozen=True, slots=True)
class InputFile:
    """An input's bytes, with a made-up name."""

    filename: str
    content: bytes
    content_type: str


def as_file(image: MediaInput, name: str = "image") -> Flow[InputFile]:
    """The image's bytes, from the client's URL or from its upload."""
    reply = yield Call("GET", image.url, public=True)
    if not reply.ok:
        raise errors.Rejected(
            f"an input image could not be fetched: HTTP {reply.status}"
        )
    content_type = image.content_type or reply.content_type
    if content_type not in EXTENSIONS:
        raise errors.Rejected(
            f"an input image is {content_type or 'of no known type'}; "
            f"allowed are {', '.join(EXTENSIONS)}"
        )
    return InputFile(f"{name}.{EXTENSIONS[content_type]}", reply.content, content_type)


def as_base64(image: MediaInput) -> Flow[str]:
    """The image's bytes in base64, without a prefix."""
    file = yield from as_file(image)
    return base64.b64encode(file.content).decode()


def as_data_url(image: MediaInput) -> Flow[str]:
    """The image as `data:<type>;base64,<bytes>`, whatever form it came in."""
    file = yield from as_file(image)
    return f"data:{file.content_type};base64,{base64.b64encode(file.content).decode()}"


def as_url(image: MediaInput) -> Flow[str]:
    """The client's own URL as it is; uploaded bytes as a data URL."""
    if not image.uploaded:
        return image.url
    return (yield from as_data_url(image))
