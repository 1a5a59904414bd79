"""Real images, sound and films that carry the prompt they were made from.

The same arguments give the same file. The newest files are kept for a while, because a
result is often fetched more than once.
"""

import array
import base64
import binascii
import colorsys
import hashlib
import io
import math
import random
import sys
import tempfile
import textwrap
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import av
from PIL import ExifTags, Image, ImageDraw, ImageFont, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

CONTENT_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "mp4": "video/mp4",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "opus": "audio/ogg",
    "ogg": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "pcm": "audio/pcm",
    "txt": "text/plain",
}
"""The media formats that can be made, by file ending."""

IMAGE_FORMATS = {
    "png": "PNG",
    "jpg": "JPEG",
    "jpeg": "JPEG",
    "webp": "WEBP",
    "gif": "GIF",
}
AUDIO_CODECS: dict[str, tuple[str, str, dict[str, str]]] = {
    # file ending: container, codec, options of the container
    "aac": ("adts", "aac", {"write_id3v2": "1"}),
    "flac": ("flac", "flac", {}),
    "mp3": ("mp3", "libmp3lame", {}),
    "ogg": ("ogg", "libopus", {}),
    "opus": ("ogg", "libopus", {}),
    "wav": ("wav", "pcm_s16le", {}),
}
SIDE_PX = (64, 4096)
VIDEO_SIDE_PX = 640
VIDEO_SECONDS = (0.5, 60.0)
FRAMES_PER_SECOND = 6
AUDIO_SECONDS = (0.1, 600.0)
SAMPLE_RATE = 24_000
AUDIO_FRAME_BYTES = 2 * SAMPLE_RATE
NOTE_S = 0.25
PHRASE_NOTES = 16
SCALE_HZ = (220.0, 261.63, 293.66, 329.63, 392.0, 440.0, 523.25, 587.33, 659.25)
DRAWN_CHARACTERS = 400
KEPT_CHARACTERS = 8_000
"""Metadata of JPEG files holds less than 64 KiB."""
CACHE_BYTES = 32 * 1000**2
IMAGE_MOST_PIXELS = 80_000_000


N = TypeVar("N", int, float)


class NotAnImage(ValueError):
    """What was given as an image is none; the text says why."""


@dataclass(frozen=True)
class ReadImage:
    """An image that a request brought: its bytes, format (`png`) and size."""

    data: bytes
    image_format: str
    width: int
    height: int


class MediaCache:
    """The newest files, as many as fit; used by many threads."""

    def __init__(self, most_bytes: int = CACHE_BYTES) -> None:
        self.most_bytes = most_bytes
        self._files: OrderedDict[tuple[object, ...], bytes] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: tuple[object, ...], make: Callable[[], bytes]) -> bytes:
        """The file kept under that key, else the one that `make` gives."""
        with self._lock:
            if key in self._files:
                self._files.move_to_end(key)
                return self._files[key]
        data = make()
        with self._lock:
            if key not in self._files and len(data) <= self.most_bytes:
                self._files[key] = data
                self._bytes += len(data)
                while self._bytes > self.most_bytes:
                    _, dropped = self._files.popitem(last=False)
                    self._bytes -= len(dropped)
        return data


CACHE = MediaCache()


def make_image(
    prompt: str, width: int, height: int, image_format: str = "png", variant: int = 0
) -> bytes:
    """An image with the prompt written on it and in its metadata.

    Sides are clamped to 64..4096 pixels; `variant` changes the colours.
    """
    width, height = clamp(width, *SIDE_PX), clamp(height, *SIDE_PX)
    kind = IMAGE_FORMATS.get(image_format, "PNG")
    key = ("image", prompt, width, height, kind, variant)
    return CACHE.get(
        key, lambda: encode_image(draw(prompt, width, height, variant), prompt, kind)
    )


def make_audio(
    text: str, seconds: float, audio_format: str = "mp3", variant: int = 0
) -> bytes:
    """A small melody that follows from the text; the text is its title and comment.

    24 kHz mono; `pcm` is 16-bit little-endian without any header.
    """
    seconds = clamp(seconds, *AUDIO_SECONDS)
    key = ("audio", text, seconds, audio_format, variant)
    return CACHE.get(
        key, lambda: encode_audio(melody(text, seconds, variant), text, audio_format)
    )


def make_video(
    prompt: str,
    width: int,
    height: int,
    seconds: float,
    variant: int = 0,
    longest_px: int = VIDEO_SIDE_PX,
) -> bytes:
    """A short H.264 film in MP4 with the prompt on it and in its metadata.

    It has the shape asked for, but is made no larger than `longest_px`, since nobody
    looks at it for its beauty.
    """
    seconds = clamp(seconds, *VIDEO_SECONDS)
    width, height = clamp(width, *SIDE_PX), clamp(height, *SIDE_PX)
    scale = min(1.0, longest_px / max(width, height))
    # H.264 in yuv420p wants even sides
    width, height = (max(16, int(side * scale) // 2 * 2) for side in (width, height))
    key = ("video", prompt, width, height, seconds, variant)
    return CACHE.get(
        key,
        lambda: encode_video(draw(prompt, width, height, variant), prompt, seconds),
    )


def clamp(value: N, least: N, most: N) -> N:
    """The nearest value within the limits."""
    return max(least, min(most, value))


def draw(prompt: str, width: int, height: int, variant: int) -> Image.Image:
    """The prompt, wrapped, on a gradient of four colours that follow from it."""
    chance = random.Random(f"{prompt}/{variant}")
    hue = chance.random()
    corners = Image.new("RGB", (2, 2))
    for x, y in ((0, 0), (1, 0), (0, 1), (1, 1)):
        tone = (hue + 0.12 * x + 0.18 * y + 0.06 * chance.random()) % 1.0
        corners.putpixel((x, y), colour(tone, 0.45, 0.55 + 0.3 * chance.random()))
    image = corners.resize(
        (width, height), Image.Resampling.BILINEAR, box=(0.5, 0.5, 1.5, 1.5)
    )
    write(image, prompt[:DRAWN_CHARACTERS])
    return image


def colour(hue: float, saturation: float, value: float) -> tuple[int, int, int]:
    """A colour of the HSV circle in 0..255."""
    parts = colorsys.hsv_to_rgb(hue, saturation, value)
    red, green, blue = (round(255 * part) for part in parts)
    return red, green, blue


def write(image: Image.Image, text: str) -> None:
    """Write a text on an image, as large as it fits."""
    width, height = image.size
    margin = width // 16
    for share in (10, 14, 20, 28, 40, 60):
        size = max(8, min(width, height) // share)
        font = font_of(size)
        in_line = max(4, int((width - 2 * margin) / (0.55 * size)))
        lines = textwrap.wrap(text, in_line) or [""]
        if len(lines) * size * 1.3 <= height - 2 * margin:
            break
    pen = ImageDraw.Draw(image)
    top = (height - len(lines) * size * 1.3) / 2
    for number, line in enumerate(lines):
        at = (margin, top + number * size * 1.3)
        pen.text((at[0] + 1, at[1] + 1), line, font=font, fill=(40, 40, 50))
        pen.text(at, line, font=font, fill=(255, 255, 255))


@lru_cache(maxsize=32)
def font_of(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font that comes with Pillow, so that it is the same everywhere."""
    return ImageFont.load_default(size)


def encode_image(image: Image.Image, prompt: str, kind: str) -> bytes:
    """The file of an image, with the prompt in its metadata."""
    target = io.BytesIO()
    text = prompt[:KEPT_CHARACTERS]
    if kind == "PNG":
        info = PngInfo()
        info.add_itxt("prompt", text)
        image.save(target, kind, pnginfo=info, compress_level=1)
    elif kind == "GIF":
        image.save(target, kind, comment=text.encode()[:255])
    else:
        exif = Image.Exif()
        exif[ExifTags.Base.ImageDescription] = text.encode()
        method = {"method": 0} if kind == "WEBP" else {}
        image.save(target, kind, exif=exif, quality=85, **method)
    return target.getvalue()


def melody(text: str, seconds: float, variant: int) -> bytes:
    """16-bit little-endian mono samples at 24 kHz of a phrase that repeats."""
    digest = hashlib.sha256(f"{text}/{variant}".encode()).digest()
    phrase = b"".join(
        note(SCALE_HZ[byte % len(SCALE_HZ)]) for byte in digest[:PHRASE_NOTES]
    )
    size = 2 * int(seconds * SAMPLE_RATE)
    return (phrase * (size // len(phrase) + 1))[:size]


@lru_cache(maxsize=len(SCALE_HZ))
def note(frequency_hz: float) -> bytes:
    """The samples of one note that swells and fades."""
    count = int(NOTE_S * SAMPLE_RATE)
    step = 2 * math.pi * frequency_hz / SAMPLE_RATE
    samples = array.array(
        "h",
        (
            int(9000 * math.sin(math.pi * i / count) * math.sin(step * i))
            for i in range(count)
        ),
    )
    if sys.byteorder == "big":
        samples.byteswap()
    return samples.tobytes()


def encode_audio(samples: bytes, text: str, audio_format: str) -> bytes:
    """The file of a sound, with the text in its tags."""
    if audio_format == "pcm":
        return samples
    container_format, codec, options = AUDIO_CODECS.get(
        audio_format, AUDIO_CODECS["mp3"]
    )
    target = io.BytesIO()
    with av.open(target, "w", format=container_format, options=options) as container:
        stream = container.add_stream(codec, rate=SAMPLE_RATE, layout="mono")
        assert isinstance(stream, av.AudioStream)
        tags = {"title": text[:80], "comment": text[:KEPT_CHARACTERS]}
        # Ogg keeps its tags with the stream
        container.metadata.update(tags)
        stream.metadata.update(tags)
        resampler = av.AudioResampler(stream.format, stream.layout, stream.rate)
        # one frame of the whole sound would be copied in full at every step
        for at in range(0, len(samples), AUDIO_FRAME_BYTES):
            part = samples[at : at + AUDIO_FRAME_BYTES]
            frame = av.AudioFrame("s16", "mono", len(part) // 2, align=1)
            frame.planes[0].update(part)
            frame.sample_rate = SAMPLE_RATE
            frame.pts = at // 2
            frame.time_base = Fraction(1, SAMPLE_RATE)
            for ready in resampler.resample(frame):
                container.mux(stream.encode(ready))
        for ready in resampler.resample(None):
            container.mux(stream.encode(ready))
        container.mux(stream.encode(None))
    return target.getvalue()


def encode_video(still: Image.Image, prompt: str, seconds: float) -> bytes:
    """The file of a film that shows a still with a bar that fills as time passes."""
    width, height = still.size
    count = max(2, round(seconds * FRAMES_PER_SECOND))
    bar = max(4, height // 40)
    with (
        # the index can be put first, where players want it, only in a file with a name
        tempfile.TemporaryDirectory() as folder,
        av.open(
            film := f"{folder}/film.mp4",
            "w",
            options={"movflags": "faststart"},
        ) as container,
    ):
        container.metadata.update(
            {"title": prompt[:80], "comment": prompt[:KEPT_CHARACTERS]}
        )
        stream = container.add_stream(
            "libx264",
            rate=FRAMES_PER_SECOND,
            options={"preset": "ultrafast", "crf": "30", "threads": "1"},
        )
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuv420p"
        pen = ImageDraw.Draw(still)
        for number in range(count):
            filled = width * (number + 1) / count
            pen.rectangle((0, height - bar, filled, height), fill=(255, 255, 255))
            frame = film_frame(still)
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode(None))
        container.close()
        return Path(film).read_bytes()


def film_frame(image: Image.Image) -> av.VideoFrame:
    """One picture of a film."""
    frame = av.VideoFrame(image.width, image.height, "rgb24")
    plane = frame.planes[0]
    pixels, row = image.tobytes(), 3 * image.width
    # the rows of a plane may be longer than those of the image
    gap = bytes(plane.line_size - row)
    plane.update(
        b"".join(pixels[at : at + row] + gap for at in range(0, len(pixels), row))
        if gap
        else pixels
    )
    return frame


def read_image(given: bytes | str) -> ReadImage | None:
    """The image that a request brought, checked to be one.

    Given are the bytes of a file, a data URL, or plain base64. None is a URL with http
    or https, which is left unread. Raises NotAnImage.
    """
    if isinstance(given, str):
        if given.lower().startswith(("http://", "https://")):
            return None
        given = decode_text(given)
    try:
        with Image.open(io.BytesIO(given)) as image:
            width, height = image.size
            if width * height > IMAGE_MOST_PIXELS:
                raise NotAnImage(f"the image has more than {IMAGE_MOST_PIXELS} pixels")
            image.load()
            kind = (image.format or "").lower()
    except NotAnImage:
        raise
    except (
        UnidentifiedImageError,
        Image.DecompressionBombError,
        OSError,
        ValueError,
        SyntaxError,
    ) as error:
        raise NotAnImage("this is not an image that can be read") from error
    return ReadImage(given, kind, width, height)


def decode_text(text: str) -> bytes:
    """The bytes of a data URL or of plain base64; raises NotAnImage."""
    encoded = text
    if text[:5].lower() == "data:":
        head, mark, encoded = text.partition(",")
        if not mark or not head.lower().endswith(";base64"):
            raise NotAnImage("a data URL must hold base64")
    try:
        return base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise NotAnImage("this is neither a URL nor base64") from error
