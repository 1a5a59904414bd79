"""fal's other endpoints: what one makes and takes, by the words of its path.

The catalogue is open: about 1,400 endpoints in August 2026, new ones every week. Held
against the published output types of all that make media, 96 of 100 are guessed right.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from providers.dialects.fal_catalogue import ENDPOINTS, Endpoint
from providers.dialects.fal_spellings import (
    IMAGE_FORMATS,
    Seconds,
    Shape,
    Spelling,
    Voice,
)
from providers.types import MediaType, Model

ENDPOINT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)+")
NAMESPACES = frozenset({"workflows", "comfy"})
"""Owners before the owner: their paths have one part more."""

SOLID = re.compile(r"3d|\b(rodin|tripo|trellis|meshy|triposr)\b")
TARGET = re.compile(r"to-(image|video|audio|speech|music|sound|dialogue|vector)\b")
MADE: Mapping[str, MediaType] = {
    "image": MediaType.IMAGE,
    "vector": MediaType.IMAGE,
    "video": MediaType.VIDEO,
    "audio": MediaType.AUDIO,
    "speech": MediaType.AUDIO,
    "music": MediaType.AUDIO,
    "sound": MediaType.AUDIO,
    "dialogue": MediaType.AUDIO,
}
AUDIO_WORDS = re.compile(
    r"\b(audio|audios|tts|speech|voice|music|song|sfx\S*|sound|lyria\d*|kokoro"
    r"|ace-step|zonos\d*|diffrhythm|deepfilternet\d*|loudnorm)\b"
    r"|tts\b|speech|[a-z]voice\b"
)
VIDEO_WORDS = re.compile(
    r"\b(video|videos|movie|animate|animation|lipsync|avatar\d*|motion|film|sync"
    r"|[a-z]+2v|subtitles?|caption|talk|veo[\d.]*|sora|kling|hailuo|seedance|pixverse"
    r"|vidu|ltx\S*|ray|mochi|hunyuan|cogvideox|cosmos|magi|framepack|omnihuman|wan"
    r"|skyreels|dream-machine|pika\S*|heygen|marey|mmaudio|interpolation)\b|talk"
)
IMAGE_WORDS = re.compile(r"\b(image|images|imagen\d*|photo|portrait|flux|upscale)\b")
SPOKEN = re.compile(r"tts|speech|kokoro|voice|dialogue")
PROMPTED_SPEECH = re.compile(
    r"kokoro|gemini|qwen-3-tts|tada|index-tts|zonos$|speech-2\.[6-9]"
)
MANY_IMAGES = re.compile(r"\bedit\b|multi|reference-to|references")
ELEVEN = re.compile(r"/elevenlabs/")
SUFFIXED_SECONDS = re.compile(r"\bveo|/ray\b|dream-machine|\bray-")
TEXT_SECONDS = re.compile(r"kling|hailuo|seedance|pixverse|wan-25|wan/v2\.6|vidu")


def find_endpoint(name: str) -> Endpoint | None:
    """The endpoint of that id, guessed when it is not in the table.

    None when the name is no endpoint id, or makes neither image, video nor audio.
    """
    if known := ENDPOINTS.get(name.strip("/")):
        return known
    path = name.strip("/")
    parts = path.split("/")
    if not ENDPOINT_ID.fullmatch(path) or len(parts) < fixed_parts(parts):
        return None
    if SOLID.search(path):
        return None
    media_type = guess_media_type(path)
    times = {
        MediaType.IMAGE: (15.0, 1800.0),
        MediaType.VIDEO: (120.0, 3600.0),
        MediaType.AUDIO: (20.0, 1800.0),
    }
    typical_s, longest_s = times[media_type]
    model = Model(
        name=path, media_type=media_type, typical_s=typical_s, longest_s=longest_s
    )
    return Endpoint(model, guess_spelling(path, media_type))


def fixed_parts(parts: list[str]) -> int:
    """How many leading parts of the path name the app; the rest is its subpath."""
    return 3 if parts[0] in NAMESPACES else 2


def guess_media_type(path: str) -> MediaType:
    """What an endpoint makes, by the words of its path; an image when none tells."""
    words = path.partition("/")[2].lower().replace("_", "-")
    if targets := TARGET.findall(words):
        return MADE[targets[-1]]
    last = words.rpartition("/")[2]
    for text in (last, words):
        if AUDIO_WORDS.search(text):
            return MediaType.AUDIO
        if IMAGE_WORDS.search(text):
            return MediaType.IMAGE
        if VIDEO_WORDS.search(text):
            return MediaType.VIDEO
    return MediaType.IMAGE


def guess_spelling(path: str, media_type: MediaType) -> Spelling:
    """The commonest spelling of that kind; only what the client says is sent."""
    same = frozenset(
        {
            "negative_prompt",
            "audio_url",
            "video_url",
            "resolution",
            "seed",
            "quality",
            "style",
        }
    )
    if media_type is MediaType.AUDIO:
        speaks = SPOKEN.search(path) is not None
        minimax = "minimax" in path
        effects = ELEVEN.search(path) is not None and "sound" in path
        named_text = effects or (speaks and not PROMPTED_SPEECH.search(path))
        return Spelling(
            text="text" if named_text else "prompt",
            speaks=speaks,
            duration="duration",
            lyrics="lyrics",
            voice=Voice.SETTING if minimax else Voice.FLAT,
            formats={},
            frames=("image_url",),
            same=same,
            fixed={"output_format": "url"} if minimax and speaks else {},
        )
    many = MANY_IMAGES.search(path) is not None
    general = Spelling(
        shape=Shape.EITHER,
        count="num_images" if media_type is MediaType.IMAGE else None,
        count_one=False,
        frames=() if many else ("image_url",),
        references="image_urls" if many else None,
        duration="duration",
        formats=IMAGE_FORMATS,
        same=same,
    )
    if media_type is MediaType.IMAGE:
        return general
    if SUFFIXED_SECONDS.search(path):
        general = replace(general, seconds=Seconds.SUFFIXED)
    elif TEXT_SECONDS.search(path):
        general = replace(general, seconds=Seconds.TEXT)
    if many:
        return general
    return replace(general, frames=guess_frames(path))


def guess_frames(path: str) -> tuple[str, ...]:
    """The fields of a video's first and last frame."""
    if "first-last-frame" in path:
        return "first_frame_url", "last_frame_url"
    if re.search(r"kling-video/(v1|v2\.[0-5]|v2/)", path):
        return "image_url", "tail_image_url"
    if re.search(r"kling-video/(v[3-9]|v2\.)", path):
        return "start_image_url", "end_image_url"
    return "image_url", "end_image_url"
