"""Sizes and ratios: what the client wrote, and the nearest that an upstream offers."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from providers.types import GenerationRequest

SIZE = re.compile(r"(\d{1,5})\s*[x*×X]\s*(\d{1,5})")
RATIO = re.compile(r"(\d{1,4})\s*[:/]\s*(\d{1,4})")


def read_size(text: str) -> tuple[int, int] | None:
    """Width and height of "1024x768" (also with "*"), or None for any other word."""
    match = SIZE.fullmatch(text.strip())
    return (int(match[1]), int(match[2])) if match else None


def read_ratio(text: str) -> float | None:
    """Width over height of "16:9", or None for any other word."""
    match = RATIO.fullmatch(text.strip())
    if not match or not int(match[1]) or not int(match[2]):
        return None
    return int(match[1]) / int(match[2])


def wanted_size(request: GenerationRequest) -> tuple[int, int] | None:
    """The width and height that a request asks for in pixels, if it does."""
    if request.width and request.height:
        return request.width, request.height
    return read_size(request.size) if request.size else None


def wanted_ratio(request: GenerationRequest) -> float | None:
    """Width over height that a request asks for, by its ratio or else its size."""
    if request.aspect_ratio and (ratio := read_ratio(request.aspect_ratio)):
        return ratio
    size = wanted_size(request)
    return size[0] / size[1] if size and size[1] else None


def nearest_ratio(wanted: float, offered: Sequence[str]) -> str:
    """The offered "W:H" whose shape is nearest to `wanted` (width over height)."""
    return min(
        (ratio for ratio in offered if read_ratio(ratio)),
        key=lambda ratio: abs(math.log((read_ratio(ratio) or 1) / wanted)),
    )


def nearest_size(wanted: float, offered: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The offered (width, height) whose shape is nearest to `wanted`."""
    return min(offered, key=lambda size: abs(math.log(size[0] / size[1] / wanted)))
