"""The `openai` SDK against the simulated Recraft, over a real socket.

Recraft has no client of its own: its documentation uses this one.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import openai
import pytest
import requests
from PIL import Image

from sandbox.jobs import CallKind, parse_durations
from sandbox.media import make_image
from sandbox.server import Sandbox, SandboxSettings, running

SETTINGS = SandboxSettings(durations=parse_durations("fixed:0.02"))
PICTURE = make_image("in", 300, 200)
DATA_URL = "data:image/png;base64," + base64.b64encode(PICTURE).decode("ascii")
MASK = "data:image/png;base64," + base64.b64encode(make_image("mask", 300, 200)).decode(
    "ascii"
)
FORM = {"headers": {"Content-Type": "multipart/form-data"}}
URL = "https://img.example.org/a.png"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with running(settings=SETTINGS) as sandbox:
        yield sandbox


def a_client(sandbox: Sandbox, key: str = "sandbox-id:sandbox-key") -> openai.OpenAI:
    return openai.OpenAI(
        api_key=key, base_url=f"{sandbox.url}/recraft/v1", max_retries=0, timeout=20
    )


@pytest.fixture(scope="module")
def client(sandbox: Sandbox) -> openai.OpenAI:
    return a_client(sandbox)


def post(client: openai.OpenAI, path: str, body: Any) -> Any:
    return client.post(f"/images/{path}", body=body, cast_to=object)


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@contextmanager
def refusing(status: int, words: str) -> Iterator[None]:
    with pytest.raises(openai.APIStatusError) as caught:
        yield
    assert caught.value.status_code == status
    assert words in caught.value.response.text


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ({"model": "recraftv4_1"}, (1024, 1024)),
        ({"model": "recraftv4_1", "size": "1344x768"}, (1344, 768)),
        ({"model": "recraftv3", "extra_body": {"size": "16:9"}}, (1820, 1024)),
        ({"extra_body": {"upscale": "upscale4mp"}}, (2000, 2000)),
    ],
)
def test_images_have_the_size_asked_for(client, fields, size):
    made = client.images.generate(prompt="two race cars", **fields)
    (item,) = made.data or []
    reply = requests.get(str(item.url), timeout=10)
    assert "/plain/abs://external/images/" in str(item.url)
    assert reply.headers["Content-Type"] == "image/webp"
    assert opened(reply.content).size == size


def test_vectors_are_svg_behind_a_link_and_inline(client):
    made = client.images.generate(
        model="recraftv3_vector",
        prompt="icon of a <lighthouse>",
        n=2,
        extra_body={
            "style": "vector_illustration",
            "substyle": "line_art",
            "random_seed": 404,
            "controls": {"colors": [{"rgb": [0, 90, 180]}]},
        },
    )
    assert len({item.url for item in made.data or []}) == 2
    reply = requests.get(str((made.data or [])[0].url), timeout=10)
    assert reply.headers["Content-Type"] == "image/svg+xml"
    assert reply.text.startswith("<svg")
    assert made.to_dict()["credits"] == 160
    inline = post(client, "generations/vector", {"prompt": "x"} | INLINE)
    assert base64.b64decode(inline["data"][0]["b64_json"]).startswith(b"<svg")


INLINE = {"response_format": "b64_json"}


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("imageToImage", {"prompt": "winter", "strength": 0.2}),
        ("inpaint", {"prompt": "x", "mask_url": MASK, "model": "recraftv3"}),
        ("generateBackground", {"prompt": "x", "mask_url": MASK, "model": "recraftv3"}),
        ("replaceBackground", {"prompt": "x"}),
        ("outpaint", {"prompt": "x", "expand_left": 100}),
        ("variateImage", {"size": "1:1", "n": 1}),
    ],
)
def test_each_route_with_an_image_answers_a_list(client, path, fields):
    made = post(client, path, {"image_url": DATA_URL, **fields, **INLINE})
    size = {"outpaint": (400, 200), "variateImage": (1024, 1024)}.get(path, (300, 200))
    assert opened(base64.b64decode(made["data"][0]["b64_json"])).size == size
    assert made["credits"] == 40


@pytest.mark.parametrize(
    ("path", "size"),
    [
        ("removeBackground", (300, 200)),
        ("crispUpscale", (600, 400)),
        ("creativeUpscale", (600, 400)),
    ],
)
def test_each_tool_takes_a_file_and_answers_one_object(client, path, size):
    made: Any = client.post(
        f"/images/{path}",
        cast_to=object,
        options=FORM,
        body={"image_format": "png", **INLINE},
        files={"image": ("a.png", PICTURE)},
    )
    image = opened(base64.b64decode(made["image"]["b64_json"]))
    assert (image.size, image.format) == (size, "PNG")
    assert "data" not in made


def test_vectorizing_and_erasing_take_files_too(client):
    made: Any = client.post(
        "/images/vectorize",
        cast_to=object,
        options=FORM,
        body={"limit_num_shapes": "on", "max_num_shapes": "100"},
        files={"image": ("a.png", PICTURE)},
    )
    reply = requests.get(made["image"]["url"], timeout=10)
    assert 'width="300"' in reply.text
    made = client.post(
        "/images/eraseRegion",
        cast_to=object,
        options=FORM,
        files={"image": ("a.png", PICTURE), "mask": ("m.png", PICTURE)},
    )
    assert made["image"]["image_id"]


def test_exploring_starts_from_a_text_and_goes_on_from_an_image(client):
    body = {"prompt": "a fox", "model": "recraftv4_explore", "size": "3:2"}
    made = post(client, "explore", body)["data"]
    assert len(made) > 1
    more = post(
        client,
        "explore/similar",
        {"source_image_id": made[1]["image_id"], "similarity": 3},
    )
    assert len(more["data"]) > 1
    other = "00000000-0000-4000-8000-000000000000"
    with refusing(400, "source_image_id"):
        post(client, "explore/similar", {"source_image_id": other, "similarity": 3})


def test_a_style_is_made_and_used(client):
    style: Any = client.post(
        "/styles",
        cast_to=object,
        options=FORM,
        body={"style": "digital_illustration"},
        files={"file1": ("a.png", PICTURE)},
    )
    extra = {"style_id": style["id"], "calculate_features": True}
    made = client.images.generate(prompt="x", model="recraftv3", extra_body=extra)
    told: Any = made.to_dict()["data"]
    assert told[0]["features"]["nsfw_score"] < 1
    listed: Any = client.get("/styles", cast_to=object)
    assert style["id"] in [each["id"] for each in listed["styles"]]
    fly = post(
        client, "generations", {"prompt": "x", "style_reference_urls": [DATA_URL]}
    )
    assert fly["style_id"] != style["id"]


@pytest.mark.parametrize(
    ("path", "fields", "words"),
    [
        ("generations", {"prompt": ""}, "prompt"),
        ("generations", {"model": "recraftv9"}, "model"),
        ("generations", {"n": 7}, "n must"),
        ("generations", {"n": "2"}, "n must"),
        ("generations", {"size": "1820x1024"}, "size"),
        ("generations", {"size": "21:9"}, "size"),
        ("generations", {"model": "recraftv3", "size": "1344x768"}, "size"),
        ("generations", {"model": "recraftv3", "prompt": "x" * 1001}, "1000"),
        ("generations", {"prompt": "x" * 10_001}, "10000"),
        ("generations", {"style": "realistic_image"}, "style"),
        ("generations", {"negative_prompt": "fog"}, "negative_prompt"),
        ("generations", {"image_format": "jpg"}, "image_format"),
        ("generations", {"random_seed": -1}, "random_seed"),
        ("generations", {"seed": 1}, "seed"),
        ("generations", {"style_id": "mine"}, "UUID"),
        ("generations", {"controls": {"artistic_level": 6}}, "artistic_level"),
        ("generations", {"controls": {"colors": [{"rgb": [1]}]}}, "rgb"),
        ("imageToImage", {"image_url": URL}, "strength"),
        ("imageToImage", {"image_url": URL, "strength": 2}, "strength"),
        ("imageToImage", {"image_url": URL, "strength": 1, "size": "1:1"}, "size"),
        ("imageToImage", {"image_url": "upload:0", "strength": 1}, "URL"),
        ("inpaint", {"image_url": URL, "mask_url": URL}, "model"),
        ("inpaint", {"image_url": URL, "model": "recraftv3"}, "mask"),
        ("outpaint", {"image_url": URL}, "expand"),
        ("variateImage", {"image_url": URL}, "prompt"),
        ("vectorize", {"image_url": URL}, "prompt"),
        ("explore", {"n": 2}, "n"),
    ],
)
def test_a_wrong_request_is_refused_by_name(client, path, fields, words):
    with refusing(400, words):
        post(client, path, {"prompt": "x", **fields})


def test_a_mask_of_another_size_and_a_file_too_large_are_refused(client):
    other = base64.b64encode(make_image("m", 64, 64)).decode()
    body = {"image_url": DATA_URL, "mask_url": f"data:image/png;base64,{other}"}
    with refusing(400, "size of the image"):
        post(client, "eraseRegion", body)
    large = io.BytesIO()
    Image.frombytes("RGB", (1400, 1300), bytes(range(256)) * 21329).save(
        large, "PNG", compress_level=0
    )
    with refusing(413, "5 MB"):
        client.post(
            "/images/vectorize",
            cast_to=object,
            options=FORM,
            files={"image": ("a.png", large.getvalue())},
        )


# The account and refusals


def test_the_account_and_its_health_are_told(sandbox, client):
    assert client.get("/users/me", cast_to=httpx.Response).json()["credits"] > 0
    assert "recraftv4_1" in {model.id for model in client.models.list()}
    status = requests.get(f"{sandbox.url}/recraft/status", timeout=10)
    assert status.json() == {"service": True, "generation": True}
    assert requests.get(f"{sandbox.url}/recraft/ping", timeout=10).status_code == 200


def test_a_wrong_token_and_a_wrong_path_are_told_in_plain_text(sandbox, client):
    bad = a_client(sandbox, "bad-key")
    for status, words in ((401, "request unauthorized"), (404, "404 page not found")):
        with pytest.raises(openai.APIStatusError) as caught:
            post(*((bad, "generations") if status == 401 else (client, "generate")), {})
        reply = caught.value.response
        assert (reply.status_code, reply.text) == (status, words)
        assert reply.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    ("prompt", "key", "status", "words"),
    [
        ("x [429]", "k", 429, "slow"),
        ("x", "quota-key", 400, "not_enough_credits"),
        ("x [403]", "k", 403, "forbidden"),
        ("x [blocked]", "k", 400, "NSFW"),
        ("x [blocked late]", "k", 400, "NSFW"),
        ("x [fail]", "k", 500, "internal_error"),
        ("x [503]", "k", 503, "internal_error"),
    ],
)
def test_refusals_are_the_sdks_own_exceptions(sandbox, prompt, key, status, words):
    with refusing(status, words):
        a_client(sandbox, key).images.generate(prompt=prompt)


def test_the_purse_is_named_in_the_query(client):
    body = {"prompt": "x"}
    options: Any = {"params": {"billing": "subscription"}}
    assert client.post(
        "/images/generations", body=body, cast_to=object, options=options
    )
    options = {"params": {"billing": "friend"}}
    with refusing(400, "billing"):
        client.post("/images/generations", body=body, cast_to=object, options=options)


def test_controls_of_a_form_are_json(client):
    made: Any = client.post(
        "/images/generations",
        cast_to=object,
        options=FORM,
        body={
            "prompt": "x",
            "n": "2",
            "controls": json.dumps({"background_color": {"rgb": [1, 2, 3]}}),
        },
        files={"style_references": ("a.png", PICTURE)},
    )
    assert (len(made["data"]), bool(made["style_id"])) == (2, True)


def test_links_die_and_are_signed(sandbox, client):
    made = client.images.generate(prompt="x [expire]")
    assert requests.get(str((made.data or [])[0].url), timeout=10).status_code == 403
    made = client.images.generate(prompt="x")
    url = str((made.data or [])[0].url)
    sig = url.partition("/img/")[2].partition("/")[0]
    forged = requests.get(url.replace(sig, "0" * 12), timeout=10)
    assert forged.status_code == 403
    assert sandbox.ledger.calls("recraft", CallKind.MEDIA) > 0
