"""ElevenLabs' models: what each makes, at which endpoint, within which limits.

Sources: elevenlabs.io/docs ("Models", API reference) and the request types of the
Python client `elevenlabs` 2.78.0, read November 2026 (docs/providers/elevenlabs.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from providers.types import MediaType, Model


class Api(StrEnum):
    """The endpoints; those of "flows" make jobs, all others answer with the sound."""

    SPEECH = "text-to-speech"
    SOUND = "sound-generation"
    MUSIC = "music"
    FLOW_SPEECH = "flows/text-to-speech"
    FLOW_IMAGE = "flows/image"
    FLOW_VIDEO = "flows/video"


FLOW_KINDS: Mapping[Api, str] = {
    Api.FLOW_SPEECH: "text-to-speech",
    Api.FLOW_IMAGE: "image",
    Api.FLOW_VIDEO: "video",
}
"""Where a job is looked at: `/v1/flows/<kind>/<id>`."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A model and the endpoint that serves it."""

    model: Model
    api: Api

    @property
    def upstream_name(self) -> str:
        """The `model_id`: ours without the mark of a flow."""
        return self.model.name.removeprefix(FLOW_MARK)


FLOW_MARK = "flows/"
"""Begins our names of speech models as jobs: they are synchronous ones, too."""

MEDIA = frozenset({"images", "audio_url", "video_url"})
SHAPE = frozenset({"size", "width", "height", "aspect_ratio", "resolution"})
WORDS_OF_SONGS = frozenset({"style", "tags", "lyrics"})
WORDS_OF_SPEECH = frozenset({"voice", "speed"})
NO_SPEECH_WORD = (
    MEDIA | SHAPE | WORDS_OF_SONGS | {"negative_prompt", "duration", "quality"}
)

# What the client calls a format, and the one of ElevenLabs that is meant.
FORMATS: Mapping[str, str] = {
    "mp3": "mp3_44100_128",
    "wav": "wav_44100",
    "pcm": "pcm_24000",
    "opus": "opus_48000_128",
    "ulaw": "ulaw_8000",
    "alaw": "alaw_8000",
}
DEFAULT_FORMAT = "mp3_44100_128"
AUTOMATIC = "auto"
"""Music's own choice, by the model."""

MP3 = (
    "mp3_22050_32",
    "mp3_24000_48",
    "mp3_44100_32",
    "mp3_44100_64",
    "mp3_44100_96",
    "mp3_44100_128",
    "mp3_44100_192",
)
RATES = (8000, 16000, 22050, 24000, 32000, 44100, 48000)
OPUS = tuple(f"opus_48000_{kbit}" for kbit in (32, 64, 96, 128, 192))
PCM = tuple(f"pcm_{rate}" for rate in RATES)
WAV = tuple(f"wav_{rate}" for rate in RATES)
LAWS = ("ulaw_8000", "alaw_8000")
SPEECH_FORMATS = (*FORMATS, *MP3, *PCM, *WAV, *OPUS, *LAWS)
# the client's types have no WAV for music
MUSIC_FORMATS = (
    AUTOMATIC,
    *(word for word in FORMATS if word != "wav"),
    *MP3,
    *(f"mp3_48000_{kbit}" for kbit in (128, 192, 240, 320)),
    *PCM,
    *OPUS,
    *LAWS,
)

SPEECH_LENGTHS: Mapping[str, int] = {
    "eleven_multilingual_v2": 10_000,
    # 3,000 on an older page, 5,000 on a newer one: the upstream may refuse the rest
    "eleven_v3": 5_000,
    "eleven_v4": 10_000,
    "eleven_v4_turbo": 10_000,
    "eleven_flash_v2_5": 40_000,
    "eleven_turbo_v2_5": 40_000,
    "eleven_flash_v2": 30_000,
    "eleven_turbo_v2": 30_000,
    "eleven_multilingual_v1": 10_000,
    "eleven_monolingual_v1": 10_000,
}
"""Speech models with the most characters of one request."""
DIALOGUE_MODELS = frozenset({"eleven_v3"})
"""Models that may be given `inputs` in the metadata instead of a text."""
FLOW_SPEECHES = ("eleven_flash_v2_5", "eleven_multilingual_v2", "eleven_v3")
WITHOUT_SPEED = frozenset({"eleven_v3"})
"""Speech models that have no speed as flows."""
SOUNDS = ("eleven_text_to_sound_v2", "eleven_text_to_sound_v3")
SONGS = ("music_v1", "music_v2", "music_v2_5")

USUAL_RATIOS = "1:1 2:3 3:2 3:4 4:3 4:5 5:4 9:16 16:9 21:9"
SEEDREAM_RATIOS = "auto 1:1 3:4 4:3 9:16 16:9"
GPT_RATIOS = "1:1 3:2 2:3"
WIDE_GPT_RATIOS = f"auto {USUAL_RATIOS} 1:2 2:1 1:3 3:1"
VEO_RATIOS = "16:9 9:16"
SEEDANCE_RATIOS = "auto 21:9 16:9 4:3 1:1 3:4 9:16"


def speech(name: str, longest: int | None) -> Offer:
    """A speech model that answers at once."""
    needs = frozenset[str]() if name in DIALOGUE_MODELS else frozenset({"prompt"})
    return Offer(
        Model(
            name=name,
            media_type=MediaType.AUDIO,
            sync=True,
            needs=needs,
            refuses=NO_SPEECH_WORD,
            max_prompt=longest,
            max_n=1,
            output_formats=SPEECH_FORMATS,
            typical_s=6.0,
            longest_s=300.0,
        ),
        Api.SPEECH,
    )


def flow_speech(name: str) -> Offer:
    """The same as a job, which makes MP3 only."""
    slow = {"speed"} if name in WITHOUT_SPEED else set()
    return Offer(
        Model(
            name=f"{FLOW_MARK}{name}",
            media_type=MediaType.AUDIO,
            needs=frozenset({"prompt"}),
            refuses=NO_SPEECH_WORD | slow | {"seed"},
            max_prompt=SPEECH_LENGTHS[name],
            max_n=1,
            output_formats=("mp3", *MP3),
            typical_s=12.0,
            longest_s=900.0,
        ),
        Api.FLOW_SPEECH,
    )


def sound(name: str) -> Offer:
    """A model of sound effects."""
    return Offer(
        Model(
            name=name,
            media_type=MediaType.AUDIO,
            sync=True,
            needs=frozenset({"prompt"}),
            refuses=MEDIA
            | SHAPE
            | WORDS_OF_SONGS
            | WORDS_OF_SPEECH
            | {"negative_prompt", "quality", "seed"},
            max_n=1,
            duration_range=(0.5, 30),
            output_formats=SPEECH_FORMATS,
            typical_s=8.0,
            longest_s=300.0,
        ),
        Api.SOUND,
    )


def song(name: str) -> Offer:
    """A model of music."""
    return Offer(
        Model(
            name=name,
            media_type=MediaType.AUDIO,
            sync=True,
            refuses=MEDIA | SHAPE | WORDS_OF_SPEECH | {"quality"},
            max_n=1,
            duration_range=(3, 600),
            output_formats=MUSIC_FORMATS,
            typical_s=45.0,
            longest_s=600.0,
        ),
        Api.MUSIC,
    )


def image(
    name: str,
    ratios: str,
    resolutions: str = "",
    *,
    qualities: str = "",
    most_images: int = 10,
    seed: bool = False,
) -> Offer:
    """An image model: one image per job."""
    return Offer(
        flow_model(
            name,
            MediaType.IMAGE,
            refuses={"audio_url", "video_url", "duration", "negative_prompt"}
            | (set() if seed else {"seed"})
            | (set() if qualities else {"quality"})
            | {"output_format"},
            ratios=ratios,
            resolutions=resolutions,
            qualities=qualities,
            most_images=most_images,
            typical_s=30.0,
            longest_s=1800.0,
        ),
        Api.FLOW_IMAGE,
    )


def video(
    name: str,
    ratios: str,
    resolutions: str,
    *,
    most_images: int,
    refuses: Iterable[str],
    needs: Iterable[str] = ("prompt",),
) -> Offer:
    """A video model."""
    return Offer(
        flow_model(
            name,
            MediaType.VIDEO,
            refuses={"quality", "output_format", *refuses},
            needs=needs,
            ratios=ratios,
            resolutions=resolutions,
            most_images=most_images,
            typical_s=120.0,
            longest_s=3600.0,
        ),
        Api.FLOW_VIDEO,
    )


def flow_model(
    name: str,
    media_type: MediaType,
    *,
    refuses: Iterable[str],
    ratios: str,
    resolutions: str,
    most_images: int,
    typical_s: float,
    longest_s: float,
    qualities: str = "",
    needs: Iterable[str] = ("prompt",),
) -> Model:
    """The limits of an image or a video model."""
    shapeless = set() if ratios else {"aspect_ratio"}
    one_size = set() if resolutions else {"resolution"}
    return Model(
        name=name,
        media_type=media_type,
        needs=frozenset(needs),
        refuses=frozenset(
            {*refuses, *shapeless, *one_size, *WORDS_OF_SONGS, *WORDS_OF_SPEECH}
        ),
        max_images=most_images,
        max_n=1,
        aspect_ratios=tuple(ratios.split()),
        resolutions=tuple(resolutions.split()),
        qualities=tuple(qualities.split()),
        typical_s=typical_s,
        longest_s=longest_s,
        resold=True,  # images and videos are all of other makers
    )


GEMINI_RATIOS = f"auto {USUAL_RATIOS}"
IMAGES = (
    image("gpt-image-1", GPT_RATIOS, qualities="low medium high", most_images=5),
    image("gpt-image-1.5", GPT_RATIOS, qualities="low medium high", most_images=5),
    image("gpt-image-2", WIDE_GPT_RATIOS, "1K 2K 4K", qualities="low medium high"),
    *(
        image(
            f"gpt-image-2.5-{name}",
            WIDE_GPT_RATIOS,
            "1K 2K 4K",
            qualities="low medium high xhigh max",
        )
        for name in ("flare", "sunburst")
    ),
    image("gemini-2.5-flash-image", GEMINI_RATIOS, most_images=5),
    image("gemini-3-pro-image", GEMINI_RATIOS, "1K 2K 4K"),
    image(
        "gemini-3.1-flash-image",
        f"{GEMINI_RATIOS} 1:4 4:1 1:8 8:1",
        "512 1K 2K 4K",
        most_images=14,
    ),
    image("gemini-3.1-flash-lite-image", GEMINI_RATIOS, "1K", most_images=14),
    image("bytedance-seedream-5-lite", SEEDREAM_RATIOS, "2K 3K", seed=True),
    image("bytedance-seedream-5-pro", SEEDREAM_RATIOS, "1K 2K", seed=True),
)

VEO_REFERENCES = 3
VEO_REFERENCE_SECONDS = 8
VIDEOS = (
    *(
        video(
            name,
            VEO_RATIOS,
            "720p 1080p 4K",
            most_images=VEO_REFERENCES,
            refuses=("audio_url", "video_url"),
        )
        for name in ("veo-3.1-generate-001", "veo-3.1-fast-generate-001")
    ),
    *(
        video(
            f"bytedance-seedance-{name}",
            SEEDANCE_RATIOS,
            resolutions,
            most_images=most_images,
            refuses=("negative_prompt", *refuses),
        )
        for name, resolutions, most_images, refuses in (
            ("v2", "480p 720p 1080p 4k", 9, ()),
            ("v2-fast", "480p 720p", 9, ()),
            ("v2-mini", "480p 720p", 9, ()),
            ("v2.5", "480p 720p 1080p", 30, ("seed",)),
        )
    ),
    # a picture that speaks: it takes no text, and has the length of its sound
    video(
        "creatify-aurora",
        "",
        "480p 720p",
        most_images=1,
        needs=("images", "audio_url"),
        refuses=("negative_prompt", "video_url", "seed", "duration"),
    ),
)
SPEAKING_PICTURES = frozenset({"creatify-aurora"})
VEO = "veo-"

OFFERS: Mapping[str, Offer] = {
    offer.model.name: offer
    for offer in (
        *(speech(name, longest) for name, longest in SPEECH_LENGTHS.items()),
        *(flow_speech(name) for name in FLOW_SPEECHES),
        *(sound(name) for name in SOUNDS),
        *(song(name) for name in SONGS),
        *IMAGES,
        *VIDEOS,
    )
}
MODELS = tuple(offer.model for offer in OFFERS.values())


def find_offer(name: str) -> Offer | None:
    """A listed model, or what the beginning of a newer one's name promises."""
    if offer := OFFERS.get(name):
        return offer
    if name.startswith("eleven_text_to_sound_"):
        return sound(name)
    if name.startswith("music_v"):
        return song(name)
    if name.startswith("eleven_"):
        return speech(name, None)
    return None


def describe(name: str) -> Model | None:
    """The limits of a model; None when ElevenLabs offers nothing of that name."""
    offer = find_offer(name)
    return offer.model if offer else None
