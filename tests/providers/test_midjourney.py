"""The midjourney-proxy protocol: every action, flag, code and state, row by row."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.capabilities import find_problems
from providers import errors, midjourney
from providers.dialects import midjourney_models
from providers.flow import Call, Reply
from providers.types import (
    Artifact,
    Callback,
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
TASK = "task_0123456789abcdef0123456789abcdef"
JOB = "1801122334455667"
PNG = b"\x89PNG\r\n\x1a\n"
DATA_URL = "data:image/png;base64,iVBORw0KGgo="
A, B = "https://cdn.example.com/a.png", "https://cdn.example.com/b.png"
GRID = (
    "https://cdn.discordapp.com/attachments/11/22/quay_grid.png"
    "?ex=67a1b2&is=67a0&hm=9c%2Bd&"
)
HOOK = "https://gw.example/up/1/abc"
CUSTOM_ID = "MJ::JOB::upsample::2::ab12"

PICTURE = Remote(JOB, {"makes": "image"})
FILM = Remote(JOB, {"makes": "video"})
TEXT = Remote(JOB, {"makes": "text"})


def wanted(model: str, *images: MediaInput, **fields: Any) -> GenerationRequest:
    described = midjourney.describe(model)
    media_type = described.media_type if described else MediaType.IMAGE
    return a_request(model=model, media_type=media_type, images=images, **fields)


def submitted(model: str, *images: MediaInput, fetched: int = 0, **fields: Any) -> Call:
    """The paid call of a submit that fetches so many images before."""
    files = [raw(PNG, "image/png")] * fetched
    reply = recorded(f"midjourney/{'upload' if model == 'mj_upload' else 'submit'}")
    request = wanted(model, *images, **fields)
    calls = calls_of(midjourney.submit(request), *files, reply)
    assert [call.paid for call in calls] == [False] * fetched + [True]
    assert all(call.public for call in calls[:-1])
    assert calls[-1].method == "POST"
    return calls[-1]


def body_of(model: str, *images: MediaInput, **fields: Any) -> dict[str, Any]:
    """The body without our reference, which is in every one."""
    body: dict[str, Any] = submitted(model, *images, **fields).json
    assert body.pop("state") == TASK
    return body


def answered(reply: Reply, model: str = "mj_imagine", **fields: Any) -> Snapshot:
    return play(midjourney.submit(wanted(model, **fields)), reply)


def looked(name: str, remote: Remote = PICTURE) -> Snapshot:
    return play(midjourney.poll(remote), recorded(f"midjourney/{name}"))


# Submit: actions


def test_imagine_is_asked_for_with_our_reference_and_hook():
    call = submitted("mj_imagine", callback_url=HOOK)
    assert (call.url, call.json) == (
        "/mj/submit/imagine",
        {
            "prompt": PROMPT,
            "botType": "MID_JOURNEY",
            "notifyHook": HOOK,
            "state": TASK,
        },
    )


def test_niji_is_another_bot():
    assert body_of("mj_imagine_niji")["botType"] == "NIJI_JOURNEY"


def test_links_stand_before_the_prompt_and_uploads_beside_it():
    images = (an_image_url(A), an_upload(), an_image_url(B))
    body = body_of("mj_imagine", *images, fetched=1)
    assert body["prompt"] == f"{A} {B} {PROMPT}"
    assert body["base64Array"] == [DATA_URL]


def test_metadata_adds_fields_but_not_the_gateways_own():
    metadata = {
        "accountFilter": {"modes": ["RELAX"]},
        "botType": "NIJI_JOURNEY",
        "notifyHook": "https://evil.example",
        "state": "mine",
        "separate": True,
    }
    body = body_of("mj_imagine", metadata=metadata, callback_url=HOOK)
    assert body == {
        "prompt": PROMPT,
        "botType": "NIJI_JOURNEY",
        "accountFilter": {"modes": ["RELAX"]},
        "notifyHook": HOOK,
    }


@pytest.mark.parametrize(
    ("fields", "flags"),
    [
        ({"aspect_ratio": "16 / 9"}, "--ar 16:9"),
        ({"aspect_ratio": "16:9", "size": "1024x1024"}, "--ar 16:9"),
        ({"size": "1024x1536"}, "--ar 2:3"),
        ({"size": "1920*1080"}, "--ar 16:9"),
        ({"size": "3:2"}, "--ar 3:2"),
        ({"width": 800, "height": 600}, "--ar 4:3"),
        ({"size": "auto"}, ""),
        ({"aspect_ratio": "0:3"}, ""),
        ({"size": "0x10"}, ""),
        ({"negative_prompt": "people, text"}, "--no people, text"),
        ({"seed": 0}, "--seed 0"),
        ({"seed": 42}, "--seed 42"),
        ({"quality": "0.5"}, "--q 0.5"),
        ({"quality": "low"}, "--q 0.5"),
        ({"quality": "standard"}, "--q 1"),
        ({"quality": "HD"}, "--q 2"),
        ({"style": "raw"}, "--style raw"),
        ({"style": "250"}, "--s 250"),
        (
            {"size": "100x200", "negative_prompt": "fog", "seed": 7, "style": "raw"},
            "--ar 1:2 --no fog --seed 7 --style raw",
        ),
    ],
)
def test_wishes_become_flags(fields: dict[str, Any], flags: str):
    assert body_of("mj_imagine", **fields)["prompt"] == f"{PROMPT} {flags}".strip()


@pytest.mark.parametrize(
    "prompt",
    [
        "a quay --ar 3:2 --no fog --seed 1 --q 1 --s 50",
        "a quay —aspect 3:2 --no fog --seed 1 --quality 1 --stylize 50",
    ],
)
def test_flag_in_the_prompt_wins(prompt: str):
    wishes = {
        "size": "100x100",
        "negative_prompt": "x",
        "seed": 9,
        "quality": "2",
        "style": "100",
    }
    assert body_of("mj_imagine", prompt=prompt, **wishes)["prompt"] == prompt


def test_word_that_only_begins_like_a_flag_is_none():
    body = body_of("mj_imagine", prompt="a quay --arch x--ar", aspect_ratio="1:1")
    assert body["prompt"] == "a quay --arch x--ar --ar 1:1"


@pytest.mark.parametrize(
    ("fields", "dimensions"),
    [
        ({}, None),
        ({"size": "1024x1024"}, "SQUARE"),
        ({"aspect_ratio": "9:16"}, "PORTRAIT"),
        ({"size": "16:9"}, "LANDSCAPE"),
    ],
)
def test_blend_has_data_urls_and_one_of_three_shapes(
    fields: dict[str, Any], dimensions: str | None
):
    images = (an_image_url(A), an_upload())
    body = body_of("mj_blend", *images, fetched=2, **fields)
    shape = {"dimensions": dimensions} if dimensions else {}
    assert body == {"base64Array": [DATA_URL, DATA_URL], **shape}


BODIES: list[tuple[str, int, dict[str, Any], str, dict[str, Any]]] = [
    ("mj_describe", 1, {}, "submit/describe", {"base64": DATA_URL}),
    ("mj_shorten", 0, {}, "submit/shorten", {"prompt": PROMPT}),
    (
        "mj_upscale",
        0,
        {"taskId": JOB, "index": 2, "action": "REROLL"},
        "submit/change",
        {"taskId": JOB, "index": 2, "action": "UPSCALE"},
    ),
    (
        "mj_variation",
        0,
        {"taskId": JOB, "index": 4},
        "submit/change",
        {"taskId": JOB, "index": 4, "action": "VARIATION"},
    ),
    (
        "mj_reroll",
        0,
        {"taskId": JOB},
        "submit/change",
        {"taskId": JOB, "action": "REROLL"},
    ),
    (
        "mj_upscale",
        0,
        {"content": f"{JOB} U2"},
        "submit/simple-change",
        {"content": f"{JOB} U2"},
    ),
    (
        "mj_upscale",
        0,
        {"taskId": JOB, "customId": CUSTOM_ID},
        "submit/action",
        {"taskId": JOB, "customId": CUSTOM_ID},
    ),
    *(
        (
            model,
            0,
            {"taskId": JOB, "customId": CUSTOM_ID, "chooseSameChannel": True},
            "submit/action",
            {"taskId": JOB, "customId": CUSTOM_ID, "chooseSameChannel": True},
        )
        for model in (
            "mj_high_variation",
            "mj_low_variation",
            "mj_zoom",
            "mj_custom_zoom",
            "mj_pan",
        )
    ),
    (
        "mj_inpaint",
        1,
        {"taskId": JOB, "customId": CUSTOM_ID, "prompt": "x"},
        "submit/action",
        {"taskId": JOB, "customId": CUSTOM_ID},
    ),
    (
        "mj_modal",
        1,
        {"taskId": JOB},
        "submit/modal",
        {"taskId": JOB, "prompt": PROMPT, "maskBase64": DATA_URL},
    ),
    ("mj_modal", 0, {"taskId": JOB}, "submit/modal", {"taskId": JOB, "prompt": PROMPT}),
    ("mj_edits", 1, {}, "submit/edits", {"prompt": PROMPT, "image": DATA_URL}),
    ("mj_retexture", 1, {}, "submit/retexture", {"prompt": PROMPT, "image": DATA_URL}),
    (
        "mj_video",
        2,
        {"motion": "high", "loop": False},
        "submit/video",
        {
            "prompt": PROMPT,
            "image": DATA_URL,
            "endImage": DATA_URL,
            "batchSize": 1,
            "motion": "high",
            "loop": False,
        },
    ),
    (
        "mj_video",
        0,
        {"action": "extend", "taskId": JOB, "index": 0},
        "submit/video",
        {
            "prompt": PROMPT,
            "batchSize": 1,
            "action": "extend",
            "taskId": JOB,
            "index": 0,
        },
    ),
    (
        "swap_face",
        2,
        {},
        "insight-face/swap",
        {"sourceBase64": DATA_URL, "targetBase64": DATA_URL},
    ),
    (
        "mj_upload",
        2,
        {},
        "submit/upload-discord-images",
        {"base64Array": [DATA_URL, DATA_URL]},
    ),
]


@pytest.mark.parametrize(("model", "images", "metadata", "path", "body"), BODIES)
def test_action_is_asked_for_by_its_path(
    model: str, images: int, metadata: dict[str, Any], path: str, body: dict[str, Any]
):
    uploads = (an_upload(),) * images
    call = submitted(model, *uploads, fetched=images, metadata=metadata)
    assert (call.url, call.json) == (f"/mj/{path}", {**body, "state": TASK})


def test_every_model_has_a_row():
    rows = {model for model, *_ in BODIES} | {"mj_imagine", "mj_imagine_niji"}
    assert {model.name for model in midjourney_models.MODELS} == rows | {"mj_blend"}


@pytest.mark.parametrize("model", ["mj_edits", "mj_video"])
def test_link_of_an_image_is_sent_as_it_is(model: str):
    assert body_of(model, an_image_url(A))["image"] == A


@pytest.mark.parametrize("model", ["mj_describe", "mj_inpaint", "mj_modal"])
def test_image_is_fetched_where_only_data_is_taken(model: str):
    submitted(model, an_image_url(A), fetched=1)


@pytest.mark.parametrize(
    ("resolution", "said"),
    [("480p", "vid_1.1_i2v_480"), ("720P", "vid_1.1_i2v_720"), (None, None)],
)
@pytest.mark.parametrize("n", [1, 2, 4])
def test_film_has_a_resolution_and_a_count(
    resolution: str | None, said: str | None, n: int
):
    body = body_of("mj_video", an_image_url(A), resolution=resolution, n=n)
    assert (body.get("videoType"), body["batchSize"]) == (said, n)


@pytest.mark.parametrize(
    ("model", "images", "fields"),
    [
        ("mj_blend", 1, {}),
        ("mj_describe", 2, {}),
        ("swap_face", 1, {}),
        ("swap_face", 3, {}),
        ("mj_edits", 0, {}),
        ("mj_video", 1, {"n": 3}),
        ("mj_imagine", 0, {"style": "digital art"}),
    ],
)
def test_what_cannot_be_said_is_rejected_before_it_is_paid(
    model: str, images: int, fields: dict[str, Any]
):
    request = wanted(model, *(an_image_url(A),) * images, **fields)
    with pytest.raises(errors.Rejected):
        play(midjourney.submit(request))


def test_action_nobody_knows_is_refused():
    with pytest.raises(errors.ModelRefused):
        play(midjourney.submit(wanted("mj_dream")))


# Submit: answers


@pytest.mark.parametrize(
    ("name", "makes"),
    [("submit", "image"), ("submit_number", "image"), ("queued_22", "image")],
)
def test_accepted_task_has_an_id(name: str, makes: str):
    assert answered(recorded(f"midjourney/{name}")) == Snapshot(
        phase=Phase.PENDING,
        remote=Remote(JOB, {"makes": makes}),
        usage={"task_id": JOB},
    )


@pytest.mark.parametrize(
    ("model", "links"),
    [
        ("mj_shorten", {"makes": "text"}),
        ("mj_video", {"makes": "video"}),
        ("mj_upscale", {"makes": "image"}),
    ],
)
def test_what_a_task_makes_is_kept_with_its_id(model: str, links: dict[str, str]):
    snapshot = answered(recorded("midjourney/submit"), model)
    assert snapshot.remote == Remote(JOB, links)


@pytest.mark.parametrize("model", ["mj_upscale", "mj_inpaint"])
def test_task_that_exists_already_is_the_one_to_look_at(model: str):
    snapshot = answered(recorded("midjourney/exists_21"), model)
    assert (snapshot.phase, snapshot.remote) == (Phase.PENDING, PICTURE)


def test_upload_is_answered_with_its_links():
    reply = recorded("midjourney/upload")
    request = wanted("mj_upload", an_upload())
    snapshot = play(midjourney.submit(request), raw(PNG, "image/png"), reply)
    assert (snapshot.phase, snapshot.percent) == (Phase.SUCCEEDED, 100)
    assert [artifact.url for artifact in snapshot.artifacts] == reply.json()["result"]


@pytest.mark.parametrize("result", [[], ["ftp://x"], [7], "17", None])
def test_upload_without_links_is_unexpected(result: Any):
    request = wanted("mj_upload", an_upload())
    reply = answer({"code": 1, "description": "ok", "result": result})
    with pytest.raises(errors.UnexpectedReply):
        play(midjourney.submit(request), raw(PNG, "image/png"), reply)


@pytest.mark.parametrize(
    "reply",
    [
        recorded("midjourney/without_id"),
        recorded("midjourney/unknown_77"),
        recorded("midjourney/upload"),
        answer({"code": 1, "result": ""}),
        answer({"code": 1, "result": None}),
        answer({"code": 1, "result": True}),
        answer({"code": "success", "result": JOB}),
        answer({"code": 1, "result": JOB, "properties": "x"}),
        raw(b"", "application/json"),
        raw(b"ok", "text/plain"),
    ],
)
def test_answer_that_names_no_task_leaves_the_outcome_open(reply: Reply):
    with pytest.raises(errors.UnexpectedReply):
        answered(reply)


# Windows


def confirmed(model: str, *replies: Reply | Exception, **fields: Any) -> Snapshot:
    metadata = {"taskId": JOB, "customId": CUSTOM_ID, **fields.pop("metadata", {})}
    request = wanted(model, metadata=metadata, **fields)
    window = recorded("midjourney/window_21")
    return play(midjourney.submit(request), window, *replies)


@pytest.mark.parametrize(
    ("model", "prompt"),
    [("mj_custom_zoom", f"{PROMPT} --seed 4"), ("mj_zoom", f"{PROMPT} --seed 4")],
)
def test_window_is_answered_with_the_prompt(model: str, prompt: str):
    request = wanted(model, seed=4, callback_url=HOOK, metadata={"customId": "x"})
    replies = recorded("midjourney/window_21"), recorded("midjourney/submit")
    first, second = calls_of(midjourney.submit(request), *replies)
    assert (first.paid, second.paid) == (True, False)
    assert (second.method, second.url) == ("POST", "/mj/submit/modal")
    assert second.json == {
        "taskId": JOB,
        "prompt": prompt,
        "notifyHook": HOOK,
        "state": TASK,
    }


@pytest.mark.parametrize(
    ("images", "metadata"), [((an_upload(),), {}), ((), {"maskBase64": DATA_URL})]
)
def test_mask_goes_into_the_window(
    images: tuple[MediaInput, ...], metadata: dict[str, Any]
):
    request = wanted("mj_inpaint", *images, metadata={"taskId": JOB, **metadata})
    files = [raw(PNG, "image/png")] * len(images)
    replies = recorded("midjourney/window_21"), recorded("midjourney/submit")
    *_, first, second = calls_of(midjourney.submit(request), *files, *replies)
    assert "maskBase64" not in first.json
    assert second.json["maskBase64"] == DATA_URL


def test_task_of_the_window_is_looked_at():
    told = answer({"code": 1, "description": "ok", "result": "99"})
    snapshot = confirmed("mj_inpaint", told)
    assert (snapshot.phase, snapshot.remote) == (
        Phase.PENDING,
        Remote("99", {"makes": "image"}),
    )


@pytest.mark.parametrize("text", ["Waiting for window confirm", "等待弹窗确认", ""])
def test_window_is_known_by_its_text_or_its_action(text: str):
    """Custom zoom and inpaint always open one; for others the text must tell."""
    told = answer({"code": 21, "description": text, "result": JOB})
    request = wanted("mj_inpaint")
    play(midjourney.submit(request), told, recorded("midjourney/submit"))
    more = [recorded("midjourney/submit")] if text else []
    play(midjourney.submit(wanted("mj_pan")), told, *more)


@pytest.mark.parametrize(
    "trouble",
    [
        errors.AnswerLost("gone"),
        answer({}, status=502),
        raw(b"<html>", "text/html"),
        answer({"code": 77, "description": "?"}),
    ],
)
def test_window_whose_answer_is_unclear_leaves_a_known_task(
    trouble: Reply | Exception,
):
    assert confirmed("mj_inpaint", trouble).remote == PICTURE


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("banned_24", errors.ContentRejected),
        ("invalid_4", errors.Rejected),
        ("full_23", errors.RateLimited),
    ],
)
def test_window_that_is_refused_refuses_the_task(
    name: str, kind: type[errors.ProviderError]
):
    with pytest.raises(errors.ProviderError) as caught:
        confirmed("mj_inpaint", recorded(f"midjourney/{name}"))
    assert type(caught.value) is kind


# Submit: refusals

SAID: list[tuple[str, int, str, type[errors.ProviderError]]] = [
    ("none_3", 200, "3", errors.RateLimited),
    ("none_3", 404, "3", errors.RateLimited),
    ("invalid_4", 200, "4", errors.Rejected),
    ("quota_4", 200, "4", errors.QuotaExhausted),
    ("failed_9", 200, "9", errors.RateLimited),
    ("full_23", 200, "23", errors.RateLimited),
    ("banned_24", 200, "24", errors.ContentRejected),
    ("api_key", 401, "4", errors.KeyRefused),
    ("api_key", 403, "4", errors.ChannelRefused),
    ("api_key", 503, "4", errors.RateLimited),
    ("api_key", 400, "4", errors.Rejected),
    ("api_relayed", 503, "4", errors.Unavailable),
    ("api_quota", 403, "4", errors.QuotaExhausted),
    ("api_relayed", 400, "4", errors.Rejected),
    ("banned_24", 400, "24", errors.ContentRejected),
    ("full_23", 400, "23", errors.RateLimited),
    ("none_3", 400, "3", errors.RateLimited),
    ("api_saturated", 429, "30", errors.RateLimited),
    ("api_unknown", 400, "5", errors.Unavailable),
]


@pytest.mark.parametrize(("name", "status", "code", "kind"), SAID)
def test_refused_submit_is_classed_by_its_code(
    name: str, status: int, code: str, kind: type[errors.ProviderError]
):
    with pytest.raises(errors.ProviderError) as caught:
        answered(recorded(f"midjourney/{name}", status=status))
    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.status) == (code, status)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(401), errors.KeyRefused),
        (raw(b"Authorization header missing.", "text/plain", 401), errors.KeyRefused),
        (raw(b"forbidden", "text/plain", 403), errors.ChannelRefused),
        (raw(b"slow down", "text/plain", 429), errors.RateLimited),
        (raw(b"<html>", "text/html", 404), errors.ChannelRefused),
        (answer({"status": 500, "error": "Internal"}, status=500), errors.Unavailable),
        (raw(b"<html>", "text/html", 502), errors.Unavailable),
        (answer({"code": 9, "description": "x"}, status=500), errors.Unavailable),
    ],
)
def test_refusal_without_a_code_is_classed_by_its_status(
    reply: Reply, kind: type[errors.ProviderError]
):
    with pytest.raises(errors.ProviderError) as caught:
        answered(reply)
    assert type(caught.value) is kind


@pytest.mark.parametrize("model", ["mj_upscale", "mj_pan", "mj_modal"])
@pytest.mark.parametrize("status", [200, 400, 404])
def test_unknown_task_to_go_on_from_may_be_known_elsewhere(model: str, status: int):
    with pytest.raises(errors.NotFound):
        answered(recorded("midjourney/none_3", status=status), model)


def test_banned_word_is_named():
    with pytest.raises(errors.ContentRejected, match="可能包含敏感词: gory"):
        answered(recorded("midjourney/banned_24"))


# Looks


def test_task_is_looked_at_by_its_id():
    reply = recorded("midjourney/task_submitted")
    (call,) = calls_of(midjourney.poll(Remote("a/b")), reply)
    assert (call.method, call.url, call.paid) == ("GET", "/mj/task/a%2Fb/fetch", False)


@pytest.mark.parametrize(
    ("name", "phase", "percent"),
    [
        ("task_not_start", Phase.PENDING, None),
        ("task_submitted", Phase.PENDING, 0),
        ("task_empty_status", Phase.PENDING, None),
        ("task_null_status", Phase.PENDING, None),
        ("task_modal", Phase.RUNNING, None),
        ("task_in_progress", Phase.RUNNING, 46),
        ("task_waiting", Phase.RUNNING, None),
        ("task_cancel", Phase.CANCELLED, 0),
        ("task_failure_cancelled", Phase.CANCELLED, 0),
    ],
)
def test_state_without_a_result(name: str, phase: Phase, percent: int | None):
    assert looked(name) == Snapshot(phase=phase, remote=PICTURE, percent=percent)


def test_cancellation_is_read_from_a_failure_only():
    task = {"id": JOB, "status": "SUCCESS", "imageUrl": GRID, "failReason": "取消任务"}
    assert play(midjourney.poll(PICTURE), answer(task)).phase is Phase.SUCCEEDED


@pytest.mark.parametrize(
    ("progress", "percent"),
    [("100%", 99), ("7%", 7), ("", None), ("waiting", None), (None, None), (46, None)],
)
def test_progress_of_a_running_task(progress: Any, percent: int | None):
    task = {"id": JOB, "status": "IN_PROGRESS", "progress": progress}
    assert play(midjourney.poll(PICTURE), answer(task)).percent == percent


def test_finished_picture_is_one_grid_and_tells_how_to_go_on():
    snapshot = looked("task_success")
    assert (snapshot.phase, snapshot.percent) == (Phase.SUCCEEDED, 100)
    assert snapshot.artifacts == (Artifact(url=GRID),)
    assert snapshot.usage == {
        "task_id": JOB,
        "buttons": [
            {"label": "U1", "customId": "MJ::JOB::upsample::1::ab12"},
            {"label": "🔄", "customId": "MJ::JOB::reroll::0::ab12::SOLO"},
        ],
    }


def test_four_files_are_taken_where_they_are_wanted_and_there():
    request = wanted("mj_imagine", metadata={"separate": True})
    remote = play(midjourney.submit(request), recorded("midjourney/submit")).remote
    assert remote is not None
    four = looked("task_success_four", remote).artifacts
    assert [str(artifact.url)[-11:] for artifact in four] == [
        f"{number}.png?ex={number}%2B"[-11:] for number in (1, 2, 3, 4)
    ]
    assert len(looked("task_success", remote).artifacts) == 1
    assert looked("task_success_four").artifacts == (Artifact(url=GRID),)
    request = wanted("mj_imagine", metadata={"separate": False})
    assert play(midjourney.submit(request), recorded("midjourney/submit")).remote == (
        PICTURE
    )


@pytest.mark.parametrize(
    ("name", "remote", "urls"),
    [
        (
            "task_video",
            FILM,
            ["https://cdn.example.com/v1.mp4?s=%2F", "https://cdn.example.com/v2.mp4"],
        ),
        ("task_video_single", FILM, ["https://cdn.example.com/v.mp4?s=%2F"]),
    ],
)
def test_finished_films(name: str, remote: Remote, urls: list[str]):
    artifacts = looked(name, remote).artifacts
    assert artifacts == tuple(
        Artifact(url=url, content_type="video/mp4") for url in urls
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [("task_described", "1. a quay in rain"), ("task_described_bare", "2. boats")],
)
def test_finished_text(name: str, text: str):
    assert looked(name, TEXT).artifacts == (Artifact(text=text),)


@pytest.mark.parametrize(
    ("task", "remote"),
    [
        ({"status": "SUCCESS", "imageUrl": None}, PICTURE),
        ({"status": "SUCCESS", "imageUrl": "attachment"}, PICTURE),
        ({"status": "SUCCESS", "imageUrl": GRID}, FILM),
        ({"status": "SUCCESS", "promptEn": ""}, TEXT),
        ({"status": "DREAMING"}, PICTURE),
        ({"progress": "46%"}, PICTURE),
        ([], PICTURE),
    ],
)
def test_task_that_is_not_as_documented_is_unexpected(task: Any, remote: Remote):
    told = {"id": JOB, **task} if task else task
    with pytest.raises(errors.UnexpectedReply):
        play(midjourney.poll(remote), answer(told))


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("[Invalid parameter] Invalid value 99 for --ar", Reason.INVALID_REQUEST),
        ("[Invalid link] Could not fetch image", Reason.INVALID_REQUEST),
        ("[Banned prompt detected] the word `gory`", Reason.CONTENT_REJECTED),
        ("Content moderated", Reason.CONTENT_REJECTED),
        ("任务超时", Reason.UPSTREAM_TIMEOUT),
        ("[Job queued] wait", Reason.UPSTREAM_FAILED),
        ("Failed to process your command", Reason.UPSTREAM_FAILED),
        ("无可用的账号实例", Reason.UPSTREAM_FAILED),
        ("[Account blocked] x", Reason.UPSTREAM_FAILED),
        (None, Reason.UPSTREAM_FAILED),
    ],
)
def test_reason_of_a_failure_is_in_its_text(told: str | None, reason: Reason):
    task = {"id": JOB, "status": "FAILURE", "progress": "", "failReason": told}
    snapshot = play(midjourney.poll(PICTURE), answer(task))
    assert (snapshot.phase, snapshot.artifacts) == (Phase.FAILED, ())
    assert snapshot.failure is not None
    assert snapshot.failure.reason is reason
    assert snapshot.failure.message == (told or "the upstream gave no reason")


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (raw(b"", "application/json"), errors.NotFound),
        (Reply(204), errors.NotFound),
        (recorded("midjourney/api_no_task", status=400), errors.NotFound),
        (recorded("midjourney/api_relayed", status=400), errors.Rejected),
        (raw(b"<html>", "text/html", 404), errors.Unavailable),
        (Reply(401), errors.KeyRefused),
        (Reply(429), errors.RateLimited),
        (Reply(503), errors.Unavailable),
        (raw(b"<html>", "text/html"), errors.UnexpectedReply),
    ],
)
def test_look_without_a_task_is_classed(reply: Reply, kind: type[errors.ProviderError]):
    with pytest.raises(errors.ProviderError) as caught:
        play(midjourney.poll(PICTURE), reply)
    assert type(caught.value) is kind


def test_many_tasks_are_looked_at_in_one_call():
    ids = [JOB, "1801122334455668", "1801122334455669", "17"]
    remotes = [Remote(each, {"makes": "image"}) for each in ids]
    reply = recorded("midjourney/tasks")
    (call,) = calls_of(midjourney.poll_many(remotes), reply)
    assert (call.method, call.url, call.json) == (
        "POST",
        "/mj/task/list-by-condition",
        {"ids": ids},
    )
    found = play(midjourney.poll_many(remotes), reply)
    assert {each: found[each].phase for each in found} == {
        ids[0]: Phase.RUNNING,
        ids[1]: Phase.SUCCEEDED,
        ids[2]: Phase.RUNNING,  # a word nobody documented does not spoil the others
    }


@pytest.mark.parametrize("body", [{}, None, [7], [{"status": "SUCCESS"}]])
def test_answer_that_is_no_list_of_tasks_is_unexpected(body: Any):
    with pytest.raises(errors.UnexpectedReply):
        play(midjourney.poll_many([PICTURE]), answer(body))


# Finding, cancelling, callbacks, keys


def test_lost_task_is_found_by_our_reference():
    reply = recorded("midjourney/listed")
    (call,) = calls_of(midjourney.find(wanted("mj_imagine")), reply)
    assert (call.method, call.url) == ("GET", "/mj/task/list")
    found = play(midjourney.find(wanted("mj_imagine")), reply)
    assert found is not None
    assert (found.phase, found.remote) == (Phase.SUCCEEDED, PICTURE)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (answer([]), errors.Unavailable),
        (recorded("midjourney/tasks"), None),
        (raw(b"<html>", "text/html", 404), errors.Unavailable),
        (answer({"list": []}), errors.UnexpectedReply),
    ],
)
def test_task_that_is_not_listed_may_exist_all_the_same(
    reply: Reply, kind: type[errors.ProviderError] | None
):
    request = wanted("mj_imagine")
    if kind is None:
        reply = answer([{**task, "state": "else"} for task in reply.json()])
    with pytest.raises(kind or errors.Unavailable):
        play(midjourney.find(request), reply)


@pytest.mark.parametrize(
    ("reply", "stopped"),
    [
        (recorded("midjourney/cancelled"), True),
        (recorded("midjourney/not_cancelled"), False),
        (recorded("midjourney/not_cancelled", status=400), False),
        (raw(b"<html>", "text/html", 404), False),
        (Reply(405), False),
        (Reply(204), False),
    ],
)
def test_task_is_stopped_where_that_is_possible(reply: Reply, stopped: bool):
    (call,) = calls_of(midjourney.cancel(PICTURE), reply)
    assert (call.method, call.url) == ("POST", f"/mj/task/{JOB}/cancel")
    assert play(midjourney.cancel(PICTURE), reply) is stopped


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(401), errors.KeyRefused),
        (Reply(500), errors.Unavailable),
        (raw(b"ok", "text/plain"), errors.UnexpectedReply),
    ],
)
def test_unclear_cancellation_is_an_error(
    reply: Reply, kind: type[errors.ProviderError]
):
    with pytest.raises(kind):
        play(midjourney.cancel(PICTURE), reply)


@pytest.mark.parametrize(
    ("model", "makes"), [("mj_imagine", "image"), ("mj_video", "video")]
)
def test_callback_names_the_task(model: str, makes: str):
    body = recorded("midjourney/task_in_progress").content
    heard = midjourney.receive(Callback({}, body), model)
    assert (heard.ids, heard.signed) == ((JOB,), None)
    assert heard.remote == Remote(JOB, {"makes": makes})


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", json.dumps({"id": ""}).encode()])
def test_callback_without_a_task_is_unexpected(body: bytes):
    with pytest.raises(errors.UnexpectedReply):
        midjourney.receive(Callback({}, body), "mj_imagine")


@pytest.mark.parametrize(
    ("settings", "headers"),
    [
        ({}, {"mj-api-secret": "k", "Authorization": "Bearer k"}),
        ({"key_header": "both"}, {"mj-api-secret": "k", "Authorization": "Bearer k"}),
        ({"key_header": "mj-api-secret"}, {"mj-api-secret": "k"}),
        ({"key_header": "bearer"}, {"Authorization": "Bearer k"}),
        ({"key_header": "token"}, {"Authorization": "k"}),
    ],
)
def test_secret_is_sent_where_the_deployment_reads_it(
    settings: dict[str, str], headers: dict[str, str]
):
    call = midjourney.authorize(Call("GET", "/"), Credentials("k", settings, 0.0))
    assert call.headers == headers


def test_key_is_proved_by_asking_for_nothing():
    (call,) = calls_of(midjourney.test(), answer([]))
    assert (call.url, call.json, call.paid) == (
        *("/mj/task/list-by-condition", {"ids": ["0"]}),
        False,
    )
    with pytest.raises(errors.KeyRefused):
        play(midjourney.test(), Reply(401))


@pytest.mark.parametrize(
    ("model", "inputs", "field"),
    [
        ("mj_imagine", {"n": 4}, "n"),
        ("mj_imagine", {"quality": "ultra"}, "quality"),
        ("mj_imagine", {"audio_url": A}, "audio_url"),
        ("mj_describe", {"images": [A], "seed": 4}, "seed"),
        ("mj_describe", {"images": [A], "size": "1x1"}, "size"),
        ("mj_blend", {"images": [A] * 6}, "images"),
        ("mj_blend", {"images": [A, B], "negative_prompt": "x"}, "negative_prompt"),
        ("mj_upscale", {"images": [A]}, "images"),
        ("mj_upscale", {"style": "raw"}, "style"),
        ("mj_edits", {}, "images"),
        ("mj_video", {"resolution": "1080p"}, "resolution"),
        ("mj_video", {"duration": 10}, "duration"),
        ("mj_video", {"n": 5}, "n"),
        ("swap_face", {"images": [A] * 3}, "images"),
    ],
)
def test_what_an_action_cannot_do_is_refused_at_intake(
    model: str, inputs: dict[str, Any], field: str
):
    described = midjourney.describe(model)
    assert described is not None
    assert set(find_problems({"prompt": PROMPT, **inputs}, described)) == {field}
