"""Whether a model can do what is asked for: pure, by the limits in its `Model`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from providers.geometry import RATIO, read_ratio, read_size
from providers.types import Model

Inputs = Mapping[str, Any]
Problems = dict[str, list[str]]
Found = Iterable[tuple[str, str]]

DEFAULT_ACTION = "generate"
# Songs: what clients who name no action mean by the model.
ACTIONS = {"suno_music": "MUSIC", "suno_lyrics": "LYRICS"}

SAME_FORMATS = {"jpeg": "jpg"}
SHOWN_CHOICES = 40
SHOWN_CHARS = 80


def find_problems(
    inputs: Inputs, model: Model, names: Mapping[str, str] | None = None
) -> Problems:
    """What keeps `model` from serving these unified fields, by field; empty: nothing.

    `inputs` are the fields of `GenerationRequest` that were given. `names` has the
    client's own spelling where it used another, so that the refusal names that.
    """
    problems: Problems = {}
    for check in CHECKS:
        for field, text in check(inputs, model):
            told = (names or {}).get(field, field)
            if told not in problems:
                problems[told] = [text]
    return problems


def action_for(wanted: str | None, model: Model) -> str | None:
    """The model's own spelling of an action; None when the model lacks it."""
    if wanted is not None:
        return next((a for a in model.actions if a.lower() == wanted.lower()), None)
    for action in (ACTIONS.get(model.name), DEFAULT_ACTION):
        if action in model.actions:
            return str(action)
    return str(model.actions[0]) if model.actions else DEFAULT_ACTION


def _check_action(inputs: Inputs, model: Model) -> Found:
    wanted = inputs.get("action")
    if wanted is not None and action_for(wanted, model) is None:
        yield "action", _choice(wanted, model, [str(a) for a in model.actions])


def _check_needs(inputs: Inputs, model: Model) -> Found:
    for field in sorted(model.needs):
        if not _is_given(inputs, field):
            yield field, f"is required by {model.name}"


def _check_refuses(inputs: Inputs, model: Model) -> Found:
    for field in sorted(model.refuses):
        if _is_given(inputs, field) and (field != "n" or inputs["n"] != 1):
            yield field, f"cannot be used with {model.name}"


def _check_texts(inputs: Inputs, model: Model) -> Found:
    for field in ("prompt", "input"):
        text = inputs.get(field) or ""
        if model.max_prompt is not None and len(text) > model.max_prompt:
            told = f"has {len(text):,} characters"
            yield field, f"{told}; {model.name} takes at most {model.max_prompt:,}"


def _check_counts(inputs: Inputs, model: Model) -> Found:
    images = len(inputs.get("images") or ())
    if model.max_images is not None and images > model.max_images:
        allowed = f"at most {model.max_images}" if model.max_images else "none"
        yield "images", f"{images} images are given; {model.name} takes {allowed}"
    n = inputs.get("n") or 1
    if model.max_n is not None and n > model.max_n:
        yield "n", f"is {n}; {model.name} makes at most {model.max_n}"


def _check_size(inputs: Inputs, model: Model) -> Found:
    size, width, height = (inputs.get(name) for name in ("size", "width", "height"))
    sides = (width, height) if width and height else None
    if size is not None:
        named = read_size(size)
        if sides and named and sides != named:
            yield "size", f"is {size!r} but width and height are {width}x{height}"
            return
        if named is None and model.sizes and not _is_in(size, model.sizes):
            yield "size", _choice(size, model, model.sizes)
        yield from _check_sides("size", named, model)
    else:
        yield from _check_sides("width", sides, model)


def _check_sides(field: str, sides: tuple[int, int] | None, model: Model) -> Found:
    if sides is None:
        return
    width, height = sides
    told, name = f"is {width}x{height}", model.name
    if model.sizes and sides not in [read_size(size) for size in model.sizes]:
        yield field, _choice(f"{width}x{height}", model, model.sizes)
    if not width or not height:
        yield field, f"{told}: a side must not be 0"
        return
    if model.side_range and not all(_within(side, model.side_range) for side in sides):
        yield field, f"{told}; sides of {name} are {_range(model.side_range)} pixels"
    if model.side_multiple and any(side % model.side_multiple for side in sides):
        yield field, f"{told}; sides of {name} are multiples of {model.side_multiple}"
    if model.pixel_range and not _within(width * height, model.pixel_range):
        told = f"{told}, {width * height:,} pixels"
        yield field, f"{told}; {name} makes {_range(model.pixel_range)}"
    if model.ratio_range and not _within(width / height, model.ratio_range):
        allowed = _range(model.ratio_range)
        yield field, f"{told}; width by height of {name} is {allowed}"


def _check_ratio(inputs: Inputs, model: Model) -> Found:
    ratio = inputs.get("aspect_ratio")
    if ratio is None:
        return
    if model.aspect_ratios:
        spelled = ratio.replace("/", ":").replace(" ", "")
        if not _is_in(spelled, model.aspect_ratios):
            yield "aspect_ratio", _choice(ratio, model, model.aspect_ratios)
        return
    wanted = read_ratio(ratio)
    if wanted is None and RATIO.fullmatch(ratio.strip()):
        yield "aspect_ratio", f"is {ratio!r}: a side must not be 0"
    if wanted and model.ratio_range and not _within(wanted, model.ratio_range):
        told = f"width by height of {model.name} is {_range(model.ratio_range)}"
        yield "aspect_ratio", f"is {ratio!r}; {told}"


def _check_words(inputs: Inputs, model: Model) -> Found:
    for field, allowed in (
        ("resolution", model.resolutions),
        ("quality", model.qualities),
    ):
        word = inputs.get(field)
        if word is not None and allowed and not _is_in(word, allowed):
            yield field, _choice(word, model, allowed)
    wanted = inputs.get("output_format")
    formats = model.output_formats
    if wanted is not None and formats:
        known = [_format(name) for name in formats]
        if _format(wanted) not in known:
            yield "output_format", _choice(wanted, model, formats)


def _check_numbers(inputs: Inputs, model: Model) -> Found:
    duration = inputs.get("duration")
    if duration is not None:
        if model.durations and duration not in model.durations:
            allowed = [f"{seconds:g}" for seconds in model.durations]
            yield "duration", _choice(f"{duration:g}", model, allowed, "seconds")
        if model.duration_range and not _within(duration, model.duration_range):
            told = f"{model.name} makes {_range(model.duration_range)} seconds"
            yield "duration", f"is {duration:g}; {told}"
    speed = inputs.get("speed")
    if (
        speed is not None
        and model.speed_range
        and not _within(speed, model.speed_range)
    ):
        yield "speed", f"is {speed:g}; {model.name} takes {_range(model.speed_range)}"


CHECKS: tuple[Callable[[Inputs, Model], Found], ...] = (
    _check_action,
    _check_needs,
    _check_refuses,
    _check_texts,
    _check_counts,
    _check_size,
    _check_ratio,
    _check_words,
    _check_numbers,
)


def _is_given(inputs: Inputs, field: str) -> bool:
    if field == "prompt":  # the general input stands in for it
        return bool(inputs.get("prompt") or inputs.get("input"))
    value = inputs.get(field)
    return value is not None and value != ()


def _is_in(word: str, allowed: Sequence[str]) -> bool:
    return word.strip().lower() in [each.lower() for each in allowed]


def _format(name: str) -> str:
    lowered = name.strip().lower().removeprefix(".")
    return SAME_FORMATS.get(lowered, lowered)


def _within(value: float, limits: tuple[float, float]) -> bool:
    return limits[0] <= value <= limits[1]


def _range(limits: tuple[float, float]) -> str:
    low, high = (
        f"{limit:,}" if isinstance(limit, int) else f"{limit:g}" for limit in limits
    )
    return f"{low} to {high}"


def _choice(value: str, model: Model, allowed: Sequence[str], unit: str = "") -> str:
    shown = ", ".join(allowed[:SHOWN_CHOICES])
    more = ", ..." if len(allowed) > SHOWN_CHOICES else ""
    spaced = f" {unit}" if unit else ""
    return f"is {value[:SHOWN_CHARS]!r}; {model.name} takes {shown}{more}{spaced}"
