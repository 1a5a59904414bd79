"""Whether a model can do what is asked for."""

from __future__ import annotations

from typing import Any

import pytest

from app.capabilities import action_for, find_problems
from providers.types import MediaType, Model


def a_model(**limits: Any) -> Model:
    return Model(name="m", media_type=MediaType.IMAGE, **limits)


# limits, inputs that fit, inputs that do not and the field that is named
CASES: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any], str]] = [
    ({"needs": {"seed"}}, {"seed": 0}, {}, "seed"),
    ({"needs": {"images"}}, {"images": (None,)}, {"images": ()}, "images"),
    ({"needs": {"prompt"}}, {"input": "a"}, {}, "prompt"),
    ({"refuses": {"seed"}}, {}, {"seed": 0}, "seed"),
    ({"refuses": {"images"}}, {"images": ()}, {"images": (None,)}, "images"),
    ({"refuses": {"n"}}, {"n": 1}, {"n": 2}, "n"),
    ({"max_prompt": 3}, {"prompt": "abc"}, {"prompt": "abcd"}, "prompt"),
    ({"max_prompt": 3}, {"input": "橋橋橋"}, {"input": "abcd"}, "input"),
    ({"max_images": 1}, {"images": (None,)}, {"images": (None,) * 2}, "images"),
    ({"max_images": 0}, {"images": ()}, {"images": (None,)}, "images"),
    ({"max_n": 2}, {"n": 2}, {"n": 3}, "n"),
    ({"sizes": ("8x9",)}, {"size": "8*9"}, {"size": "9x8"}, "size"),
    (
        {"sizes": ("8x9",)},
        {"width": 8, "height": 9},
        {"width": 9, "height": 9},
        "width",
    ),
    ({"sizes": ("8x9", "auto")}, {"size": "AUTO"}, {"size": "big"}, "size"),
    ({}, {"size": "big"}, {"size": "8x0"}, "size"),
    ({"side_range": (8, 16)}, {"size": "8x16"}, {"size": "8x17"}, "size"),
    ({"side_range": (8, 16)}, {"size": "2K"}, {"size": "7x8"}, "size"),
    ({"side_multiple": 8}, {"size": "8x16"}, {"size": "8x12"}, "size"),
    ({"pixel_range": (64, 128)}, {"size": "8x16"}, {"size": "8x17"}, "size"),
    ({"ratio_range": (0.5, 2.0)}, {"size": "8x16"}, {"size": "8x17"}, "size"),
    (
        {"ratio_range": (0.5, 2.0)},
        {"aspect_ratio": "2:1"},
        {"aspect_ratio": "3:1"},
        "aspect_ratio",
    ),
    (
        {"aspect_ratios": ("16:9",)},
        {"aspect_ratio": "16/9"},
        {"aspect_ratio": "9:16"},
        "aspect_ratio",
    ),
    (
        {"aspect_ratios": ("adaptive",)},
        {"aspect_ratio": "Adaptive"},
        {"aspect_ratio": "1:1"},
        "aspect_ratio",
    ),
    ({}, {"aspect_ratio": "odd"}, {"aspect_ratio": "1:0"}, "aspect_ratio"),
    (
        {"resolutions": ("720P",)},
        {"resolution": "720p"},
        {"resolution": "1080P"},
        "resolution",
    ),
    ({"durations": (5.0, 10.0)}, {"duration": 5}, {"duration": 6}, "duration"),
    ({"duration_range": (1.0, 9.5)}, {"duration": 9.5}, {"duration": 10}, "duration"),
    ({"speed_range": (0.5, 2.0)}, {"speed": 2}, {"speed": 2.1}, "speed"),
    ({"qualities": ("hd",)}, {"quality": "HD"}, {"quality": "low"}, "quality"),
    (
        {"output_formats": ("jpeg",)},
        {"output_format": "JPG"},
        {"output_format": "png"},
        "output_format",
    ),
    (
        {"actions": ("generate", "MUSIC")},
        {"action": "music"},
        {"action": "LYRICS"},
        "action",
    ),
]


@pytest.mark.parametrize(("limits", "fits", "fails", "field"), CASES)
def test_each_limit_is_checked(
    limits: dict[str, Any], fits: dict[str, Any], fails: dict[str, Any], field: str
) -> None:
    for name in ("needs", "refuses"):
        limits = {**limits, name: frozenset(limits.get(name, ()))}
    model = a_model(**limits)

    assert find_problems(fits, model) == {}
    problems = find_problems(fails, model)
    assert list(problems) == [field]
    assert len(problems[field]) == 1


def test_an_open_model_takes_everything() -> None:
    everything = {
        "prompt": "a" * 40_000,
        "images": (None,) * 16,
        "n": 16,
        "size": "9999x1",
        "aspect_ratio": "99:1",
        "resolution": "8K",
        "duration": 9999.0,
        "speed": 99.0,
        "quality": "best",
        "output_format": "bmp",
        "seed": -1,
    }

    assert find_problems(everything, a_model()) == {}


def test_the_clients_own_spelling_is_named() -> None:
    problems = find_problems(
        {"duration": 9}, a_model(durations=(5.0,)), {"duration": "seconds"}
    )

    assert list(problems) == ["seconds"]


def test_a_refusal_has_the_value_and_what_is_allowed() -> None:
    problems = find_problems(
        {"resolution": "8K"}, a_model(resolutions=("720P", "1080P"))
    )

    assert problems == {"resolution": ["is '8K'; m takes 720P, 1080P"]}


def test_a_long_choice_is_cut() -> None:
    many = tuple(f"{n}x{n}" for n in range(1, 200))

    [text] = find_problems({"size": "x" * 999}, a_model(sizes=many))["size"]

    assert len(text) < 500


@pytest.mark.parametrize(
    ("wanted", "actions", "action"),
    [
        (None, ("generate",), "generate"),
        (None, ("edit",), "edit"),
        (None, (), "generate"),
        ("EDIT", ("generate", "edit"), "edit"),
        ("draw", ("generate",), None),
    ],
)
def test_an_action_is_in_the_models_spelling(
    wanted: str | None, actions: tuple[str, ...], action: str | None
) -> None:
    assert action_for(wanted, a_model(actions=actions)) == action
