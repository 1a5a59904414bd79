"""Plans of songs for ElevenLabs' music: lyrics, cut into sections, with styles.

Limits of sections are those that the Python client 2.78.0 documents (types
`GenerationChunkInput` and `SongSection`), read November 2026.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from providers import errors
from providers.types import GenerationRequest

HEADER = re.compile(r"\[([^\[\]]{1,100})\]")
MOST_SECTIONS, MOST_LINES, LINE_LENGTH = 30, 30, 200
SECTION_MS = (3_000, 120_000)
LINE_MS = 4_000
"""How long a line is sung, where the client names no length of the song."""
OLD_PLAN = "music_v1"


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a song: its name, "" when it has none, and its lines."""

    name: str
    lines: tuple[str, ...]

    @property
    def usual_ms(self) -> int:
        return min(max(LINE_MS * len(self.lines), SECTION_MS[0]), SECTION_MS[1])


def lyrics_plan(request: GenerationRequest, model_id: str) -> dict[str, Any]:
    """The `composition_plan` of a song with these lyrics, in the model's own shape."""
    sections = read_sections(request.lyrics or "")
    lengths = section_lengths(sections, request.duration)
    positive = [
        *styles(request.text, whole=True),
        *styles(request.tags),
        *styles(request.style),
    ]
    negative = styles(request.negative_prompt)
    timed = list(zip(sections, lengths, strict=True))
    if model_id == OLD_PLAN:
        return {
            "positive_global_styles": positive,
            "negative_global_styles": negative,
            "sections": [
                {
                    "section_name": section.name or f"Section {number}",
                    "positive_local_styles": [],
                    "negative_local_styles": [],
                    "duration_ms": length_ms,
                    "lines": list(section.lines),
                }
                for number, (section, length_ms) in enumerate(timed, 1)
            ],
        }
    return {
        "chunks": [
            {
                "text": "\n".join(
                    ([f"[{section.name}]"] if section.name else []) + [*section.lines]
                ),
                "duration_ms": length_ms,
                "positive_styles": positive,
                "negative_styles": negative,
            }
            for section, length_ms in timed
        ]
    }


def styles(text: str | None, *, whole: bool = False) -> list[str]:
    """The words of a list with commas; a `whole` text is one style."""
    parts = [text or ""] if whole else (text or "").split(",")
    return [part.strip() for part in parts if part.strip()]


def read_sections(lyrics: str) -> list[Section]:
    """The parts of lyrics: each begins with a line like "[Chorus]".

    A part of more lines than a section may have becomes several.
    """
    found: list[tuple[str, list[str]]] = []
    for line in map(str.strip, lyrics.splitlines()):
        if not line:
            continue
        header = HEADER.fullmatch(line)
        if header:
            found.append((header[1].strip(), []))
            continue
        if len(line) > LINE_LENGTH:
            raise errors.Rejected(
                f"a line of the lyrics has {len(line)} characters; "
                f"ElevenLabs takes at most {LINE_LENGTH}"
            )
        if not found or len(found[-1][1]) == MOST_LINES:
            found.append((found[-1][0] if found else "", []))
        found[-1][1].append(line)
    if len(found) > MOST_SECTIONS:
        raise errors.Rejected(
            f"the lyrics have {len(found)} sections; ElevenLabs takes {MOST_SECTIONS}"
        )
    return [Section(name, tuple(lines)) for name, lines in found]


def section_lengths(sections: list[Section], duration_s: float | None) -> list[int]:
    """Milliseconds of each section: equal parts of the length that is asked for."""
    if duration_s is None:
        return [section.usual_ms for section in sections]
    total, count = round(1000 * duration_s), len(sections)
    each, rest = divmod(total, count)
    if each < SECTION_MS[0] or each + bool(rest) > SECTION_MS[1]:
        least, most = (count * limit // 1000 for limit in SECTION_MS)
        raise errors.Rejected(
            f"duration is {duration_s:g}; lyrics of {count} sections fill "
            f"{least} to {most} seconds"
        )
    return [each + (number < rest) for number in range(count)]
