"""What a song request means, for every upstream that sells Suno's models.

Two ways to ask for a song: by a free description, or "custom", by the words to sing, a
style and a title. Both wire formats (`providers/suno.py`, `providers/sunoapi.py`)
have the two, under different names, and clients' `metadata` may use either spelling.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from providers import errors
from providers.types import GenerationRequest

MUSIC_MODEL = "suno_music"
LYRICS_MODEL = "suno_lyrics"


class Action(StrEnum):
    """What a job makes."""

    MUSIC = "MUSIC"
    LYRICS = "LYRICS"


# Unified fields that neither wire format has a place for: a job makes two songs in
# MP3, of a length that the words decide.
NOT_FOR_SONGS = frozenset(
    {
        "images",
        "audio_url",
        "video_url",
        "size",
        "aspect_ratio",
        "resolution",
        "width",
        "height",
        "duration",
        "seed",
        "quality",
        "speed",
    }
)
NOT_FOR_LYRICS = NOT_FOR_SONGS | {
    "negative_prompt",
    "style",
    "voice",
    "title",
    "tags",
    "lyrics",
    "output_format",
}
# Metadata that `read_song` reads; the rest goes upstream as it is.
READ_HERE = frozenset(
    {
        "mv",
        "make_instrumental",
        "instrumental",
        "tags",
        "style",
        "title",
        "prompt",
        "gpt_description_prompt",
        "continue_clip_id",
        "continue_at",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Song:
    """One wanted song; `text` is what is sung when `custom`, else a description.

    `version` is Suno's own name of a model version ("chirp-v4") or None. `clip_id` and
    `continue_at` (seconds) say where an earlier song is continued. `rest` is the
    client's metadata that has no meaning here.
    """

    custom: bool
    text: str
    style: str | None
    title: str | None
    instrumental: bool
    version: str | None
    clip_id: str | None
    continue_at: float | None
    rest: Mapping[str, Any]


def action_of(request: GenerationRequest) -> Action:
    """The action that was asked for; by default what the model makes."""
    if request.action == "generate":
        return Action.LYRICS if request.model == LYRICS_MODEL else Action.MUSIC
    try:
        return Action(request.action.upper())
    except ValueError as error:
        raise errors.Rejected(
            f"action {request.action!r} is unknown; allowed are {', '.join(Action)}"
        ) from error


def read_song(request: GenerationRequest) -> Song:
    """The song that a request asks for.

    It is custom as soon as words, a style, a title or a song to continue are given: the
    prompt is then what is sung, or, beside words and no style, the style.
    """
    extra = request.metadata
    style = listed(extra.get("tags")) or listed(extra.get("style"))
    style = style or ", ".join(text for text in (request.tags, request.style) if text)
    title = extra.get("title") or request.title
    words = extra.get("prompt") or request.lyrics
    clip_id = extra.get("continue_clip_id")
    description = extra.get("gpt_description_prompt")
    custom = not description and any((words, style, title, clip_id))
    if custom and words and not style and not clip_id and words != request.text:
        style = request.text
    return Song(
        custom=custom,
        text=(words or request.text) if custom else (description or request.text),
        style=style or None,
        title=title or None,
        instrumental=read_instrumental(extra),
        version=extra.get("mv"),
        clip_id=clip_id,
        continue_at=extra.get("continue_at"),
        rest={name: extra[name] for name in extra if name not in READ_HERE},
    )


def read_instrumental(extra: Mapping[str, Any]) -> bool:
    """Whether nobody shall sing, in either spelling of it."""
    for name in ("make_instrumental", "instrumental"):
        if name in extra:
            if not isinstance(extra[name], bool):
                raise errors.Rejected(f"metadata.{name} is true or false")
            return bool(extra[name])
    return False


def listed(tags: Any) -> str:
    """Style words as one text: both wire formats refuse a JSON array."""
    if isinstance(tags, list | tuple):
        return ", ".join(str(tag) for tag in tags)
    return str(tags) if tags else ""
