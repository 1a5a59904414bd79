"""Requests of ElevenLabs: bodies and queries, from the unified fields.

Source: the API reference of elevenlabs.io/docs and the request types of the Python
client 2.78.0, read November 2026 (docs/providers/elevenlabs.md).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from providers import errors, geometry, payload
from providers.dialects import elevenlabs_models as catalogue
from providers.dialects.elevenlabs_models import Offer
from providers.dialects.elevenlabs_songs import lyrics_plan
from providers.types import GenerationRequest, MediaType

OURS = ("model_id", "webhook")
"""What no client may change: what is billed, and who is told of the end."""
QUERY = ("output_format", "enable_logging", "optimize_streaming_latency")
"""Of the metadata, what belongs into the query of a synchronous call."""
VOICE_SETTINGS = (
    "stability",
    "similarity_boost",
    "style",
    "use_speaker_boost",
    "speed",
)
SLOWEST, FASTEST = 0.7, 1.2

SIDES: Mapping[MediaType, Mapping[str, int]] = {
    MediaType.IMAGE: {"512": 512, "1k": 1024, "2k": 2048, "3k": 3072, "4k": 4096},
    MediaType.VIDEO: {"480p": 480, "720p": 720, "1080p": 1080, "4k": 2160},
}
"""Pixels behind the word for a resolution: of a square's side, of the short side."""

Body = dict[str, Any]
Query = dict[str, str]


def output_format(request: GenerationRequest, usual: str) -> str:
    """ElevenLabs' own name of the format that is asked for."""
    wanted = (request.output_format or usual).strip().lower()
    return catalogue.FORMATS.get(wanted, wanted)


def query_of(request: GenerationRequest, usual: str) -> Query:
    """The query of a synchronous call: above all the format, always named."""
    query: Query = {"output_format": output_format(request, usual)}
    for name in QUERY:
        value = request.metadata.get(name)
        if value is not None:
            query[name] = str(value).lower() if isinstance(value, bool) else str(value)
    return query


def merged(request: GenerationRequest, body: Body, *left_out: str) -> Body:
    """The body with the client's own fields of the endpoint."""
    return payload.merged(body, request.metadata, keep=(*OURS, *left_out))


def said(request: GenerationRequest) -> str:
    """What is to be said, which no speech goes without."""
    if not request.speech.strip():
        raise errors.Rejected(f"{request.model} needs a text to say")
    return request.speech


def with_voice_settings(request: GenerationRequest, body: Body) -> Body:
    """The body with speed and the like in `voice_settings`, where they belong.

    Speeds that ElevenLabs does not have become the nearest it has.
    """
    settings: dict[str, Any] = {}
    if request.speed is not None:
        settings["speed"] = min(max(request.speed, SLOWEST), FASTEST)
    for name in VOICE_SETTINGS:
        if name in request.metadata:
            settings[name] = request.metadata[name]
    if settings:
        body = {**body, "voice_settings": settings}
    return body


def write_speech(request: GenerationRequest, offer: Offer) -> Body:
    """`text-to-speech`: the voice is in the path, the format in the query."""
    body = payload.given(
        text=said(request), model_id=offer.upstream_name, seed=request.seed
    )
    body = with_voice_settings(request, body)
    return merged(request, body, *QUERY, *VOICE_SETTINGS)


def write_dialogue(request: GenerationRequest, offer: Offer) -> Body:
    """`text-to-dialogue`: the metadata's `inputs` are texts, each with its voice."""
    body = payload.given(model_id=offer.upstream_name, seed=request.seed)
    return merged(request, body, *QUERY)


def write_flow_speech(request: GenerationRequest, offer: Offer, voice: str) -> Body:
    """`flows/text-to-speech`: voice and format are in the body."""
    body = {
        "model_id": offer.upstream_name,
        "text": said(request),
        "voice": voice,
        "output_format": output_format(request, catalogue.DEFAULT_FORMAT),
    }
    return merged(request, with_voice_settings(request, body), *VOICE_SETTINGS)


def write_sound(request: GenerationRequest, offer: Offer) -> Body:
    """`sound-generation`: without a duration it is as long as suits the text."""
    body = payload.given(
        text=request.text,
        model_id=offer.upstream_name,
        duration_seconds=request.duration,
    )
    return merged(request, body, *QUERY)


def write_music(request: GenerationRequest, offer: Offer) -> Body:
    """`music`: a prompt, or a plan of the song where lyrics are given.

    A seed and what to avoid can be said in a plan only.
    """
    body: Body = {"model_id": offer.upstream_name}
    if request.metadata.get("composition_plan") is not None:
        body |= payload.given(seed=request.seed)
        return merged(request, body, *QUERY, "prompt", "music_length_ms")
    if request.lyrics and request.lyrics.strip():
        body["composition_plan"] = lyrics_plan(request, offer.upstream_name)
        body |= payload.given(seed=request.seed)
        return merged(request, body, *QUERY, "prompt", "music_length_ms")
    for field in ("seed", "negative_prompt"):
        if getattr(request, field) is not None:
            raise errors.Rejected(
                f"{field} needs lyrics or a composition_plan in the metadata: "
                "ElevenLabs takes it in a plan of the song only"
            )
    words = (request.text, request.tags, request.style)
    prompt = ", ".join(word.strip() for word in words if word and word.strip())
    if not prompt:
        raise errors.Rejected(f"{request.model} needs a prompt, or lyrics")
    body["prompt"] = prompt
    if request.duration is not None:
        body["music_length_ms"] = round(1000 * request.duration)
    return merged(request, body, *QUERY)


def write_image(
    request: GenerationRequest, offer: Offer, images: Sequence[Mapping[str, str]]
) -> Body:
    """`flows/image`: one image, new or after others."""
    model = offer.model
    body = payload.given(
        model_id=offer.upstream_name,
        prompt=request.text,
        images=list(images) or None,
        aspect_ratio=pick_ratio(request, model.aspect_ratios),
        resolution=pick_resolution(request, model.resolutions),
        quality=(request.quality or "").strip().lower() or None,
        seed=request.seed,
    )
    return merged(request, body)


def write_video(
    request: GenerationRequest,
    offer: Offer,
    images: Sequence[Mapping[str, str]],
    videos: Sequence[Mapping[str, str]],
    audios: Sequence[Mapping[str, str]],
) -> Body:
    """`flows/video`: from a text, from frames, or after references.

    One image is the first frame, two are the first and the last. More of them, or
    images beside a film or a sound, are references, for both exclude each other.
    """
    model = offer.model
    if model.name in catalogue.SPEAKING_PICTURES:
        body = payload.given(
            model_id=offer.upstream_name,
            image=images[0] if images else None,
            audio=audios[0] if audios else None,
            resolution=pick_resolution(request, model.resolutions),
        )
        return merged(request, body)
    body = payload.given(
        model_id=offer.upstream_name,
        prompt=request.text,
        negative_prompt=request.negative_prompt,
        duration_secs=whole_seconds(request.duration),
        aspect_ratio=pick_ratio(request, model.aspect_ratios),
        resolution=pick_resolution(request, model.resolutions),
        seed=request.seed,
        videos=list(videos) or None,
        audios=list(audios) or None,
    )
    if len(images) > 2 or (images and (videos or audios)):
        body["images"] = list(images)
        if model.name.startswith(catalogue.VEO):
            body["images"] = [{"image": each, "role": "subject"} for each in images]
            seconds = body.setdefault("duration_secs", catalogue.VEO_REFERENCE_SECONDS)
            if seconds != catalogue.VEO_REFERENCE_SECONDS:
                raise errors.Rejected(
                    f"duration is {seconds}; {model.name} makes "
                    f"{catalogue.VEO_REFERENCE_SECONDS} seconds of reference images"
                )
    else:
        frames = zip(("start_frame", "end_frame"), images, strict=False)
        body |= dict(frames)
    return merged(request, body)


def whole_seconds(duration: float | None) -> int | None:
    """A number of seconds without a fraction, as the flows take them."""
    if duration is None:
        return None
    if duration != int(duration):
        raise errors.Rejected(f"duration is {duration:g}; whole seconds are possible")
    return int(duration)


def pick_ratio(request: GenerationRequest, offered: Sequence[str]) -> str | None:
    """The offered ratio that is asked for, or is nearest to it; None without a wish."""
    asked = request.aspect_ratio or request.size
    ratio = geometry.wanted_ratio(request)
    if not offered or (asked is None and ratio is None):
        return None
    spelled = (asked or "").replace("/", ":").replace(" ", "").lower()
    if spelled in offered:
        return spelled
    ratio = ratio or geometry.read_ratio(spelled)
    if ratio is None:
        if pick_word(spelled, SIDES[request.media_type]):
            return None  # the size is one of the words for a resolution
        raise errors.Rejected(
            f"{spelled!r} is no shape; {request.model} takes {', '.join(offered)}"
        )
    return geometry.nearest_ratio(ratio, offered)


def pick_resolution(request: GenerationRequest, offered: Sequence[str]) -> str | None:
    """The offered word that is asked for, or is nearest to the size in pixels."""
    if not offered:
        return None
    if request.resolution:
        wanted = request.resolution.strip()
        return pick_word(wanted, offered) or wanted
    if request.size and (word := pick_word(request.size.strip(), offered)):
        return word
    size = geometry.wanted_size(request)
    if size is None or not all(size):
        return None
    side = math.sqrt(size[0] * size[1])
    if request.media_type is MediaType.VIDEO:
        side = min(size)
    sides = SIDES[request.media_type]
    return min(offered, key=lambda word: abs(math.log(sides[word.lower()] / side)))


def pick_word(wanted: str, offered: Sequence[str] | Mapping[str, int]) -> str | None:
    """The offered spelling of a word; ElevenLabs writes 4K and 4k, by the model."""
    return next((word for word in offered if word.lower() == wanted.lower()), None)
