"""What Luma's two APIs take, for the sandbox: every field that does not fit is told.

After the types of the official clients lumaai 1.21.0 and luma-agents 0.5.0, read
2026-11. Both refuse here with FastAPI's list of misfits, which only Dream Machine
documents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sandbox.media import NotAnImage, read_image

SHAPES = ("1:1", "16:9", "9:16", "4:3", "3:4", "21:9", "9:21")
RAYS, PHOTONS = ("ray-2", "ray-flash-2"), ("photon-1", "photon-flash-1")
MODES = tuple(
    f"{word}_{level}" for word in ("adhere", "flex", "reimagine") for level in (1, 2, 3)
)
SIZES = ("540p", "720p", "1080p", "4k")
MOST_REFERENCES = 4

AGENT_SHAPES = (
    *("3:1", "2:1", "21:9", "16:9", "4:3", "3:2"),
    *("1:1", "3:4", "2:3", "9:16", "1:2", "1:3"),
)
AGENT_VIDEO_SHAPES = ("9:16", "3:4", "1:1", "4:3", "16:9", "21:9")
VIDEO_TYPES = ("video", "video_edit", "video_reframe")
TYPES: Mapping[str, Sequence[str]] = {
    "uni-1": ("image", "image_edit", "layering"),
    "uni-1-max": ("image", "image_edit"),
    "ray-3.2": VIDEO_TYPES,
}
WAYS = ("url", "data", "generation_id", "file_id")
MOST_KEYFRAMES = 64
LAYER_PROMPT = 500

Misfit = dict[str, Any]
Known = Callable[[str, str], bool]
"""Whether the caller has such a finished generation, or a file that is ready."""


def misfit(kind: str, message: str, *loc: str | int, given: Any = None) -> Misfit:
    return {"type": kind, "loc": ["body", *loc], "msg": message, "input": given}


def wrong(message: str, *loc: str | int) -> Misfit:
    return misfit("value_error", f"Value error, {message}", *loc)


def choice(
    body: Mapping[str, Any], name: str, words: Sequence[str], *, needed: bool = False
) -> Iterator[Misfit]:
    """One of the words; null counts as absent."""
    value = body.get(name)
    if value is None:
        if needed:
            yield misfit("missing", "Field required", name, given=dict(body))
    elif value not in words:
        quoted = [repr(word) for word in words]
        told = " or ".join(filter(None, [", ".join(quoted[:-1]), quoted[-1]]))
        yield misfit("literal_error", f"Input should be {told}", name, given=value)


def typed(
    body: Mapping[str, Any], name: str, kind: type | tuple[type, ...]
) -> Iterator[Misfit]:
    value = body.get(name)
    if value is not None and not isinstance(value, kind):
        yield misfit("type_error", "Input should have another type", name, given=value)


def link(value: Any, *loc: str | int) -> Iterator[Misfit]:
    """Only public addresses are taken, never bytes."""
    if not isinstance(value, str) or not value.startswith(("https://", "http://")):
        yield wrong("the URL must be a public http(s) address", *loc)


# Dream Machine


def check_video(body: Mapping[str, Any], known: Known) -> Iterator[Misfit]:
    yield from choice(body, "model", RAYS, needed=True)
    yield from choice(body, "aspect_ratio", SHAPES)
    yield from choice(body, "duration", ("5s", "9s"))
    yield from choice(body, "resolution", SIZES)
    for name, kind in (("loop", bool), ("keyframes", dict), ("concepts", list)):
        yield from typed(body, name, kind)
    frames = body.get("keyframes")
    yield from check_frames(frames if isinstance(frames, dict) else {}, known)
    if not body.get("prompt") and not frames:
        yield wrong("a prompt or keyframes are needed", "prompt")


def check_frames(frames: Mapping[str, Any], known: Known) -> Iterator[Misfit]:
    for name, frame in frames.items():
        if name not in ("frame0", "frame1") or not isinstance(frame, dict):
            yield wrong("keyframes are frame0 and frame1", "keyframes", name)
        elif frame.get("type") == "image":
            yield from link(frame.get("url"), "keyframes", name, "url")
        elif frame.get("type") == "generation":
            if not known("generation_id", str(frame.get("id"))):
                yield wrong("there is no such generation", "keyframes", name, "id")
        else:
            yield misfit(
                "union_tag_invalid",
                "Input tag should be 'generation' or 'image'",
                *("keyframes", name),
                given=frame,
            )


def check_image(body: Mapping[str, Any], _known: Known) -> Iterator[Misfit]:
    yield from choice(body, "model", PHOTONS, needed=True)
    yield from choice(body, "aspect_ratio", SHAPES)
    yield from choice(body, "format", ("jpg", "png"))
    yield from typed(body, "sync", bool)
    references = ("image_ref", "style_ref", "character_ref", "modify_image_ref")
    if not body.get("prompt") and not any(body.get(name) for name in references):
        yield wrong("a prompt or a reference is needed", "prompt")
    for name in ("image_ref", "style_ref"):
        yield from typed(body, name, list)
        given = body.get(name)
        for index, item in enumerate(given if isinstance(given, list) else ()):
            yield from weighted(item, name, index)
            if index == MOST_REFERENCES:
                yield wrong("at most 4 images are taken", name)
    if body.get("modify_image_ref") is not None:
        yield from weighted(body["modify_image_ref"], "modify_image_ref")
    if body.get("character_ref") is not None:
        try:
            urls = body["character_ref"]["identity0"]["images"]
        except (KeyError, TypeError):
            urls = None
        if not isinstance(urls, list):
            yield wrong("it is identity0 with images", "character_ref")
            return
        if not 1 <= len(urls) <= MOST_REFERENCES:
            yield wrong("1 to 4 images are taken", "character_ref")
        for url in urls:
            yield from link(url, "character_ref", "identity0", "images")


def weighted(item: Any, *loc: str | int) -> Iterator[Misfit]:
    if not isinstance(item, dict):
        yield misfit("dict_type", "Input should be a dictionary", *loc, given=item)
        return
    yield from link(item.get("url"), *loc, "url")
    weight = item.get("weight", 0)
    if not isinstance(weight, int | float) or not 0 <= weight <= 1:
        yield wrong("a weight is between 0 and 1", *loc, "weight")


def media(body: Mapping[str, Any]) -> Iterator[Misfit]:
    for name in ("media", "first_frame"):
        given = body.get(name)
        if isinstance(given, dict):
            yield from link(given.get("url"), name, "url")
        elif given is not None or name == "media":
            yield misfit("missing", "Field required", name, given=given)


def check_modified(body: Mapping[str, Any], _known: Known) -> Iterator[Misfit]:
    yield from choice(body, "generation_type", ("modify_video",), needed=True)
    yield from choice(body, "model", RAYS, needed=True)
    yield from choice(body, "mode", MODES, needed=True)
    yield from media(body)


def check_reframed(body: Mapping[str, Any], _known: Known) -> Iterator[Misfit]:
    yield from choice(body, "generation_type", ("reframe_video",), needed=True)
    yield from choice(body, "model", RAYS, needed=True)
    yield from choice(body, "aspect_ratio", SHAPES, needed=True)
    yield from media(body)


def check_reframed_image(body: Mapping[str, Any], _known: Known) -> Iterator[Misfit]:
    yield from choice(body, "generation_type", ("reframe_image",), needed=True)
    yield from choice(body, "model", PHOTONS, needed=True)
    yield from choice(body, "aspect_ratio", SHAPES, needed=True)
    yield from choice(body, "format", ("jpg", "png"))
    yield from media(body)


def check_upscaled(body: Mapping[str, Any], _known: Known) -> Iterator[Misfit]:
    yield from choice(body, "generation_type", ("upscale_video",))
    yield from choice(body, "resolution", SIZES)


def check_audio(body: Mapping[str, Any], _known: Known) -> Iterator[Misfit]:
    yield from choice(body, "generation_type", ("add_audio",))
    for name in ("prompt", "negative_prompt"):
        yield from typed(body, name, str)


DREAM: Mapping[str, Callable[[Mapping[str, Any], Known], Iterator[Misfit]]] = {
    "/generations": check_video,
    "/generations/video": check_video,
    "/generations/image": check_image,
    "/generations/video/modify": check_modified,
    "/generations/video/reframe": check_reframed,
    "/generations/image/reframe": check_reframed_image,
    "/generations/{id}/upscale": check_upscaled,
    "/generations/{id}/audio": check_audio,
}


# Luma Agents


def check_agent(body: Mapping[str, Any], known: Known) -> Iterator[Misfit]:
    model, kind = body.get("model") or "uni-1", body.get("type") or "image"
    if not isinstance(body.get("prompt"), str) or not body["prompt"]:
        yield misfit("missing", "Field required", "prompt", given=dict(body))
    yield from choice(body, "model", tuple(TYPES))
    if kind not in TYPES.get(str(model), (kind,)):
        yield wrong(f"{model} does not make {kind}", "type")
    shapes = AGENT_VIDEO_SHAPES if kind in VIDEO_TYPES else AGENT_SHAPES
    yield from choice(body, "aspect_ratio", shapes)
    yield from choice(body, "output_format", ("png", "jpeg"))
    yield from choice(body, "style", ("auto", "manga"))
    for name, form in (
        *(("video", dict), ("layering", dict), ("image_ref", list)),
        *(("web_search", bool), ("user_id", str)),
    ):
        yield from typed(body, name, form)
    source = body.get("source")
    if source is not None:
        yield from reference(source, known, "source", video=kind in VIDEO_TYPES)
    elif kind not in ("image", "video"):
        yield misfit("missing", "Field required", "source")
    references = (
        body.get("image_ref") if isinstance(body.get("image_ref"), list) else ()
    )
    if len(references or ()) > (8 if kind == "image_edit" else 9):
        yield wrong("too many references", "image_ref")
    for item in references or ():
        yield from reference(item, known, "image_ref")
    if kind == "layering":
        if len(str(body.get("prompt"))) > LAYER_PROMPT:
            yield wrong("at most 500 characters", "prompt")
        layering = body.get("layering")
        yield from choice(
            layering if isinstance(layering, dict) else {}, "resolution", ("1k", "2k")
        )
    elif body.get("layering"):
        yield wrong("only for type=layering", "layering")
    if isinstance(body.get("video"), dict):
        yield from check_options(body["video"], kind, known)


def reference(
    item: Any, known: Known, *loc: str | int, video: bool = False
) -> Iterator[Misfit]:
    """Exactly one way to the media; its type with data, and with a film's address."""
    given = [way for way in WAYS if isinstance(item, dict) and item.get(way)]
    if len(given) != 1:
        yield wrong(f"exactly one of {', '.join(WAYS)} is needed", *loc)
        return
    (way,) = given
    kind = str(item.get("media_type") or "")
    if way == "url":
        yield from link(item["url"], *loc, "url")
        if video and not kind.startswith("video/"):
            yield wrong("media_type of a film is needed", *loc, "media_type")
    elif way == "data":
        if not kind.startswith("video/" if video else "image/"):
            yield wrong("media_type is needed with data", *loc, "media_type")
        elif not video:
            try:
                if read_image(str(item["data"])) is None:
                    yield wrong("data is base64, not a URL", *loc, "data")
            except NotAnImage as error:
                yield wrong(str(error), *loc, "data")
    elif not known(way, str(item[way])):
        yield wrong("there is nothing of that id", *loc, way)


def check_options(
    video: Mapping[str, Any], kind: str, known: Known
) -> Iterator[Misfit]:
    if kind not in VIDEO_TYPES:
        yield wrong("only for films", "video")
    yield from choice(video, "duration", ("5s", "10s"))
    yield from choice(video, "resolution", ("360p", "540p", "720p", "1080p"))
    for name in ("start_frame", "end_frame"):
        if video.get(name) is not None:
            yield from reference(video[name], known, "video", name)
    if video.get("loop") and (video.get("duration") == "10s" or video.get("hdr")):
        yield wrong("not with 10s or hdr", "video", "loop")
    if video.get("exr_export") and not video.get("hdr"):
        yield wrong("needs hdr", "video", "exr_export")
    if video.get("hdr") and (
        kind == "video_reframe" or video.get("resolution") == "360p"
    ):
        yield wrong("not here", "video", "hdr")
    if video.get("keyframes") or video.get("keyframe_indexes"):
        if any(video.get(name) for name in ("start_frame", "end_frame", "loop")):
            yield wrong("not with start_frame, end_frame, loop", "video", "keyframes")
        last = 240 if video.get("duration") == "10s" else 120
        yield from check_keyframes(video, last, known, "video")
    edit = video.get("edit")
    if edit is None:
        return
    if kind != "video_edit" or not isinstance(edit, dict):
        yield wrong("only for type=video_edit", "video", "edit")
        return
    yield from choice(edit, "strength", MODES)
    if edit.get("keyframes") or edit.get("keyframe_indexes"):
        if video.get("start_frame"):
            yield wrong("not with start_frame", "video", "edit", "keyframes")
        yield from check_keyframes(edit, 18 * 60, known, "video", "edit")


def check_keyframes(
    told: Mapping[str, Any], last: int, known: Known, *loc: str
) -> Iterator[Misfit]:
    """As many places as images, each once and within the film."""
    frames, places = told.get("keyframes"), told.get("keyframe_indexes")
    if not isinstance(frames, list) or not isinstance(places, list):
        yield wrong("keyframes and keyframe_indexes are lists", *loc, "keyframes")
        return
    if len(frames) != len(places) or not 1 <= len(frames) <= MOST_KEYFRAMES:
        yield wrong("keyframes and their places differ", *loc, "keyframe_indexes")
    fits = [isinstance(place, int) and 0 <= place <= last for place in places]
    if not all(fits) or len({str(place) for place in places}) != len(places):
        yield wrong(f"places are different, 0 to {last}", *loc, "keyframe_indexes")
    for frame in frames:
        yield from reference(frame, known, *loc, "keyframes")
