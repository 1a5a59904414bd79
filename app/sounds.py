"""How long a sound lasts, read from the headers of its file.

The bytes may be hostile: every reader takes a few blocks of bounded length and looks at
each byte a bounded number of times. A file that is no such sound gives None, or one of
the errors of reading bytes that are not there (IndexError, struct.error, ...).
Formats: RFC 3533 and 7845 (Ogg, Opus), the Vorbis I specification, RFC 9639 (FLAC),
ISO 11172-3, 13818-3 and 13818-7 (MP3, ADTS), the RIFF/WAVE description of Microsoft.
"""

import struct
from dataclasses import dataclass
from typing import Protocol

HEAD_BYTES = 1024
# Where the first frame must be found, and how much is walked frame by frame
SYNC_BYTES = 64 * 1024
WALK_BYTES = 256 * 1024
# An Ogg page is at most 65,307 bytes long: the last one begins in here
TAIL_BYTES = 128 * 1024
MAX_TAGS = 8

# kbit/s by the index in an MP3 frame's header; 0 is "free", 15 is forbidden
MPEG1_RATES = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
MPEG2_RATES = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
MP3_SAMPLE_RATES = (44_100, 48_000, 32_000)
# By the version's two bits: 2.5, reserved, 2, 1
MP3_RATE_SHIFTS = (2, None, 1, 0)
AAC_SAMPLE_RATES = (
    *(96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000),
    *(22_050, 16_000, 12_000, 11_025, 8_000, 7_350),
)
OPUS_RATE = 48_000


class SoundFile(Protocol):
    """A file to read and seek in, whose size is known."""

    def read(self, size: int) -> bytes: ...

    def seek(self, offset: int) -> int: ...

    def size(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of MP3 or ADTS: its kind, length, and how long it sounds."""

    kind: tuple[int, int]
    size_bytes: int
    samples: int
    rate: int


# WAV


def wav_duration(file: SoundFile) -> float | None:
    """Seconds of PCM or of another format with a fixed number of bytes per second."""
    end = file.size()
    at = 12
    bytes_per_s = 0
    while at + 8 <= end:
        file.seek(at)
        kind, size = struct.unpack("<4sI", file.read(8))
        if kind == b"fmt ":
            (bytes_per_s,) = struct.unpack_from("<8xI", file.read(16))
        elif kind == b"data":
            # Speech that was streamed declares 2 ** 32 - 1 bytes (OpenAI does)
            return float(min(size, end - at - 8) / bytes_per_s)
        at += 8 + size + size % 2
    return None


# FLAC


def flac_duration(file: SoundFile) -> float | None:
    """Seconds by STREAMINFO, which is always the first block; None when it is unset."""
    file.seek(0)
    head = file.read(42)
    if head[:4] != b"fLaC" or head[4] & 0x7F != 0:
        return None
    packed = int.from_bytes(head[18:26], "big")
    rate, samples = packed >> 44, packed & (2**36 - 1)
    return samples / rate


# Ogg


def ogg_duration(file: SoundFile) -> float | None:
    """Seconds of Opus or Vorbis: the position of the stream's last page."""
    file.seek(0)
    head = file.read(HEAD_BYTES)
    if (at := head.find(b"OpusHead")) >= 0:
        (skipped,) = struct.unpack_from("<H", head, at + 10)
        rate = OPUS_RATE
    elif (at := head.find(b"\x01vorbis")) >= 0:
        (rate,) = struct.unpack_from("<I", head, at + 12)
        skipped = 0
    else:
        return None
    serial = head[14:18]
    file.seek(max(0, file.size() - TAIL_BYTES))
    tail = file.read(TAIL_BYTES)
    at = len(tail)
    while (at := tail.rfind(b"OggS", 0, at)) >= 0:
        if tail[at + 14 : at + 18] == serial:
            (position,) = struct.unpack_from("<q", tail, at + 6)
            if position >= 0:  # -1: no packet ends on this page
                return float((position - skipped) / rate)
    return None


# MP3 and ADTS


def frames_duration(file: SoundFile) -> float | None:
    """Seconds of MP3 or AAC in ADTS, by the frames that the file consists of.

    Taken from the count in an MP3's first frame where there is one, else counted; a
    long file goes on as its first part does.
    """
    start = _skip_tags(file)
    left = file.size() - start
    file.seek(start)
    block = file.read(WALK_BYTES)
    for at in range(min(len(block), SYNC_BYTES)):
        first = _read_frame(block, at)
        if first is None or not _goes_on(block, at, first, left):
            continue
        frame_count = _told_frames(block, at, first)
        if frame_count:
            return frame_count * first.samples / first.rate
        seconds, walked_bytes = _walk(block, at, first)
        if len(block) < left:
            seconds *= (left - at) / walked_bytes
        return seconds
    return None


def _skip_tags(file: SoundFile) -> int:
    """Where the ID3v2 tags end."""
    at = 0
    for _ in range(MAX_TAGS):
        file.seek(at)
        head = file.read(10)
        if len(head) < 10 or head[:3] != b"ID3":
            break
        size = 0
        for byte in head[6:10]:  # seven bits each
            size = size << 7 | byte & 0x7F
        at += 10 + size + (10 if head[5] & 0x10 else 0)
    return at


def _read_frame(block: bytes, at: int) -> Frame | None:
    """The frame whose header stands there, or None."""
    head = block[at : at + 7]
    if len(head) < 7 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    layer = head[1] >> 1 & 3
    if layer == 0 and head[1] & 0xF0 == 0xF0:
        return _read_adts(head)
    return _read_mp3(head) if layer == 1 else None


def _read_adts(head: bytes) -> Frame | None:
    index = head[2] >> 2 & 15
    size = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    if index >= len(AAC_SAMPLE_RATES) or size < 7:
        return None
    samples = 1024 * (1 + (head[6] & 3))
    return Frame((0, index), size, samples, AAC_SAMPLE_RATES[index])


def _read_mp3(head: bytes) -> Frame | None:
    version, bits, index = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    shift = MP3_RATE_SHIFTS[version]
    if shift is None or bits in (0, 15) or index == 3:
        return None
    rate = MP3_SAMPLE_RATES[index] >> shift
    samples = 576 if shift else 1152
    kbps = (MPEG2_RATES if shift else MPEG1_RATES)[bits]
    size = samples // 8 * kbps * 1000 // rate + (head[2] >> 1 & 1)
    return Frame((1 + version, index), size, samples, rate)


def _goes_on(block: bytes, at: int, frame: Frame, left: int) -> bool:
    """Whether another frame of the kind, or the end of the file, follows a frame."""
    after = at + frame.size_bytes
    following = _read_frame(block, after)
    if following is None:
        return after == left
    return following.kind == frame.kind


def _told_frames(block: bytes, at: int, frame: Frame) -> int:
    """How many frames the first one says there are: Xing, Info or VBRI; else 0."""
    content = block[at : at + frame.size_bytes]
    for word in (b"Xing", b"Info"):
        place = content.find(word, 0, 64)
        if place >= 0:
            flags, count = struct.unpack_from(">II", content, place + 4)
            return int(count) if flags & 1 else 0
    place = content.find(b"VBRI", 0, 64)
    if place >= 0:
        (count,) = struct.unpack_from(">I", content, place + 14)
        return int(count)
    return 0


def _walk(block: bytes, at: int, first: Frame) -> tuple[float, int]:
    """Seconds and bytes of the frames of one kind that follow each other."""
    start = at
    samples = 0
    frame: Frame | None = first
    while frame is not None and frame.kind == first.kind:
        samples += frame.samples
        at += frame.size_bytes
        frame = _read_frame(block, at)
    return samples / first.rate, at - start
