"""A form is read alike however the network cuts it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.api.form_bodies import TEXTS_BYTES, Form, read_form
from app.api.request_fields import read_text
from app.api.spools import LONG_BYTES, FormFile
from app.errors import InvalidRequest, TooLarge
from tests.app.api.gateways import BOUNDARY, form
from tests.app.api.test_json_bodies import cut

OPTIONS = {"boundary": BOUNDARY}
NAMES = st.sampled_from(["a", "b", "c"])


def contents(read: Form) -> dict[str, list[Any]]:
    """Texts as texts, files as bytes."""
    return {
        name: [
            b"".join(value.spool.chunks())
            if isinstance(value, FormFile)
            else read_text(value, 10**6)
            for value in values
        ]
        for name, values in read.items()
    }


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(NAMES, st.text(st.characters(exclude_categories=["Cs"])))),
    st.lists(st.tuples(NAMES, st.binary(max_size=200))),
    st.lists(st.integers(1, 100), min_size=1, max_size=4),
)
def test_cutting_changes_nothing(
    texts: list[tuple[str, str]],
    files_sent: list[tuple[str, bytes]],
    sizes: list[int],
) -> None:
    fields: list[tuple[str, Any]] = list(texts)
    fields += [(name, (content, "f")) for name, content in files_sent]
    expected: dict[str, list[Any]] = {}
    for name, value in [*texts, *files_sent]:
        if isinstance(value, bytes) and f"--{BOUNDARY}".encode() in value:
            return
        expected.setdefault(name, []).append(value)

    with ExitStack() as files:
        read = read_form(cut(form(fields)[0], sizes), OPTIONS, files)
        assert contents(read) == expected


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400), st.lists(st.integers(1, 50), min_size=1))
def test_no_body_is_a_surprise(content: bytes, sizes: Sequence[int]) -> None:
    prefix = f"--{BOUNDARY}\r\nContent-Disposition: form-data".encode()

    with ExitStack() as files, suppress(InvalidRequest, TooLarge):
        read_form(cut(prefix + content, list(sizes)), OPTIONS, files)


def test_texts_in_memory_are_bounded_together() -> None:
    count = TEXTS_BYTES // LONG_BYTES + 1
    content, _ = form([("a", "x" * LONG_BYTES)] * count)

    with ExitStack() as files, pytest.raises(TooLarge):
        read_form(cut(content, [65_536]), OPTIONS, files)


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable"])
def test_a_transfer_encoding_is_refused_by_name(encoding: str) -> None:
    content = (
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; name=image\r\n"
        f"Content-Transfer-Encoding: {encoding}\r\n\r\naGk=\r\n--{BOUNDARY}--\r\n"
    ).encode()

    with ExitStack() as files, pytest.raises(InvalidRequest) as refused:
        read_form([content], OPTIONS, files)
    assert list(refused.value.errors or ()) == ["image"]
