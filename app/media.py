"""What a file really is: its type, its size in pixels, its duration.

All of it is read from the bytes, which may be hostile: nothing is decoded, and every
parser gets only so many reads and bytes. Names, declared types and declared sizes are
believed nowhere.
"""

import os
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import isfinite
from typing import BinaryIO, cast

from PIL import Image

from app import sounds

# As many bytes from the start of a file as `sniff` looks at
SNIFF_BYTES = 1024

MAX_READS = 200_000
MAX_IMAGE_BYTES = 256 * 1024 * 1024
MAX_AUDIO_BYTES = 16 * 1024 * 1024
MAX_SIDE = 1_000_000
MAX_DURATION_S = 7 * 24 * 3600

EXTENSIONS = {
    "application/json": "json",
    "audio/aac": "aac",
    "audio/flac": "flac",
    "audio/mp4": "m4a",
    "audio/mpeg": "mp3",
    "audio/ogg": "ogg",
    "audio/wav": "wav",
    "image/avif": "avif",
    "image/bmp": "bmp",
    "image/gif": "gif",
    "image/heic": "heic",
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/svg+xml": "svg",
    "image/tiff": "tiff",
    "image/webp": "webp",
    "text/plain": "txt",
    "video/mp4": "mp4",
    "video/quicktime": "mov",
    "video/webm": "webm",
}
# Other spellings that upstreams and clients use
SAME_TYPES = {
    "audio/mp3": "audio/mpeg",
    "audio/opus": "audio/ogg",
    "audio/vnd.wave": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/x-aac": "audio/aac",
    "audio/x-flac": "audio/flac",
    "audio/x-m4a": "audio/mp4",
    "audio/x-wav": "audio/wav",
    "image/heif": "image/heic",
    "image/jpg": "image/jpeg",
    "image/x-ms-bmp": "image/bmp",
}
CONTENT_TYPES = {extension: name for name, extension in EXTENSIONS.items()} | {
    "jpeg": "image/jpeg",
    "opus": "audio/ogg",
    "tif": "image/tiff",
}

# Input images that we take, and the one Pillow plugin that may read each
INPUT_FORMATS = {
    "image/png": "PNG",
    "image/jpeg": "JPEG",
    "image/webp": "WEBP",
    "image/gif": "GIF",
    "image/bmp": "BMP",
}
RESULT_FORMATS = INPUT_FORMATS | {"image/avif": "AVIF"}

# The first bytes, whatever follows
SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"ID3", "audio/mpeg"),
    (b"fLaC", "audio/flac"),
    (b"OggS", "audio/ogg"),
    (b"ADIF", "audio/aac"),
)
RIFF_TYPES = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}
BMP_HEADER_SIZES = (12, 16, 40, 52, 56, 64, 108, 124)
# Brands of ISO base media files, the more telling ones first (mp4ra.org)
BRANDS = (
    ((b"avif", b"avis"), "image/avif"),
    ((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"), "image/heic"),
    ((b"qt  ",), "video/quicktime"),
    ((b"M4A ", b"M4B ", b"M4P "), "audio/mp4"),
    ((b"mp41", b"mp42", b"avc1", b"dash", b"M4V ", b"MSNV", b"mmp4"), "video/mp4"),
    ((b"isom", b"iso2", b"iso3", b"iso4", b"iso5", b"iso6", b"iso7"), "video/mp4"),
    ((b"iso8", b"iso9", b"3gp4", b"3gp5", b"3gp6", b"3g2a"), "video/mp4"),
    ((b"mif1", b"msf1"), "image/heic"),
)
SVG = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--(?:(?!-->).)*-->\s*)*"
    rb"(?:<!DOCTYPE\s+svg[^>]*>\s*)?<svg[\s>]",
    re.IGNORECASE | re.DOTALL,
)

# What Pillow and our readers raise for hostile bytes; Pillow documents no closed list.
# Not Exception: a failing storage must not look like a broken image.
PARSER_FAILURES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


class BadMedia(Exception):
    """A file that we do not take; the text is for the client."""


@dataclass(frozen=True)
class ImageInfo:
    """An input image; the content type is the true one."""

    content_type: str
    width: int
    height: int


@dataclass(frozen=True)
class MediaInfo:
    """What could be learned of a result file; None where nothing could."""

    width: int | None = None
    height: int | None = None
    duration_s: float | None = None


def extension_of(content_type: str) -> str:
    """The usual file name extension without dot; `bin` for an unknown type."""
    return EXTENSIONS.get(canonical_type(content_type), "bin")


def content_type_of(extension: str) -> str | None:
    """The content type of an extension or output format such as `jpg` or `.mp3`."""
    return CONTENT_TYPES.get(extension.lower().removeprefix("."))


def canonical_type(content_type: str) -> str:
    """`image/jpg; charset=x` as `image/jpeg`: without parameters, in one spelling."""
    name = content_type.partition(";")[0].strip().lower()
    return SAME_TYPES.get(name, name)


# The true type


def sniff(head: bytes) -> str | None:
    """The content type by the first SNIFF_BYTES of a file; None when it is no media."""
    head = head[:SNIFF_BYTES]
    for signature, content_type in SIGNATURES:
        if head.startswith(signature):
            return content_type
    if head[:4] == b"RIFF":
        return RIFF_TYPES.get(head[8:12])
    if head[4:8] == b"ftyp":
        return _sniff_brands(head)
    if head[:4] == b"\x1a\x45\xdf\xa3":  # EBML: Matroska, too
        return "video/webm" if b"webm" in head[4:64] else None
    if head[:2] == b"BM":
        size = int.from_bytes(head[14:18], "little")
        return "image/bmp" if size in BMP_HEADER_SIZES else None
    if head[:1] == b"\xff":
        return _sniff_frame(head)
    return "image/svg+xml" if SVG.match(head) else None


def _sniff_brands(head: bytes) -> str | None:
    """By the major brand, else by the compatible ones."""
    end = min(int.from_bytes(head[:4], "big"), len(head))
    compatible = {head[start : start + 4] for start in range(16, end, 4)}
    # `mif1` says no more than "an image": AVIF and HEIC both use it as major brand
    major = {head[8:12]} - {b"mif1", b"msf1"}
    for present in (major, compatible | {head[8:12]}):
        for brands, content_type in BRANDS:
            if present.intersection(brands):
                return content_type
    return None


def _sniff_frame(head: bytes) -> str | None:
    """MP3 and AAC without a tag start with the header of a frame."""
    if len(head) < 4 or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    if layer == 0 and version >= 2:  # ADTS: twelve bits of sync, layer 0
        return "audio/aac" if head[2] >> 2 & 15 < 13 else None
    is_mp3 = version != 1 and layer == 1
    is_frame = head[2] >> 4 not in (0, 15) and head[2] >> 2 & 3 != 3
    return "audio/mpeg" if is_mp3 and is_frame else None


# Input images


def check_image(file: BinaryIO, max_pixels: int) -> ImageInfo:
    """The true type and size of an input image; raises BadMedia.

    Only headers are read, so that an image of a few bytes and billions of pixels costs
    nothing. Pillow's own limit of pixels holds, too. Afterwards the file stands at its
    start again.
    """
    file.seek(0)
    head = file.read(SNIFF_BYTES)
    content_type = sniff(head)
    if content_type not in INPUT_FORMATS:
        raise BadMedia(_refusal(head, content_type))
    limit = min(max_pixels, Image.MAX_IMAGE_PIXELS or max_pixels)
    name = EXTENSIONS[content_type].upper()
    bounded = Bounded(file, MAX_IMAGE_BYTES)
    try:
        with _open_image(bounded, INPUT_FORMATS[content_type]) as image:
            width, height = image.size
            if width * height > limit:
                raise BadMedia(
                    f"the image has {width} x {height} pixels; "
                    f"at most {limit} pixels are taken"
                )
            is_cut = content_type in IS_CUT and IS_CUT[content_type](bounded, image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadMedia(
            f"the image has too many pixels; at most {limit} are taken"
        ) from error
    except PARSER_FAILURES as error:
        raise BadMedia(f"the {name} image is damaged or cut off") from error
    finally:
        file.seek(0)
    if is_cut:
        raise BadMedia(f"the {name} image is cut off")
    return ImageInfo(content_type, width, height)


def _refusal(head: bytes, content_type: str | None) -> str:
    allowed = "PNG, JPEG, WebP, GIF and BMP images are taken"
    if not head:
        return f"the file is empty; {allowed}"
    if content_type is None:
        return f"the file is not an image; {allowed}"
    return f"the file is {content_type}; {allowed}"


def _open_image(file: "Bounded", image_format: str) -> Image.Image:
    file.seek(0)
    return Image.open(cast(BinaryIO, file), formats=[image_format])


def _is_png_cut(file: "Bounded", image: Image.Image) -> bool:
    image.verify()  # checksums up to the last chunk; raises
    return False


def _is_jpeg_cut(file: "Bounded", image: Image.Image) -> bool:
    # Pillow stopped where the first scan starts. In scans 0xFF is never followed by
    # 0xD9, the end of the image; and what phones append after it does not matter.
    last = b""
    while chunk := file.read(1024 * 1024):
        if b"\xff\xd9" in last + chunk:
            return False
        last = chunk[-1:]
    return True


def _is_gif_cut(file: "Bounded", image: Image.Image) -> bool:
    file.seek(max(0, file.size() - SNIFF_BYTES))
    return not file.read(SNIFF_BYTES).rstrip(b"\x00").endswith(b"\x3b")


def _is_bmp_cut(file: "Bounded", image: Image.Image) -> bool:
    codec, _, offset, arguments = image.tile[0]  # type: ignore[attr-defined]
    if codec != "raw":  # compressed: the header does not tell its length
        return False
    return bool(file.size() < offset + arguments[1] * image.height)


# Not WebP: Pillow opens whole files only
IS_CUT: dict[str, Callable[["Bounded", Image.Image], bool]] = {
    "image/png": _is_png_cut,
    "image/jpeg": _is_jpeg_cut,
    "image/gif": _is_gif_cut,
    "image/bmp": _is_bmp_cut,
}


# Result files


def probe(file: BinaryIO, content_type: str) -> MediaInfo:
    """Size in pixels and duration of a result file, as far as its headers tell.

    Never raises for what stands in the file. `content_type` chooses the reader, so it
    should come from `sniff`. Afterwards the file stands at its start again.
    """
    name = canonical_type(content_type)
    try:
        if name in RESULT_FORMATS:
            return _probe_image(Bounded(file, MAX_IMAGE_BYTES), RESULT_FORMATS[name])
        if name in ("video/mp4", "video/quicktime", "audio/mp4"):
            return _probe_mp4(Bounded(file, MAX_AUDIO_BYTES))
        if name in DURATIONS:
            bounded = Bounded(file, MAX_AUDIO_BYTES)
            bounded.seek(0)
            return MediaInfo(duration_s=_duration(DURATIONS[name](bounded)))
    except (*PARSER_FAILURES, BadMedia):
        return MediaInfo()
    finally:
        file.seek(0)
    return MediaInfo()


def _probe_image(file: "Bounded", image_format: str) -> MediaInfo:
    with _open_image(file, image_format) as image:
        return MediaInfo(*_sides(*image.size))


def _sides(width: int, height: int) -> tuple[int | None, int | None]:
    is_plausible = 0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE
    return (width, height) if is_plausible else (None, None)


def _duration(seconds: float | None) -> float | None:
    if seconds is None or not isfinite(seconds):
        return None
    rounded = round(seconds, 3)  # what rounds to nothing tells nothing
    return rounded if 0 < rounded <= MAX_DURATION_S else None


DURATIONS: dict[str, Callable[["Bounded"], float | None]] = {
    "audio/aac": sounds.frames_duration,
    "audio/flac": sounds.flac_duration,
    "audio/mpeg": sounds.frames_duration,
    "audio/ogg": sounds.ogg_duration,
    "audio/wav": sounds.wav_duration,
}


# MP4 (ISO 14496-12)


def _probe_mp4(file: "Bounded") -> MediaInfo:
    """The size of the largest track and the duration of the presentation."""
    size: tuple[int, int] = (0, 0)
    seconds: float | None = None
    for moov in _boxes(file, b"moov", 0, file.size()):
        for mvhd in _boxes(file, b"mvhd", *moov):
            seconds = _read_mvhd(_body(file, *mvhd))
        for trak in _boxes(file, b"trak", *moov):
            for tkhd in _boxes(file, b"tkhd", *trak):
                size = max(
                    size, _read_tkhd(_body(file, *tkhd)), key=lambda s: s[0] * s[1]
                )
        break
    return MediaInfo(*_sides(*size), _duration(seconds))


def _boxes(
    file: "Bounded", wanted: bytes, start: int, end: int
) -> Iterator[tuple[int, int]]:
    """Where the bodies of the boxes of one type start and end."""
    while start + 8 <= end:
        file.seek(start)
        size, kind = struct.unpack(">I4s", file.read(8))
        header = 8
        if size == 1:
            (size,) = struct.unpack(">Q", file.read(8))
            header = 16
        elif size == 0:  # up to the end of the file
            size = end - start
        if size < header:
            return
        if kind == wanted:
            yield start + header, min(start + size, end)
        start += size


def _body(file: "Bounded", start: int, end: int) -> bytes:
    file.seek(start)
    return file.read(min(end - start, SNIFF_BYTES))


def _read_mvhd(body: bytes) -> float | None:
    """Seconds; None when the header does not know, as in fragmented files."""
    form, unknown = (">20xIQ", 2**64 - 1) if body[0] == 1 else (">12xII", 2**32 - 1)
    timescale, duration = struct.unpack_from(form, body)
    return duration / timescale if duration != unknown else None


def _read_tkhd(body: bytes) -> tuple[int, int]:
    """Width and height as shown; (0, 0) for sound."""
    start = 52 if body[0] == 1 else 40
    a, b, _, c, d, *_, width, height = struct.unpack_from(">9iII", body, start)
    sides = (width >> 16, height >> 16)
    is_turned = (b or c) and not (a or d)  # by a quarter, as phones film upright
    return sides[::-1] if is_turned else sides


class Bounded:
    """The file for a parser that may be led in circles: it gives up at a bound."""

    def __init__(self, file: BinaryIO, max_bytes: int) -> None:
        self._file = file
        self._reads_left = MAX_READS
        self._bytes_left = max_bytes

    def read(self, size: int | None = -1) -> bytes:
        self._reads_left -= 1
        if self._reads_left < 0 or self._bytes_left <= 0:
            raise BadMedia("the file is built to be slow to read")
        if size is None or size < 0 or size > self._bytes_left:
            size = self._bytes_left
        content = self._file.read(size)
        self._bytes_left -= len(content)
        return content

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def size(self) -> int:
        """Of the whole file; the position stays."""
        here = self._file.tell()
        end = self._file.seek(0, os.SEEK_END)
        self._file.seek(here)
        return end
