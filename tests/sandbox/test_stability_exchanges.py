"""The documented exchanges of Stability AI, by plain HTTP: there is no SDK for them."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Iterator
from typing import Any

import av
import pytest
import requests
from PIL import Image

from sandbox.jobs import parse_durations
from sandbox.media import make_audio, make_image
from sandbox.server import Sandbox, SandboxSettings, running

KEY = {"authorization": "Bearer sandbox-id:sandbox-key"}
IMAGES, AUDIO = "/v2beta/stable-image", "/v2beta/audio"
TEXT = {"prompt": "a tin robot watering basil"}
SOUND = {**TEXT, "duration": "2"}
PICTURE = make_image("a jug", 320, 256)
TUNE = make_audio("a tune", 1.0)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    settings = SandboxSettings(durations=parse_durations("fixed:0.02"))
    with running(settings=settings) as server:
        yield server


@pytest.fixture(autouse=True)
def fresh(sandbox: Sandbox) -> None:
    sandbox.reset()


def post(
    sandbox: Sandbox,
    path: str,
    fields: dict[str, str],
    accept: str = "application/json",
    headers: dict[str, str] = KEY,
    **files: bytes,
) -> requests.Response:
    """A form as the documentation sends it, with a part even where there is no file."""
    return requests.post(
        f"{sandbox.url}/stability{path}",
        headers={**headers, "accept": accept},
        data=fields,
        files={name: (f"{name}.bin", data) for name, data in files.items()}
        or {"none": ""},
        timeout=10,
    )


def result(
    sandbox: Sandbox, path: str, accept: str, headers: dict[str, str] = KEY
) -> requests.Response:
    """The answer once it is not 202 any more."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        answer = requests.get(
            f"{sandbox.url}/stability{path}",
            headers={**headers, "accept": accept},
            timeout=10,
        )
        if answer.status_code != 202:
            return answer
        assert answer.json()["status"] == "in-progress"
        time.sleep(0.02)
    raise AssertionError("the job never ended")


def image_in(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def problem(answer: requests.Response) -> tuple[int, str, list[str]]:
    body = answer.json()
    assert set(body) == {"id", "name", "errors"}
    return answer.status_code, body["name"], body["errors"]


@pytest.mark.parametrize(
    ("path", "fields", "size", "kind"),
    [
        (
            "core",
            {"aspect_ratio": "3:2", "output_format": "webp"},
            (1536, 1024),
            "webp",
        ),
        ("ultra", {"aspect_ratio": "16:9", "output_format": "jpeg"}, None, "jpeg"),
        ("sd3", {"model": "sd3.5-medium", "cfg_scale": "4"}, (1024, 1024), "png"),
    ],
)
def test_image_comes_as_json_or_as_bytes(
    sandbox: Sandbox,
    path: str,
    fields: dict[str, str],
    size: tuple[int, int] | None,
    kind: str,
):
    form = {**TEXT, **fields, "seed": "41"}
    told = post(sandbox, f"{IMAGES}/generate/{path}", form)
    assert told.headers["content-type"] == f"application/json; type=image/{kind}"
    body = told.json()
    assert (body["finish_reason"], body["seed"]) == ("SUCCESS", 41)
    image = image_in(base64.b64decode(body["image"]))
    assert (image.format or "").lower() == kind
    assert size is None or image.size == size
    plain = post(sandbox, f"{IMAGES}/generate/{path}", form, "image/*")
    assert plain.headers["content-type"] == f"image/{kind}"
    assert (plain.headers["finish-reason"], plain.headers["seed"]) == ("SUCCESS", "41")
    assert image_in(plain.content).size == image.size


@pytest.mark.parametrize(
    ("path", "fields", "names", "size"),
    [
        ("generate/ultra", {**TEXT, "strength": "0.3"}, "image", (320, 256)),
        (
            "generate/sd3",
            {**TEXT, "strength": "0.3", "mode": "image-to-image"},
            "image",
            (320, 256),
        ),
        ("upscale/fast", {}, "image", (1280, 1024)),
        ("upscale/conservative", {**TEXT, "creativity": "0.4"}, "image", None),
        ("edit/erase", {}, "image mask", (320, 256)),
        ("edit/inpaint", {**TEXT, "grow_mask": "5"}, "image mask", (320, 256)),
        ("edit/outpaint", {"left": "80", "down": "44"}, "image", (400, 300)),
        (
            "edit/search-and-replace",
            {**TEXT, "search_prompt": "jug"},
            "image",
            (320, 256),
        ),
        (
            "edit/search-and-recolor",
            {**TEXT, "select_prompt": "jug"},
            "image",
            (320, 256),
        ),
        ("edit/remove-background", {"output_format": "webp"}, "image", (320, 256)),
        ("control/sketch", {**TEXT, "control_strength": "0.7"}, "image", (320, 256)),
        ("control/structure", TEXT, "image", (320, 256)),
        ("control/style", {**TEXT, "fidelity": "0.5"}, "image", (320, 256)),
        (
            "control/style-transfer",
            {"style_strength": "0.5"},
            "init_image style_image",
            (320, 256),
        ),
    ],
)
def test_image_is_worked_on(
    sandbox: Sandbox,
    path: str,
    fields: dict[str, str],
    names: str,
    size: tuple[int, int] | None,
):
    files = dict.fromkeys(names.split(), PICTURE)
    answer = post(sandbox, f"{IMAGES}/{path}", fields, "image/*", **files)
    assert answer.status_code == 200, answer.text
    image = image_in(answer.content)
    assert size is None or image.size == size
    # the file that the route is about may not be missing
    if not path.startswith("generate/"):
        missing = post(sandbox, f"{IMAGES}/{path}", fields)
        wrong = f"{names.split()[0]}: is required"
        assert problem(missing) == (400, "bad_request", [wrong])


@pytest.mark.parametrize(
    ("path", "fields", "names"),
    [
        ("upscale/creative", {**TEXT, "creativity": "0.3"}, "image"),
        (
            "edit/replace-background-and-relight",
            {"background_prompt": "a quay", "light_source_direction": "above"},
            "subject_image",
        ),
        (
            "edit/replace-background-and-relight",
            {},
            "subject_image background_reference",
        ),
    ],
)
def test_job_of_an_image_is_accepted_with_200_and_fetched(
    sandbox: Sandbox, path: str, fields: dict[str, str], names: str
):
    files = dict.fromkeys(names.split(), PICTURE)
    accepted = post(sandbox, f"{IMAGES}/{path}", fields, **files)
    assert accepted.status_code == 200
    job_id = accepted.json()["id"]
    assert len(job_id) == 64
    told = result(sandbox, f"/v2beta/results/{job_id}", "application/json").json()
    assert told["finish_reason"] == "SUCCESS"
    assert image_in(base64.b64decode(told["result"]))
    other = f"{IMAGES}/upscale/creative/result/{job_id}"
    plain = result(sandbox, other, "image/*")
    assert plain.headers["finish-reason"] == "SUCCESS"
    assert image_in(plain.content)


@pytest.mark.parametrize(
    ("path", "fields", "file", "content_type"),
    [
        ("text-to-audio", {"model": "stable-audio-2.5", "steps": "8"}, False, "mpeg"),
        ("text-to-audio", {"steps": "50", "output_format": "wav"}, False, "wav"),
        ("audio-to-audio", {"strength": "0.5"}, True, "mpeg"),
        ("inpaint", {"model": "stable-audio-2.5"}, True, "mpeg"),
    ],
)
def test_sound_of_version_2_is_the_answer(
    sandbox: Sandbox,
    path: str,
    fields: dict[str, str],
    file: bool,
    content_type: str,
):
    files = {"audio": TUNE} if file else {}
    url = f"{AUDIO}/stable-audio-2/{path}"
    answer = post(sandbox, url, {**SOUND, **fields}, "audio/*", **files)
    assert answer.headers["content-type"] == f"audio/{content_type}"
    with av.open(io.BytesIO(answer.content)) as sound:
        assert sound.duration is not None
        assert abs(sound.duration / 1e6 - 2) < 0.2
    told = post(sandbox, url, {**SOUND, **fields}, **files).json()
    assert base64.b64decode(told["audio"]) == answer.content


@pytest.mark.parametrize(
    ("path", "file"), [("text-to-audio", False), ("audio-to-audio", True)]
)
def test_sound_of_version_3_is_a_job_accepted_with_202(
    sandbox: Sandbox, path: str, file: bool
):
    files = {"audio": TUNE} if file else {}
    url = f"{AUDIO}/stable-audio/{path}"
    accepted = post(sandbox, url, SOUND, "audio/*", **files)
    assert accepted.status_code == 202
    job_id = accepted.json()["id"]
    done = result(sandbox, f"{AUDIO}/results/{job_id}", "audio/*")
    assert (done.headers["content-type"], done.headers["finish-reason"]) == (
        "audio/mpeg",
        "SUCCESS",
    )
    told = result(sandbox, f"{AUDIO}/results/{job_id}", "application/json").json()
    assert base64.b64decode(told["audio"]) == done.content


@pytest.mark.parametrize(
    ("path", "fields", "files", "part"),
    [
        ("generate/core", {}, {}, "prompt"),
        ("generate/core", {"prompt": "a" * 10_001}, {}, "prompt"),
        ("generate/core", {**TEXT, "aspect_ratio": "7:3"}, {}, "aspect_ratio"),
        ("generate/core", {**TEXT, "seed": "4294967295"}, {}, "seed"),
        ("generate/core", {**TEXT, "seed": "one"}, {}, "seed"),
        ("generate/core", {**TEXT, "output_format": "gif"}, {}, "output_format"),
        ("generate/core", {**TEXT, "style_preset": "baroque"}, {}, "style_preset"),
        ("generate/core", TEXT, {"image": PICTURE}, "image"),
        ("generate/sd3", {**TEXT, "output_format": "webp"}, {}, "output_format"),
        ("generate/sd3", {**TEXT, "model": "sd3"}, {}, "model"),
        ("generate/sd3", {**TEXT, "cfg_scale": "11"}, {}, "cfg_scale"),
        ("generate/sd3", {**TEXT, "mode": "image-to-image"}, {}, "image"),
        ("generate/sd3", TEXT, {"image": PICTURE}, "image"),
        (
            "generate/sd3",
            {**TEXT, "mode": "image-to-image", "aspect_ratio": "1:1"},
            {"image": PICTURE},
            "aspect_ratio",
        ),
        ("generate/ultra", TEXT, {"image": PICTURE}, "strength"),
        ("generate/ultra", {**TEXT, "image": "a.png"}, {}, "image"),
        ("upscale/fast", {}, {"image": b"no image"}, "image"),
        ("upscale/fast", {}, {"image": make_image("x", 300, 64)[:80]}, "image"),
        ("upscale/fast", {}, {"image": make_image("x", 1200, 1200)}, "image"),
        ("upscale/fast", {}, {"image": make_image("x", 64, 64, "gif")}, "image"),
        (
            "upscale/conservative",
            {**TEXT, "creativity": "0.1"},
            {"image": PICTURE},
            "creativity",
        ),
        ("edit/erase", {}, {"image": make_image("x", 300, 100)}, "image"),
        ("edit/outpaint", {}, {"image": PICTURE}, "at least one of left"),
        ("edit/outpaint", {"left": "2001"}, {"image": PICTURE}, "left"),
        ("edit/search-and-replace", TEXT, {"image": PICTURE}, "search_prompt"),
        ("edit/search-and-recolor", TEXT, {"image": PICTURE}, "select_prompt"),
        (
            "edit/remove-background",
            {"output_format": "jpeg"},
            {"image": PICTURE},
            "output_format",
        ),
        (
            "edit/replace-background-and-relight",
            {},
            {"subject_image": PICTURE},
            "one of background_prompt",
        ),
    ],
)
def test_image_that_does_not_fit_is_refused_and_free(
    sandbox: Sandbox, path: str, fields: dict[str, str], files: Any, part: str
):
    answer = post(sandbox, f"{IMAGES}/{path}", fields, **files)
    status, name, (text,) = problem(answer)
    assert (status, name) == (400, "bad_request")
    assert text.startswith(part)
    assert sandbox.ledger.submits("stability") == []


@pytest.mark.parametrize(
    ("path", "fields", "part"),
    [
        ("stable-audio-2/text-to-audio", {"duration": "3"}, "prompt"),
        ("stable-audio-2/text-to-audio", {**TEXT, "duration": "191"}, "duration"),
        ("stable-audio-2/text-to-audio", {**TEXT, "steps": "8"}, "steps"),
        (
            "stable-audio-2/text-to-audio",
            {**TEXT, "model": "stable-audio-2.5", "steps": "9"},
            "steps",
        ),
        ("stable-audio-2/text-to-audio", {**TEXT, "model": "stable-audio-3"}, "model"),
        ("stable-audio-2/text-to-audio", {**TEXT, "cfg_scale": "26"}, "cfg_scale"),
        ("stable-audio-2/text-to-audio", {**TEXT, "output_format": "ogg"}, "output"),
        ("stable-audio-2/audio-to-audio", TEXT, "audio"),
        ("stable-audio/text-to-audio", {**TEXT, "duration": "381"}, "duration"),
    ],
)
def test_sound_that_does_not_fit_is_refused_and_free(
    sandbox: Sandbox, path: str, fields: dict[str, str], part: str
):
    status, name, (text,) = problem(post(sandbox, f"{AUDIO}/{path}", fields))
    assert (status, name) == (400, "bad_request")
    assert text.startswith(part)
    assert sandbox.ledger.submits("stability") == []


@pytest.mark.parametrize("how", ["json", "data"])
def test_body_that_is_no_multipart_form_is_refused(sandbox: Sandbox, how: str):
    url = f"{sandbox.url}/stability{IMAGES}/generate/core"
    answer = requests.post(url, headers=KEY, timeout=10, **{how: TEXT})  # type: ignore[arg-type]
    status, _, (text,) = problem(answer)
    assert status == 400
    assert text.startswith("content-type: ")


def test_accept_is_checked(sandbox: Sandbox):
    answer = post(sandbox, f"{IMAGES}/generate/core", TEXT, "video/*")
    assert problem(answer)[2][0].startswith("accept: ")


@pytest.mark.parametrize(
    ("prompt", "headers", "status", "name"),
    [
        ("a kite", {}, 401, "unauthorized"),
        ("a kite", {"authorization": "Bearer bad-key"}, 401, "unauthorized"),
        ("a kite", {"authorization": "sandbox-id:sandbox-key"}, 401, "unauthorized"),
        ("a kite", {"authorization": "Bearer quota-key"}, 402, "payment_required"),
        ("a kite [quota]", KEY, 402, "payment_required"),
        ("a kite [403]", KEY, 403, "forbidden"),
        ("a kite [blocked]", KEY, 403, "content_moderation"),
        ("бумажный змей", KEY, 422, "invalid_language"),
        ("a kite [429 once]", KEY, 429, "rate_limit_exceeded"),
        ("a kite [500 before]", KEY, 500, "internal_error"),
    ],
)
@pytest.mark.parametrize(
    "path",
    [f"{IMAGES}/generate/core", f"{AUDIO}/stable-audio/text-to-audio"],
)
def test_refusals_are_in_the_providers_own_words(
    sandbox: Sandbox,
    path: str,
    prompt: str,
    headers: dict[str, str],
    status: int,
    name: str,
):
    answer = post(sandbox, path, {"prompt": prompt}, headers=headers)
    assert problem(answer)[:2] == (status, name)
    assert sandbox.ledger.submits("stability") == []


def test_too_large_a_request_is_refused(sandbox: Sandbox):
    large = bytes(10 * 1024**2)
    answer = post(sandbox, f"{IMAGES}/upscale/fast", {}, image=large)
    assert problem(answer)[:2] == (413, "payload_too_large")


def test_filtered_image_is_paid_blurred_and_named_so(sandbox: Sandbox):
    fields = {"prompt": "a kite [blocked late]"}
    told = post(sandbox, f"{IMAGES}/generate/core", fields).json()
    assert told["finish_reason"] == "CONTENT_FILTERED"
    assert image_in(base64.b64decode(told["image"]))
    plain = post(sandbox, f"{IMAGES}/generate/core", fields, "image/*")
    assert plain.headers["finish-reason"] == "CONTENT_FILTERED"
    assert len(sandbox.ledger.submits("stability")) == 2


@pytest.mark.parametrize(
    "path", ["generate/xl", "edit/blur", "upscale/huge", "video/clip"]
)
def test_unknown_route_is_404(sandbox: Sandbox, path: str):
    assert problem(post(sandbox, f"{IMAGES}/{path}", TEXT))[0] == 404


@pytest.mark.parametrize("path", ["stable-audio/inpaint", "stable-audio-9/inpaint"])
def test_unknown_route_of_sounds_is_404(sandbox: Sandbox, path: str):
    assert problem(post(sandbox, f"{AUDIO}/{path}", TEXT))[0] == 404


def test_result_is_unknown_to_others_and_elsewhere_and_after_its_day(sandbox: Sandbox):
    url = f"{AUDIO}/stable-audio/text-to-audio"
    job_id = post(sandbox, url, SOUND).json()["id"]
    gone = post(sandbox, url, {**SOUND, "prompt": "a kite [expire]"}).json()["id"]
    other = {"authorization": "Bearer sk-other"}
    for path, headers in (
        (f"{AUDIO}/results/{job_id}", other),
        (f"/v2beta/results/{job_id}", KEY),
        (f"{AUDIO}/results/nobody", KEY),
        (f"{AUDIO}/results/{gone}", KEY),
    ):
        answer = result(sandbox, path, "application/json", headers)
        assert problem(answer)[:2] == (404, "not_found")


def test_balance_is_told(sandbox: Sandbox):
    url = f"{sandbox.url}/stability/v1/user/balance"
    assert requests.get(url, headers=KEY, timeout=10).json()["credits"] > 0
    assert requests.get(url, timeout=10).status_code == 401
