"""A body is read alike however the network cuts it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.api.json_bodies import (
    Misread,
    Repeating,
    read_json,
    read_json_object,
    unescape_ascii,
)
from app.api.request_fields import read_text
from app.api.spools import LONG_BYTES, LongText
from app.errors import InvalidRequest, TooLarge

# Without lone surrogates, which no body in UTF-8 can hold
TEXTS = st.characters(exclude_categories=["Cs"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(TEXTS),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(TEXTS, max_size=10), inner, max_size=3)
    ),
    max_leaves=10,
)


def cut(content: bytes, sizes: list[int]) -> Iterator[bytes]:
    """The content in pieces of these sizes, over and over."""
    at = turn = 0
    while at < len(content):
        size = sizes[turn % len(sizes)]
        yield content[at : at + size]
        at, turn = at + size, turn + 1


def plain(value: Any) -> Any:
    """The value with its long texts as texts."""
    if isinstance(value, LongText):
        return read_text(value, 10**6)
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    return value


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.text(TEXTS, max_size=10), JSON, max_size=4),
    st.lists(st.text(TEXTS, min_size=1, max_size=8), max_size=2),
    st.lists(st.integers(1, 5000), min_size=1, max_size=4),
    st.booleans(),
)
def test_cutting_and_spooling_change_nothing(
    small: dict[str, Any], seeds: list[str], sizes: list[int], ascii_only: bool
) -> None:
    long = [seed * (LONG_BYTES // len(seed) + 7) for seed in seeds]
    value = {**small, "long": long, "last": 1}
    content = json.dumps(value, ensure_ascii=ascii_only)

    with ExitStack() as files:
        read = read_json_object(cut(content.encode(), sizes), files)
        assert all(isinstance(text, LongText) for text in read["long"])
        assert plain(read) == value


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300), st.lists(st.integers(1, 50), min_size=1))
def test_no_body_is_a_surprise(content: bytes, sizes: list[int]) -> None:
    with ExitStack() as files, suppress(InvalidRequest):
        assert isinstance(read_json_object(cut(content, sizes), files), dict)


@settings(max_examples=100, deadline=None)
@given(
    st.text(st.characters(max_codepoint=127), max_size=200),
    st.lists(st.integers(1, 20), min_size=1),
    st.booleans(),
)
def test_ascii_is_unescaped_across_cuts(
    text: str, sizes: list[int], with_codes: bool
) -> None:
    inner = json.dumps(text)[1:-1].replace("/", "\\/")
    if with_codes:
        inner = "".join(f"\\u{ord(c):04X}" for c in text)

    assert b"".join(unescape_ascii(cut(inner.encode(), sizes))) == text.encode()


@pytest.mark.parametrize("inner", ["\\", "\\u12", "\\x", "a\nb", "\\ud800", "\\u{1}"])
def test_a_broken_escape_is_refused(inner: str) -> None:
    with pytest.raises(ValueError):
        list(unescape_ascii([inner.encode()]))


@pytest.mark.parametrize(
    "text", ["NaN", "-Infinity", "1e400", "9" * 21, "1." + "0" * 200]
)
def test_what_nobody_can_mean_is_misread(text: str) -> None:
    assert isinstance(read_json(text.encode()), Misread)


def test_names_given_twice_are_told() -> None:
    value = read_json(b'{"a": 1, "b": 2, "a": 3, "b": 4, "c": 5}')

    assert isinstance(value, Repeating)
    assert value.names == ("a", "b")


def test_what_stays_in_memory_is_bounded() -> None:
    content = b'{"metadata": [' + b"1," * 1_200_000 + b"1]}"

    with ExitStack() as files, pytest.raises(TooLarge):
        read_json_object(cut(content, [65_536]), files)


def test_sixteen_images_that_are_not_quite_long_are_taken() -> None:
    images = ["a" * (LONG_BYTES - 10)] * 16

    with ExitStack() as files:
        content = json.dumps({"images": images, "prompt": "a" * 40_000})
        assert read_json_object([content.encode()], files)["images"] == images


@pytest.mark.parametrize(
    "content",
    [
        b'{"a": "' + b"\\\\" * 4_000_000 + b'"}',
        b'{"a": "' + b'\\"' * 4_000_000 + b'"}',
        b"{" + b",".join(b'"%d": 1' % n for n in range(80_000)) + b"}",
        b"{" + b",".join([b'"a": 1'] * 100_000) + b"}",
        b'{"a": [' + b'"",' * 300_000 + b'""]}',
    ],
    ids=["backslashes", "quotes", "names", "one name", "empty texts"],
)
def test_hostile_bodies_cost_little_time(content: bytes) -> None:
    started = time.process_time()

    with ExitStack() as files, suppress(InvalidRequest):
        read_json_object(cut(content, [65_536]), files)

    assert time.process_time() - started < 2
