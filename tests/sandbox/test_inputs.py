import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.streams import StreamReader
from aiohttp.test_utils import make_mocked_request

from sandbox.inputs import (
    BadInput,
    Form,
    basic,
    bearer,
    get_choice,
    get_flag,
    get_list,
    get_number,
    get_object,
    get_text,
    get_whole,
    read_form,
    read_json,
)


def a_request(
    body: bytes = b"", headers: Mapping[str, str] | None = None
) -> web.Request:
    """A request with that body, to be made and read in one event loop."""
    loop = asyncio.get_running_loop()
    payload = StreamReader(BaseProtocol(loop), 2**16, loop=loop)
    payload.feed_data(body)
    payload.feed_eof()
    return make_mocked_request("POST", "/", headers=headers or {}, payload=payload)


def json_of(body: bytes) -> dict[str, Any]:
    async def read() -> dict[str, Any]:
        return await read_json(a_request(body))

    return asyncio.run(read())


def form_of(body: bytes, content_type: str) -> Form:
    async def read() -> Form:
        return await read_form(a_request(body, {"Content-Type": content_type}))

    return asyncio.run(read())


def authorized(value: str) -> web.Request:
    return make_mocked_request("GET", "/", headers={"Authorization": value})


PARTS = (
    b'--cut\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n'
    b"a lighthouse\r\n"
    b'--cut\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n'
    b"Content-Type: image/png\r\n\r\n"
    b"\x89PNG\r\n"
    b"--cut--\r\n"
)


def test_json_object_is_read() -> None:
    assert json_of('{"prompt": "灯塔"}'.encode()) == {"prompt": "灯塔"}


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"text"', b"\xff\xfe", b"[" * 100_000, b'{"n":' + b"9" * 5000],
)
def test_body_that_is_no_json_object_is_bad_input(body: bytes) -> None:
    with pytest.raises(BadInput, match="the body"):
        json_of(body)


def test_multipart_form_gives_texts_and_files() -> None:
    form = form_of(PARTS, "multipart/form-data; boundary=cut")
    assert form.fields == {"prompt": "a lighthouse"}
    assert [(f.name, f.filename, f.content_type, f.data) for f in form.files] == [
        ("image", "a.png", "image/png", b"\x89PNG")
    ]


def test_urlencoded_form_gives_texts() -> None:
    form = form_of(b"prompt=a+b&n=2", "application/x-www-form-urlencoded")
    assert form.fields == {"prompt": "a b", "n": "2"}


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"garbage", "multipart/form-data; boundary=cut"),
        (PARTS, "multipart/form-data"),
        (PARTS.replace(b'name="prompt"', b"x"), "multipart/form-data; boundary=cut"),
        (PARTS.replace(b"a light", b"\xff\xfe"), "multipart/form-data; boundary=cut"),
    ],
)
@pytest.mark.filterwarnings("ignore::aiohttp.BadContentDispositionHeader")
def test_broken_form_is_bad_input(body: bytes, content_type: str) -> None:
    with pytest.raises(BadInput):
        form_of(body, content_type)


def test_bearer_secret_is_read() -> None:
    assert bearer(authorized("Bearer sk-1")) == "sk-1"
    assert bearer(authorized("bearer sk-1")) == "sk-1"
    assert bearer(authorized("Key a:b"), "Key") == "a:b"


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer ", "sk-1", "Basic sk-1"])
def test_malformed_bearer_header_holds_no_secret(value: str) -> None:
    assert bearer(authorized(value)) is None


def test_basic_name_and_password_are_read() -> None:
    assert basic(authorized("Basic YTpiOmM=")) == ("a", "b:c")
    assert basic(authorized("Basic YQ==")) is None
    assert basic(authorized("Basic %%%")) is None


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (lambda body: get_text(body, "x"), 7),
        (lambda body: get_text(body, "x"), ""),
        (lambda body: get_text(body, "x"), None),
        (lambda body: get_text(body, "x", longest=2), "abc"),
        (lambda body: get_number(body, "x"), "1"),
        (lambda body: get_number(body, "x"), True),
        (lambda body: get_number(body, "x"), float("nan")),
        (lambda body: get_number(body, "x", strict=False), "one"),
        (lambda body: get_number(body, "x", most=5), 6),
        (lambda body: get_number(body, "x"), 10**400),
        (lambda body: get_whole(body, "x"), 1.5),
        (lambda body: get_whole(body, "x"), 10**400),
        (lambda body: get_whole(body, "x", least=1), 0),
        (lambda body: get_flag(body, "x"), "yes"),
        (lambda body: get_flag(body, "x"), 1),
        (lambda body: get_choice(body, "x", ("a", "b")), "c"),
        (lambda body: get_object(body, "x"), []),
        (lambda body: get_list(body, "x"), {}),
    ],
)
def test_wrong_value_is_bad_input_that_names_the_field(read: Any, value: Any) -> None:
    with pytest.raises(BadInput, match=r"^x ") as caught:
        read({"x": value})
    assert caught.value.field == "x"


def test_right_values_are_read() -> None:
    assert get_text({"x": "a"}, "x") == "a"
    assert get_text({"x": None}, "x", default="b") == "b"
    assert get_number({"x": 1.5}, "x") == 1.5
    assert get_number({"x": "1.5"}, "x", strict=False) == 1.5
    assert get_whole({"x": 2.0}, "x") == 2
    assert get_whole({}, "x", default=3) == 3
    assert get_flag({"x": "True"}, "x") is True
    assert get_flag({}, "x", default=True) is True
    assert get_choice({"x": "a"}, "x", ("a", "b")) == "a"
    assert get_object({"x": {"y": 1}}, "x") == {"y": 1}
    assert get_list({}, "x") == []
