"""Stability AI's adapter: routes, parts, result shapes and errors, row by row."""

from __future__ import annotations

from typing import Any

import pytest

from app.capabilities import find_problems
from providers import errors, stability
from providers.dialects import stability_models
from providers.flow import Call, Reply
from providers.types import (
    Artifact,
    Credentials,
    GenerationRequest,
    MediaInput,
    MediaType,
    Phase,
    Reason,
    Remote,
    Snapshot,
)
from tests.builders import a_request, an_image_url, an_upload
from tests.fakes import answer, calls_of, play, raw, recorded

PROMPT = "a lighthouse made of paper, dawn"
PNG = b"\x89PNG\r\n\x1a\n"
MP3 = b"ID3\x04\x00\x00\x00\x00\x00"
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt "
WEBP = b"RIFF\x24\x00\x00\x00WEBPVP8 "
A, B, C = (f"https://cdn.example.com/{letter}.png" for letter in "abc")
SOUND = "https://cdn.example.com/s.mp3"
DATA_URL = "data:image/png;base64,iVBORw0KGgo="
JOB = "b7" * 32
PICTURE_JOB = Remote(JOB, {"media": "image"})
SOUND_JOB = Remote(JOB, {"media": "audio"})
IMAGES_PATH = "/v2beta/stable-image"
JOBS = {"upscale-creative", "replace-background-and-relight", "stable-audio-3"}


def wanted(model: str, **fields: Any) -> GenerationRequest:
    offer = stability_models.BY_NAME.get(model)
    media_type = offer.model.media_type if offer else MediaType.IMAGE
    return a_request(model=model, media_type=media_type, **fields)


def submitted(model: str, *files: Reply, **fields: Any) -> Call:
    """The paid call of a submit; an input is a PNG unless `files` say else."""
    fetched = len(fields.get("images", ())) + bool(fields.get("audio_url"))
    fetched += sum(
        str(source).startswith("http") for source in fields.get("metadata", {}).values()
    )
    inputs = files or (raw(PNG, "image/png"),) * fetched
    offer = stability_models.BY_NAME[model]
    sound = offer.model.media_type is MediaType.AUDIO
    end = "accepted" if model in JOBS else "sound" if sound else "image"
    request = wanted(model, **fields)
    calls = calls_of(stability.submit(request), *inputs, recorded(f"stability/{end}"))
    assert [call.paid for call in calls] == [False] * len(inputs) + [True]
    assert all(call.public for call in calls[:-1])
    return calls[-1]


def parts_of(call: Call) -> dict[str, Any]:
    """The parts of a form: texts as they are, files by their names."""
    assert call.json is None
    names = [part.name for part in call.parts]
    assert len(names) == len(set(names))
    return {part.name: part.filename or part.content for part in call.parts}


def form_of(model: str, *files: Reply, **fields: Any) -> dict[str, Any]:
    return parts_of(submitted(model, *files, **fields))


def answered(reply: Reply, model: str = "stable-image-core") -> Snapshot:
    images = (an_image_url(A),) if "images" in model_of(model).needs else ()
    fetched = [raw(PNG, "image/png") for _ in images]
    request = wanted(model, images=images)
    return play(stability.submit(request), *fetched, reply)


def model_of(name: str) -> Any:
    return stability_models.BY_NAME[name].model


def looked(reply: Reply, remote: Remote = PICTURE_JOB) -> Snapshot:
    return play(stability.poll(remote), reply)


def bytes_answer(content: bytes, content_type: str, **headers: str) -> Reply:
    fixed = {name.replace("_", "-"): text for name, text in headers.items()}
    return Reply(200, {"content-type": content_type, **fixed}, content)


# Submit: routes and forms


ROUTES = [
    ("stable-image-ultra", "generate/ultra", {"prompt": PROMPT}),
    ("stable-image-core", "generate/core", {"prompt": PROMPT}),
    ("sd3.5-large", "generate/sd3", {"prompt": PROMPT, "model": "sd3.5-large"}),
    (
        "sd3.5-large-turbo",
        "generate/sd3",
        {"prompt": PROMPT, "model": "sd3.5-large-turbo"},
    ),
    ("sd3.5-medium", "generate/sd3", {"prompt": PROMPT, "model": "sd3.5-medium"}),
    ("upscale-fast", "upscale/fast", {"image": "image.png"}),
    (
        "upscale-conservative",
        "upscale/conservative",
        {"prompt": PROMPT, "image": "image.png"},
    ),
    ("upscale-creative", "upscale/creative", {"prompt": PROMPT, "image": "image.png"}),
    ("edit-erase", "edit/erase", {"image": "image.png"}),
    ("edit-inpaint", "edit/inpaint", {"prompt": PROMPT, "image": "image.png"}),
    ("edit-outpaint", "edit/outpaint", {"prompt": PROMPT, "image": "image.png"}),
    (
        "edit-search-and-replace",
        "edit/search-and-replace",
        {"prompt": PROMPT, "image": "image.png"},
    ),
    (
        "edit-search-and-recolor",
        "edit/search-and-recolor",
        {"prompt": PROMPT, "image": "image.png"},
    ),
    ("edit-remove-background", "edit/remove-background", {"image": "image.png"}),
    (
        "replace-background-and-relight",
        "edit/replace-background-and-relight",
        {"background_prompt": PROMPT, "subject_image": "subject_image.png"},
    ),
    ("control-sketch", "control/sketch", {"prompt": PROMPT, "image": "image.png"}),
    (
        "control-structure",
        "control/structure",
        {"prompt": PROMPT, "image": "image.png"},
    ),
    ("control-style", "control/style", {"prompt": PROMPT, "image": "image.png"}),
    (
        "control-style-transfer",
        "control/style-transfer",
        {"prompt": PROMPT, "init_image": "init_image.png"},
    ),
]


@pytest.mark.parametrize(("model", "path", "parts"), ROUTES)
def test_route_decides_the_model_of_an_image(
    model: str, path: str, parts: dict[str, str]
):
    images = (an_image_url(A),) if "images" in model_of(model).needs else ()
    call = submitted(model, images=images)
    assert (call.method, call.url) == ("POST", f"{IMAGES_PATH}/{path}")
    assert parts_of(call) == parts
    assert call.headers == {"accept": "application/json"}


@pytest.mark.parametrize(
    ("model", "fields", "path"),
    [
        ("stable-audio-2", {}, "stable-audio-2/text-to-audio"),
        ("stable-audio-2.5", {}, "stable-audio-2/text-to-audio"),
        ("stable-audio-2.5", {"audio_url": SOUND}, "stable-audio-2/audio-to-audio"),
        (
            "stable-audio-2.5",
            {"audio_url": SOUND, "action": "inpaint"},
            "stable-audio-2/inpaint",
        ),
        ("stable-audio-3", {}, "stable-audio/text-to-audio"),
        ("stable-audio-3", {"audio_url": SOUND}, "stable-audio/audio-to-audio"),
    ],
)
def test_route_of_a_sound_follows_from_what_is_given(
    model: str, fields: dict[str, Any], path: str
):
    files = [raw(MP3, "audio/mpeg")] if "audio_url" in fields else []
    call = submitted(model, *files, **fields)
    assert call.url == f"/v2beta/audio/{path}"
    audio = {"audio": "audio.mp3"} if files else {}
    assert parts_of(call) == {"prompt": PROMPT, "model": model, **audio}
    assert call.headers == {"accept": "audio/*"}


def test_every_model_has_a_row():
    assert [name for name, *_ in ROUTES] == [
        model.name
        for model in stability_models.MODELS
        if model.media_type is MediaType.IMAGE
    ]
    assert {m.name for m in stability_models.MODELS if not m.sync} == JOBS


def test_form_of_an_image_has_all_that_was_asked_for():
    parts = form_of(
        "sd3.5-medium",
        negative_prompt="blur",
        seed=41,
        style="line-art",
        size="1536x1024",
        quality="hd",
        output_format="JPG",
        metadata={"cfg_scale": 4.5, "model": "sd3.5-large", "enhance": True},
    )
    assert parts == {
        "prompt": PROMPT,
        "negative_prompt": "blur",
        "aspect_ratio": "3:2",
        "seed": "41",
        "style_preset": "line-art",
        "output_format": "jpeg",
        "model": "sd3.5-medium",
        "cfg_scale": "4.5",
        "enhance": "true",
    }


@pytest.mark.parametrize(
    ("fields", "ratio"),
    [
        ({"aspect_ratio": "21/9"}, "21:9"),
        ({"aspect_ratio": "9:21", "size": "1024x1024"}, "9:21"),
        ({"size": "1024x1024"}, "1:1"),
        ({"size": "1280*720"}, "16:9"),
        ({"size": "4:5"}, "4:5"),
        ({"width": 800, "height": 1000}, "4:5"),
        ({"resolution": "1080x1920"}, "9:16"),
        ({"resolution": "1080p"}, None),
        ({"size": "auto"}, None),
        ({}, None),
    ],
)
def test_shape_is_the_nearest_ratio(fields: dict[str, Any], ratio: str | None):
    assert form_of("stable-image-core", **fields).get("aspect_ratio") == ratio


@pytest.mark.parametrize(
    ("model", "more"),
    [
        ("stable-image-ultra", {}),
        ("sd3.5-large", {"model": "sd3.5-large", "mode": "image-to-image"}),
    ],
)
@pytest.mark.parametrize(
    ("metadata", "strength"), [({}, "0.7"), ({"strength": 0.2}, "0.2")]
)
def test_image_from_an_image_has_a_strength_and_no_shape(
    model: str, more: dict[str, str], metadata: dict[str, Any], strength: str
):
    images = (an_upload(),)
    parts = form_of(model, images=images, aspect_ratio="16:9", metadata=metadata)
    file = {"image": "image.png", "strength": strength}
    assert parts == {"prompt": PROMPT, **more, **file}


@pytest.mark.parametrize("image", [an_image_url(A), an_upload()])
def test_input_image_goes_as_a_file(image: MediaInput):
    call = submitted("upscale-fast", images=(image,))
    (part,) = call.parts
    assert (part.name, part.content, part.filename, part.content_type) == (
        *("image", PNG, "image.png"),
        "image/png",
    )


@pytest.mark.parametrize(
    ("model", "images", "metadata", "files"),
    [
        ("edit-inpaint", 2, {}, {"image": "image.png", "mask": "mask.png"}),
        ("edit-erase", 1, {"mask": B}, {"image": "image.png", "mask": "mask.png"}),
        (
            "edit-erase",
            1,
            {"mask": DATA_URL},
            {"image": "image.png", "mask": "mask.png"},
        ),
        (
            "edit-erase",
            1,
            {"mask": "data:image/webp,RIFF"},
            {"image": "image.png", "mask": "mask.webp"},
        ),
        (
            "replace-background-and-relight",
            2,
            {"background_reference": C},
            {
                "subject_image": "subject_image.png",
                "background_reference": "background_reference.png",
                "light_reference": "light_reference.png",
            },
        ),
        (
            "control-style-transfer",
            2,
            {},
            {"init_image": "init_image.png", "style_image": "style_image.png"},
        ),
    ],
)
def test_images_fill_the_files_that_the_metadata_does_not(
    model: str, images: int, metadata: dict[str, Any], files: dict[str, str]
):
    parts = form_of(model, images=(an_image_url(A),) * images, metadata=metadata)
    words = {"prompt", "background_prompt"}
    assert {name: parts[name] for name in parts if name not in words} == files


@pytest.mark.parametrize(
    ("model", "metadata"),
    [
        ("edit-outpaint", {"left": 200, "up": 10, "creativity": 0.4}),
        ("edit-search-and-replace", {"search_prompt": "the kettle"}),
        ("edit-search-and-recolor", {"select_prompt": "the door"}),
        ("upscale-creative", {"creativity": 0.3}),
        ("control-sketch", {"control_strength": 0.7}),
        ("control-style", {"fidelity": 0.5}),
        ("replace-background-and-relight", {"light_source_direction": "above"}),
    ],
)
def test_words_of_one_route_come_from_the_metadata(
    model: str, metadata: dict[str, Any]
):
    parts = form_of(model, images=(an_image_url(A),), metadata=metadata)
    assert {name: parts[name] for name in metadata} == {
        name: str(value) for name, value in metadata.items()
    }


@pytest.mark.parametrize(
    ("duration", "said"), [(12.0, "12"), (12.5, "12.5"), (None, None)]
)
def test_form_of_a_sound(duration: float | None, said: str | None):
    parts = form_of(
        "stable-audio-2.5",
        duration=duration,
        seed=7,
        output_format="wav",
        negative_prompt="drums",
        style="anime",
        metadata={"steps": 8},
    )
    plain = {
        "prompt": PROMPT,
        "model": "stable-audio-2.5",
        "seed": "7",
        "output_format": "wav",
        "steps": "8",
    }
    assert parts == {**plain, **({"duration": said} if said else {})}


@pytest.mark.parametrize(
    ("reply", "name", "content_type"),
    [
        (raw(MP3, "audio/mpeg"), "audio.mp3", "audio/mpeg"),
        (raw(WAV, "binary/octet-stream"), "audio.wav", "audio/wav"),
        (raw(b"no signature", "audio/x-wav"), "audio.wav", "audio/x-wav"),
        (raw(b"no signature", "audio/wave"), "audio.wav", "audio/wave"),
    ],
)
def test_input_sound_goes_as_a_file_of_its_kind(
    reply: Reply, name: str, content_type: str
):
    call = submitted("stable-audio-3", reply, audio_url=SOUND)
    file = call.parts[-1]
    assert (file.name, file.filename, file.content_type) == (
        "audio",
        name,
        content_type,
    )


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        ("edit-erase", {"metadata": {"mask": "mask.png"}}),
        ("edit-erase", {"metadata": {"mask": 4}}),
        ("edit-erase", {"metadata": {"mask": "data:image/png;base64,??"}}),
        ("edit-erase", {"metadata": {"mask": "data:image/tiff;base64,AA=="}}),
        ("edit-erase", {"metadata": {"mask": "data:image/png;base64,"}}),
        ("upscale-fast", {"images": (an_image_url(A), an_image_url(B))}),
        ("stable-image-core", {"images": (an_image_url(A),)}),
        ("stable-audio-2.5", {"action": "inpaint"}),
    ],
)
def test_what_no_form_can_say_is_rejected_before_it_is_paid(
    model: str, fields: dict[str, Any]
):
    with pytest.raises(errors.Rejected):
        play(stability.submit(wanted(model, **fields)))


@pytest.mark.parametrize(
    "reply",
    [
        raw(b"", "text/html", 404),
        raw(b"<html>", "text/html"),
        raw(b"fLaC", "audio/flac"),
        raw(b"??", ""),
    ],
)
def test_sound_that_cannot_be_used_is_rejected_before_it_is_paid(reply: Reply):
    request = wanted("stable-audio-3", audio_url=SOUND)
    with pytest.raises(errors.Rejected):
        play(stability.submit(request), reply)


def test_model_nobody_knows_is_refused():
    with pytest.raises(errors.ModelRefused):
        play(stability.submit(wanted("stable-diffusion-xl")))


# Answers


@pytest.mark.parametrize(
    ("reply", "model", "content", "content_type"),
    [
        (recorded("stability/image"), "stable-image-core", PNG, "image/png"),
        (recorded("stability/result"), "upscale-fast", PNG, "image/png"),
        (
            bytes_answer(WEBP, "image/webp", finish_reason="SUCCESS", seed="41"),
            "stable-image-ultra",
            WEBP,
            "image/webp",
        ),
        (bytes_answer(PNG, "image/png"), "stable-image-core", PNG, "image/png"),
        (
            Reply(
                200,
                {"content-type": "application/json; type=image/webp"},
                b'{"image":"AAAA","finish_reason":"SUCCESS","seed":1}',
            ),
            "stable-image-core",
            b"\0\0\0",
            "image/webp",
        ),
        (
            bytes_answer(MP3, "audio/mpeg", finish_reason="SUCCESS"),
            "stable-audio-2",
            MP3,
            "audio/mpeg",
        ),
        (bytes_answer(WAV, "audio/wav"), "stable-audio-2.5", WAV, "audio/wav"),
        (recorded("stability/sound"), "stable-audio-2.5", MP3, "audio/mpeg"),
    ],
)
def test_synchronous_answer_is_the_file(
    reply: Reply, model: str, content: bytes, content_type: str
):
    assert answered(reply, model) == Snapshot(
        phase=Phase.SUCCEEDED,
        percent=100,
        artifacts=(Artifact(content=content, content_type=content_type),),
    )


@pytest.mark.parametrize(
    "reply",
    [
        recorded("stability/image_filtered"),
        recorded("stability/result_filtered"),
        bytes_answer(PNG, "image/png", finish_reason="CONTENT_FILTERED"),
    ],
)
def test_filtered_file_is_a_failure_and_not_delivered(reply: Reply):
    for snapshot in (answered(reply), looked(reply)):
        assert (snapshot.phase, snapshot.artifacts) == (Phase.FAILED, ())
        assert snapshot.failure is not None
        assert snapshot.failure.reason is Reason.CONTENT_REJECTED
        assert snapshot.failure.code == "CONTENT_FILTERED"


UNEXPECTED = [
    answer({"image": "iVBORw0KGgo=", "finish_reason": "TIRED", "seed": 1}),
    answer({"image": "iVBORw0KGgo=", "finish_reason": None}),
    answer({"image": "iVBORw0KGgo="}),
    answer({"finish_reason": "SUCCESS"}),
    answer({"image": "", "finish_reason": "SUCCESS"}),
    answer({"image": "no base64!", "finish_reason": "SUCCESS"}),
    answer({"image": "AAAA", "result": "AAAA", "finish_reason": "SUCCESS"}),
    bytes_answer(b"", "image/png"),
    bytes_answer(PNG, "image/png", finish_reason="TIRED"),
    raw(b"<html></html>", "text/html"),
    raw(b"", ""),
]


@pytest.mark.parametrize("reply", UNEXPECTED)
def test_file_that_is_not_as_documented_is_neither_success_nor_failure(reply: Reply):
    with pytest.raises(errors.UnexpectedReply):
        answered(reply)
    with pytest.raises(errors.UnexpectedReply):
        looked(reply)


@pytest.mark.parametrize(
    ("model", "status", "media"),
    [
        ("upscale-creative", 200, "image"),
        ("replace-background-and-relight", 200, "image"),
        ("stable-audio-3", 202, "audio"),
    ],
)
def test_job_is_accepted_by_its_id(model: str, status: int, media: str):
    snapshot = answered(recorded("stability/accepted", status=status), model)
    assert snapshot == Snapshot(
        phase=Phase.PENDING, remote=Remote(JOB, {"media": media})
    )


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"id": ""},
        {"id": 7},
        {"id": "e5", "name": "internal_error", "errors": ["no"]},
        {"image": "iVBORw0KGgo=", "finish_reason": "SUCCESS"},
    ],
)
def test_job_without_an_id_of_its_own_is_unexpected(body: Any):
    with pytest.raises(errors.UnexpectedReply):
        answered(answer(body), "upscale-creative")


# Looks


@pytest.mark.parametrize(
    ("remote", "path", "accept"),
    [
        (PICTURE_JOB, f"/v2beta/results/{JOB}", "application/json"),
        (Remote("a/b"), "/v2beta/results/a%2Fb", "application/json"),
        (SOUND_JOB, f"/v2beta/audio/results/{JOB}", "audio/*"),
    ],
)
def test_job_is_looked_at_by_its_kind(remote: Remote, path: str, accept: str):
    running = recorded("stability/in_progress", status=202)
    (call,) = calls_of(stability.poll(remote), running)
    assert (call.method, call.url, call.paid) == ("GET", path, False)
    assert call.headers == {"accept": accept}


@pytest.mark.parametrize("status", [202, 200])
def test_job_in_progress_goes_on(status: int):
    snapshot = looked(recorded("stability/in_progress", status=status))
    assert snapshot == Snapshot(phase=Phase.RUNNING, remote=PICTURE_JOB)


@pytest.mark.parametrize(
    "body", [{"id": JOB, "status": "in_progress"}, {"id": JOB}, [], "in-progress"]
)
def test_undocumented_state_is_unexpected(body: Any):
    with pytest.raises(errors.UnexpectedReply):
        looked(answer(body, status=202))


@pytest.mark.parametrize(
    ("reply", "remote", "content", "content_type"),
    [
        (recorded("stability/result"), PICTURE_JOB, PNG, "image/png"),
        (recorded("stability/image"), PICTURE_JOB, PNG, "image/png"),
        (bytes_answer(WEBP, "image/webp"), PICTURE_JOB, WEBP, "image/webp"),
        (recorded("stability/sound"), SOUND_JOB, MP3, "audio/mpeg"),
        (
            bytes_answer(WAV, "audio/wav", finish_reason="SUCCESS"),
            SOUND_JOB,
            WAV,
            "audio/wav",
        ),
    ],
)
def test_ended_job_answers_with_its_file(
    reply: Reply, remote: Remote, content: bytes, content_type: str
):
    snapshot = looked(reply, remote)
    assert (snapshot.phase, snapshot.remote) == (Phase.SUCCEEDED, remote)
    assert snapshot.artifacts == (Artifact(content=content, content_type=content_type),)


def test_file_under_any_known_name_is_taken():
    (artifact,) = looked(recorded("stability/result_video")).artifacts
    assert artifact.content == b"\x00\x00\x00\x18ftypmp42"


def test_moderation_at_a_look_ends_the_job():
    snapshot = looked(recorded("stability/error_content_moderation", status=403))
    assert (snapshot.phase, snapshot.remote) == (Phase.FAILED, PICTURE_JOB)
    assert snapshot.failure is not None
    assert snapshot.failure.reason is Reason.CONTENT_REJECTED
    assert snapshot.failure.message == "The prompt was flagged."


# Errors

AT_SUBMIT: list[tuple[int, str, type[errors.ProviderError]]] = [
    (400, "bad_request", errors.Rejected),
    (401, "unauthorized", errors.KeyRefused),
    (402, "payment_required", errors.QuotaExhausted),
    (403, "content_moderation", errors.ContentRejected),
    (403, "forbidden", errors.ChannelRefused),
    (404, "not_found", errors.ModelRefused),
    (413, "payload_too_large", errors.Rejected),
    (422, "invalid_language", errors.ModelRefused),
    (429, "rate_limit_exceeded", errors.RateLimited),
    (500, "internal_error", errors.Unavailable),
]
AT_LOOK = [
    (404, "not_found", errors.NotFound),
    *(row for row in AT_SUBMIT if row[0] not in {404, 422, 403}),
    (403, "forbidden", errors.ChannelRefused),
]


@pytest.mark.parametrize(("status", "name", "kind"), AT_SUBMIT)
@pytest.mark.parametrize(
    "model", ["stable-image-core", "upscale-creative", "stable-audio-3"]
)
def test_refused_submit_is_classed(
    model: str, status: int, name: str, kind: type[errors.ProviderError]
):
    with pytest.raises(errors.ProviderError) as caught:
        answered(recorded(f"stability/error_{name}", status=status), model)
    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.status) == (name, status)


@pytest.mark.parametrize(("status", "name", "kind"), AT_LOOK)
def test_refused_look_is_classed(
    status: int, name: str, kind: type[errors.ProviderError]
):
    with pytest.raises(errors.ProviderError) as caught:
        looked(recorded(f"stability/error_{name}", status=status))
    assert type(caught.value) is kind


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_page_of_a_proxy_says_nothing_of_the_task(status: int):
    page = raw(b"<html></html>", "text/html", status)
    with pytest.raises(errors.Unavailable):
        answered(page)
    with pytest.raises(errors.Unavailable):
        looked(page)


def test_error_tells_all_its_texts():
    with pytest.raises(errors.Rejected) as caught:
        answered(recorded("stability/error_bad_request", status=400))
    assert str(caught.value) == "prompt: is required; seed: must be a number"


@pytest.mark.parametrize(("header", "wait_s"), [({}, 60.0), ({"retry_after": "7"}, 7)])
def test_rate_limit_lasts_a_minute_unless_told_otherwise(
    header: dict[str, str], wait_s: float
):
    reply = recorded("stability/error_rate_limit_exceeded", status=429, **header)
    with pytest.raises(errors.RateLimited) as caught:
        answered(reply)
    assert caught.value.retry_after_s == wait_s
    with pytest.raises(errors.RateLimited) as caught:
        looked(reply)
    assert caught.value.retry_after_s == wait_s


# Key and limits


def test_key_and_names_of_the_client_are_sent():
    settings = {"client_id": "gateway", "client_user_id": "u1", "client_version": "2"}
    call = Call("GET", "/v1/user/balance", headers={"accept": "audio/*"})
    authorized = stability.authorize(call, Credentials("sk-1", settings, 0.0))
    assert authorized.headers == {
        "accept": "audio/*",
        "stability-client-id": "gateway",
        "stability-client-user-id": "u1",
        "stability-client-version": "2",
        "Authorization": "Bearer sk-1",
    }
    plain = stability.authorize(call, Credentials("sk-1", {}, 0.0))
    assert set(plain.headers) == {"accept", "Authorization"}


def test_key_is_proved_by_the_balance():
    balance = recorded("stability/balance")
    (call,) = calls_of(stability.test(), balance)
    assert (call.method, call.url, call.paid) == ("GET", "/v1/user/balance", False)
    with pytest.raises(errors.KeyRefused):
        play(stability.test(), recorded("stability/error_unauthorized", status=401))
    with pytest.raises(errors.UnexpectedReply):
        play(stability.test(), answer({"weather": "fine"}))


@pytest.mark.parametrize(
    ("model", "inputs", "field"),
    [
        ("stable-image-core", {"n": 2}, "n"),
        ("stable-image-core", {"aspect_ratio": "7:3"}, "aspect_ratio"),
        ("stable-image-core", {"images": [A]}, "images"),
        ("stable-image-core", {"output_format": "gif"}, "output_format"),
        ("sd3.5-large", {"output_format": "webp"}, "output_format"),
        ("stable-image-ultra", {"images": [A, B]}, "images"),
        ("stable-image-ultra", {"prompt": "a" * 10_001}, "prompt"),
        ("stable-image-ultra", {"video_url": A}, "video_url"),
        ("upscale-fast", {}, "images"),
        ("upscale-fast", {"images": [A], "seed": 4}, "seed"),
        ("upscale-conservative", {"images": [A], "style": "anime"}, "style"),
        ("edit-remove-background", {"images": [A], "output_format": "jpg"}, None),
        ("stable-audio-2", {"duration": 191}, "duration"),
        ("stable-audio-2", {"duration": 0.5}, "duration"),
        ("stable-audio-3", {"duration": 381}, "duration"),
        ("stable-audio-3", {"action": "inpaint"}, "action"),
        ("stable-audio-3", {"images": [A]}, "images"),
        ("stable-audio-3", {"output_format": "flac"}, "output_format"),
    ],
)
def test_what_a_model_cannot_do_is_refused_at_intake(
    model: str, inputs: dict[str, Any], field: str | None
):
    problems = find_problems({"prompt": PROMPT, **inputs}, model_of(model))
    assert set(problems) == {field or "output_format"}


@pytest.mark.parametrize(
    ("model", "inputs"),
    [
        ("stable-image-core", {"style": "anime", "seed": 4, "size": "999x777"}),
        ("sd3.5-large", {"images": [A], "output_format": "jpg"}),
        ("edit-inpaint", {"images": [A, B], "negative_prompt": "x"}),
        ("stable-audio-3", {"duration": 380, "style": "x", "negative_prompt": "y"}),
        ("stable-audio-2.5", {"action": "INPAINT", "audio_url": SOUND}),
    ],
)
def test_what_a_model_can_do_passes_intake(model: str, inputs: dict[str, Any]):
    assert find_problems({"prompt": PROMPT, **inputs}, model_of(model)) == {}
