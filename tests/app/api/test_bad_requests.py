"""What is wrong is refused with an exact status, code and field; nothing is stored."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.app.api.gateways import Gateway, a_png, base64_of, form

GOOD = {"model": "lumen-free", "prompt": "a pier"}
URL = "https://cdn.example.com/a.png"


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": value}
    return value


# fields beside a good request; None as field takes one away
FIELDS: list[tuple[str, dict[str, Any], str]] = [
    ("no model", {"model": None}, "model"),
    ("empty model", {"model": ""}, "model"),
    ("blank model", {"model": "  "}, "model"),
    ("model of many characters", {"model": "m" * 201}, "model"),
    ("model is a number", {"model": 3}, "model"),
    ("no prompt", {"prompt": None}, "prompt"),
    ("empty prompt", {"prompt": ""}, "prompt"),
    ("prompt of white space", {"prompt": " \n "}, "prompt"),
    ("prompt is a number", {"prompt": 7}, "prompt"),
    ("prompt is a list", {"prompt": ["a"]}, "prompt"),
    ("prompt too long", {"prompt": "a" * 40_001}, "prompt"),
    ("prompt too long for memory", {"prompt": "a" * 70_000}, "prompt"),
    ("prompt far too long", {"prompt": "a" * 600_000}, "prompt"),
    ("control character", {"prompt": "a\x07b"}, "prompt"),
    ("NUL", {"prompt": "a\x00b"}, "prompt"),
    ("lone surrogate", {"prompt": "a\ud800b"}, "prompt"),
    ("line break in a line", {"voice": "a\nb"}, "voice"),
    ("unknown field", {"promt": "a"}, "promt"),
    ("field of another case", {"Prompt": "a"}, "Prompt"),
    ("provider's own field", {"guidance_scale": 3}, "guidance_scale"),
    ("n is 0", {"n": 0}, "n"),
    ("n is negative", {"n": -1}, "n"),
    ("n is 17", {"n": 17}, "n"),
    ("n is text", {"n": "2"}, "n"),
    ("n is a fraction", {"n": 1.5}, "n"),
    ("n is true", {"n": True}, "n"),
    ("n is huge", {"n": 10**18}, "n"),
    ("seed beyond 64 bits", {"seed": 2**63}, "seed"),
    ("seed is a float", {"seed": 1.0}, "seed"),
    ("width alone", {"width": 512}, "height"),
    ("height alone", {"height": 512}, "width"),
    ("width is 0", {"width": 0, "height": 512}, "width"),
    ("size and sides differ", {"size": "8x8", "width": 9, "height": 8}, "size"),
    ("duration is 0", {"duration": 0}, "duration"),
    ("duration is negative", {"duration": -1}, "duration"),
    ("duration is text", {"duration": "5"}, "duration"),
    ("seconds is a word", {"seconds": "five"}, "seconds"),
    ("seconds is empty", {"seconds": ""}, "seconds"),
    ("speed is a list", {"speed": [1]}, "speed"),
    ("response_format", {"response_format": "base64"}, "response_format"),
    ("empty output_format", {"output_format": ""}, "output_format"),
    ("aliases differ", {"aspect_ratio": "1:1", "ratio": "16:9"}, "ratio"),
    ("image aliases differ", {"image": URL, "image_url": URL + "?"}, "image_url"),
    ("durations differ", {"duration": 5, "seconds": "6"}, "seconds"),
    ("image lists differ", {"images": [URL], "image_urls": [URL, URL]}, "images"),
    ("image is a number", {"image": 5}, "image"),
    ("image is empty", {"image": ""}, "image"),
    ("image is no base64", {"image": "not an image!"}, "image"),
    ("image is base64 of text", {"image": base64_of(b"hello" * 9)}, "image"),
    ("image is cut base64", {"image": base64_of(a_png())[:30]}, "image"),
    ("padding in the middle", {"image": "aGVs=bG8="}, "image"),
    ("image of another scheme", {"image": "ftp://a.example/a.png"}, "image"),
    ("image is a local file", {"image": "file:///etc/passwd"}, "image"),
    ("image URL with a user", {"image_url": "https://a:b@c.example/"}, "image_url"),
    ("octal address", {"image_url": "http://0177.0.0.1/"}, "image_url"),
    ("data URL without base64", {"image": "data:image/png,abc"}, "image"),
    ("data URL of text", {"image": "data:text/plain;base64,aGVsbG8="}, "image"),
    ("images is a text", {"images": URL}, "images"),
    ("images is empty", {"images": []}, "images"),
    ("17 images", {"images": [URL] * 17}, "images"),
    ("17 images in two fields", {"images": [URL] * 16, "image": URL}, "images"),
    ("images has a number", {"images": [URL, 3]}, "images"),
    ("images has a bad URL", {"images": [URL, "http:///a"]}, "images"),
    ("audio_url of another scheme", {"audio_url": "gopher://a.example"}, "audio_url"),
    ("audio_url is a word", {"audio_url": "song"}, "audio_url"),
    ("video_url of another scheme", {"video_url": "file:///a"}, "video_url"),
    ("callback_url is a word", {"callback_url": "hook"}, "callback_url"),
    ("callback to this machine", {"callback_url": "http://127.0.0.1/"}, "callback_url"),
    ("callback to a private net", {"callback_url": "http://10.1.2.3/"}, "callback_url"),
    (
        "callback to metadata",
        {"callback_url": "http://169.254.169.254/"},
        "callback_url",
    ),
    ("callback to ::1", {"callback_url": "http://[::1]:80/"}, "callback_url"),
    ("callback to localhost", {"callback_url": "http://localhost/"}, "callback_url"),
    ("callback to port 25", {"callback_url": "http://203.0.113.7:25/"}, "callback_url"),
    ("metadata is a list", {"metadata": [1]}, "metadata"),
    ("metadata is a text", {"metadata": "{}"}, "metadata"),
    ("metadata too deep", {"metadata": nested(18)}, "metadata"),
    ("metadata too large", {"metadata": {"a": ["b" * 60_000] * 2}}, "metadata"),
    ("metadata with a long text", {"metadata": {"a": "b" * 70_000}}, "metadata"),
    ("metadata with NUL", {"metadata": {"a": "\x00"}}, "metadata"),
    ("metadata with a surrogate", {"metadata": {"\udc00": 1}}, "metadata"),
    ("metadata of many values", {"metadata": {"a": [0] * 10_001}}, "metadata"),
]

# refused because of what the model can do
LIMITS: list[tuple[str, dict[str, Any], str]] = [
    ("too many images", {"model": "lumen-video", "images": [URL] * 2}, "images"),
    (
        "spelled otherwise",
        {"model": "lumen-video", "image_urls": [URL] * 2},
        "image_urls",
    ),
    ("n of a video", {"model": "lumen-video", "n": 2}, "n"),
    ("ratio", {"model": "lumen-video", "ratio": "1:1"}, "ratio"),
    ("resolution", {"model": "lumen-video", "resolution": "4K"}, "resolution"),
    ("duration", {"model": "lumen-video", "seconds": "7"}, "seconds"),
    ("image needed", {"model": "lumen-edit"}, "images"),
    ("voice needed", {"model": "lumen-speech"}, "voice"),
    ("speed", {"model": "lumen-speech", "voice": "a", "speed": 3}, "speed"),
    ("long audio", {"model": "lumen-speech", "voice": "a", "duration": 61}, "duration"),
    ("action", {"model": "lumen-free", "action": "upscale"}, "action"),
    ("side", {"model": "lumen-wide", "size": "128x256"}, "size"),
    ("multiple", {"model": "lumen-wide", "width": 1001, "height": 1024}, "width"),
    ("pixels", {"model": "lumen-wide", "size": "2048x2048"}, "size"),
    ("shape", {"model": "lumen-wide", "size": "256x1024"}, "size"),
    ("shape by ratio", {"model": "lumen-wide", "aspect_ratio": "1:3"}, "aspect_ratio"),
    (
        "ratio of nothing",
        {"model": "lumen-wide", "aspect_ratio": "1:0"},
        "aspect_ratio",
    ),
]


@pytest.mark.parametrize(
    ("fields", "named"),
    [pytest.param(fields, named, id=name) for name, fields, named in FIELDS + LIMITS],
)
def test_a_wrong_field_is_named(
    gateway: Gateway, fields: dict[str, Any], named: str
) -> None:
    body = {**GOOD, **fields}
    content = json.dumps({k: v for k, v in body.items() if v is not None})

    answer = gateway.post_raw(content.encode())

    assert (answer.status_code, answer.json["code"]) == (400, "invalid_request")
    assert named in answer.json["errors"], answer.json
    assert answer.json["data"] is None
    assert gateway.task_count() == 0
    assert gateway.stored_inputs() == []


@pytest.mark.parametrize(
    ("fields", "named", "words"),
    [
        ({"promt": "a"}, "promt", ["did you mean prompt", "metadata"]),
        ({"guidance_scale": 3}, "guidance_scale", ["metadata"]),
        ({"n": 17}, "n", ["1 to 16"]),
        ({"model": "lumen-video", "resolution": "4K"}, "resolution", ["'4K'", "720P"]),
        ({"model": "lumen-video", "duration": 7}, "duration", ["'7'", "5, 10"]),
        ({"model": "lumen-wide", "size": "8x8"}, "size", ["8x8", "256 to 2,048"]),
        ({"images": [URL, ""]}, "images", ["item 2"]),
    ],
)
def test_a_refusal_says_what_is_allowed(
    gateway: Gateway, fields: dict[str, Any], named: str, words: list[str]
) -> None:
    answer = gateway.post({**GOOD, **fields})

    text = " ".join(answer.json["errors"][named])
    assert all(word in text for word in words), text


def test_every_wrong_field_is_named_at_once(gateway: Gateway) -> None:
    answer = gateway.post({**GOOD, "n": 0, "seed": "x", "colour": "red"})

    assert set(answer.json["errors"]) == {"n", "seed", "colour"}


def test_unknown_model_is_told_with_near_names(gateway: Gateway) -> None:
    answer = gateway.post({**GOOD, "model": "lumen-fre"})

    assert (answer.status_code, answer.json["code"]) == (400, "model_not_found")
    assert "lumen-free" in answer.json["errors"]["model"][0]
    assert "lumen-free" in answer.json["message"]


def test_all_refusals_of_callback_urls_read_alike(gateway: Gateway) -> None:
    texts = {
        gateway.post({**GOOD, "callback_url": url}).json["message"]
        for url in (
            "http://127.0.0.1/",
            "http://no-such-host.invalid/",
            "http://[::1]/",
        )
    }

    assert len(texts) == 1


# whole bodies: bytes, content type, status, field
BODIES: list[tuple[str, bytes, str, int, str]] = [
    ("empty", b"", "application/json", 400, "body"),
    ("no JSON", b"model=a", "application/json", 400, "body"),
    ("cut", b'{"model": "a"', "application/json", 400, "body"),
    ("cut in a text", b'{"model": "a', "application/json", 400, "body"),
    ("list", b"[]", "application/json", 400, "body"),
    ("null", b"null", "application/json", 400, "body"),
    ("text", b'"a"', "application/json", 400, "body"),
    ("not UTF-8", b'{"model": "\xff"}', "application/json", 400, "body"),
    ("UTF-16", '{"model": "a"}'.encode("utf-16"), "application/json", 400, "body"),
    ("raw surrogate", b'{"prompt": "\xed\xa0\x80"}', "application/json", 400, "body"),
    ("deep", b'{"metadata":' + b"[" * 60_000, "application/json", 400, "body"),
    (
        "deep and whole",
        b'{"metadata":' + b"[" * 60_000 + b"]" * 60_000 + b"}",
        "application/json",
        400,
        "body",
    ),
    ("field twice", b'{"n": 1, "n": 2}', "application/json", 400, "n"),
    (
        "metadata twice within",
        b'{"model": "lumen-free", "prompt": "a", "metadata": {"b": 1, "b": 1}}',
        "application/json",
        400,
        "metadata",
    ),
    ("NaN", b'{"model": "m", "speed": NaN}', "application/json", 400, "speed"),
    ("Infinity", b'{"seed": -Infinity}', "application/json", 400, "seed"),
    ("1e999", b'{"duration": 1e999}', "application/json", 400, "duration"),
    (
        "a million digits",
        b'{"seed": ' + b"9" * 1_000_000 + b"}",
        "application/json",
        400,
        "seed",
    ),
    (
        "a million decimals",
        b'{"speed": 0.' + b"9" * 1_000_000 + b"}",
        "application/json",
        400,
        "speed",
    ),
    (
        "many digits in metadata",
        b'{"metadata": {"a": [' + b"9" * 5_000 + b"]}}",
        "application/json",
        400,
        "metadata",
    ),
    ("long name", b'{"' + b"a" * 70_000 + b'": 1}', "application/json", 400, "body"),
    (
        "many long texts",
        json.dumps({"images": ["a" * 66_000] * 65}).encode()[: 1024 * 1024],
        "application/json",
        400,
        "body",
    ),
    ("broken escape", b'{"prompt": "\\x"}', "application/json", 400, "body"),
    ("too large", b" " * (2 * 1024 * 1024), "application/json", 413, "body"),
    ("no boundary", b"--a--", "multipart/form-data", 400, "body"),
    ("no form", b"hello", "multipart/form-data; boundary=a", 400, "body"),
    ("empty form", b"\r\n", "multipart/form-data; boundary=a", 400, "body"),
    (
        "form too large",
        b"x" * 2_000_000,
        "multipart/form-data; boundary=a",
        413,
        "body",
    ),
]


@pytest.mark.parametrize(
    ("content", "content_type", "status", "named"),
    [pytest.param(*rest, id=name) for name, *rest in BODIES],
)
def test_a_wrong_body_is_refused(
    gateway: Gateway, content: bytes, content_type: str, status: int, named: str
) -> None:
    answer = gateway.post_raw(content, content_type)

    code = {400: "invalid_request", 413: "too_large"}[status]
    assert (answer.status_code, answer.json["code"]) == (status, code), answer.text
    assert named in answer.json["errors"]


# parts of a form beside a good request
FORMS: list[tuple[str, list[tuple[str, Any]], int, str]] = [
    ("model twice", [("model", "a")], 400, "model"),
    ("prompt is a file", [("input", (b"a", "a.txt"))], 400, "input"),
    ("n is a word", [("n", "two")], 400, "n"),
    ("n is a fraction", [("n", "1.5")], 400, "n"),
    ("n in other digits", [("n", "\u0661")], 400, "n"),
    ("seed is empty", [("seed", "")], 400, "seed"),
    ("duration is NaN", [("duration", "nan")], 400, "duration"),
    ("duration is endless", [("duration", "1e400")], 400, "duration"),
    ("metadata is no JSON", [("metadata", "{a}")], 400, "metadata"),
    ("metadata is a list", [("metadata", "[]")], 400, "metadata"),
    ("metadata is a file", [("metadata", (b"{}", "m.json"))], 400, "metadata"),
    ("metadata twice within", [("metadata", '{"a":1,"a":2}')], 400, "metadata"),
    ("images is no JSON", [("images", "[a")], 400, "images"),
    ("not UTF-8", [("style", b"\xff")], 400, "style"),
    ("unknown field", [("colour", "red")], 400, "colour"),
    ("image is empty", [("image", (b"", "a.png"))], 400, "image"),
    ("image is text", [("image", (b"hello", "a.png"))], 400, "image"),
    ("image is a page", [("image", (b"<svg/>", "a.svg"))], 400, "image"),
    ("image is cut", [("image", (a_png(400, 400)[:60], "a.png"))], 400, "image"),
    ("image twice", [("image", URL), ("image", URL)], 400, "image"),
    ("image of many bytes", [("image", (b"a" * 600_000, "a.png"))], 413, "image"),
    ("image of many pixels", [("image", (a_png(1200, 1000), "a.png"))], 400, "image"),
    ("a hundred parts", [("images", URL)] * 101, 413, "body"),
    ("long headers", [("image", (b"", "a" * 90_000))], 413, "body"),
    ("nameless part", [("", "a")], 400, "body"),
]


@pytest.mark.parametrize(
    ("parts", "status", "named"),
    [pytest.param(*rest, id=name) for name, *rest in FORMS],
)
def test_a_wrong_part_of_a_form_is_named(
    gateway: Gateway, parts: list[tuple[str, Any]], status: int, named: str
) -> None:
    answer = gateway.post_form([*GOOD.items(), *parts])

    code = {400: "invalid_request", 413: "too_large"}[status]
    assert (answer.status_code, answer.json["code"]) == (status, code), answer.text
    assert named in answer.json["errors"], answer.json
    assert gateway.task_count() == 0
    assert gateway.stored_inputs() == []


@pytest.mark.parametrize("kept", [30, 100, 150])
def test_a_form_that_breaks_off_is_refused(gateway: Gateway, kept: int) -> None:
    content, content_type = form([*GOOD.items(), ("image", (a_png(), "a.png"))])

    answer = gateway.post_raw(content[:kept], content_type)

    assert answer.status_code == 400
    assert "body" in answer.json["errors"]


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/xml",
        "multipart/mixed; boundary=a",
        "application/json; charset=latin-1",
        "application/jsonx",
    ],
)
def test_other_content_types_are_not_taken(gateway: Gateway, content_type: str) -> None:
    answer = gateway.post_raw(b'{"model": "lumen-free"}', content_type)

    assert (answer.status_code, answer.json["code"]) == (415, "unsupported_media_type")
    assert "multipart/form-data" in answer.headers["Accept-Post"]


def test_a_packed_body_is_not_taken(gateway: Gateway) -> None:
    answer = gateway.post(GOOD, Content_Encoding="gzip")

    assert (answer.status_code, answer.json["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    "content",
    [
        b"{" + b",".join(b'"unknown%d": 1' % n for n in range(60_000)) + b"}",
        b"{" + b",".join(b'"a%d": 1, "a%d": 1' % (n, n) for n in range(40_000)) + b"}",
        b'{"images": [' + b"1," * 500_000 + b"1]}",
        b'{"metadata": {"a": [' + b"{}," * 300_000 + b"1]}}",
    ],
    ids=["unknown fields", "doubled fields", "images", "metadata"],
)
def test_many_mistakes_cost_little(gateway: Gateway, content: bytes) -> None:
    started = time.process_time()

    answer = gateway.post_raw(content)

    assert answer.status_code == 400
    assert len(answer.data) < 20_000
    assert time.process_time() - started < 3


@pytest.mark.parametrize(
    ("said", "status"), [("9", 200), ("99", 400), ("abc", 400), ("-1", 400)]
)
def test_a_body_shorter_than_it_says_is_refused(
    gateway: Gateway, said: str, status: int
) -> None:
    content = json.dumps(GOOD).encode()
    length = said if said != "9" else str(len(content))

    answer = gateway.http.post(
        "/generation/tasks",
        data=content,
        content_type="application/json",
        headers=gateway.headers,
        environ_overrides={"CONTENT_LENGTH": length},
    )

    assert answer.status_code == status, answer.text


@pytest.mark.parametrize("key", ["a b", "ä", "a" * 256, "a\tb", ""])
def test_an_idempotency_key_of_another_shape_is_named(
    gateway: Gateway, key: str
) -> None:
    answer = gateway.post(GOOD, Idempotency_Key=key)

    assert answer.status_code == 400
    assert "Idempotency-Key" in answer.json["errors"]
