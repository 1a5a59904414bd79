"""Hunyuan's flows over real HTTP against the sandbox."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from typing import Any

import av
import pytest
import requests
from PIL import Image

from providers import errors, hunyuan
from providers.flow import Call, Reply, drive
from providers.types import (
    Artifact,
    Credentials,
    GenerationRequest,
    MediaType,
    Model,
    Phase,
    Provider,
    Reason,
    Remote,
    Snapshot,
)
from sandbox.jobs import parse_durations
from sandbox.server import Sandbox, SandboxSettings, running
from tests.builders import a_request, an_image_url, an_upload
from tests.sandbox.sending import Sender, Upload, sender

IMAGE, TALK, LITE = "hunyuan-image", "hunyuan-image-chat", "hunyuan-image-lite"
FILM, MOVING, PRO = "hunyuan-video", "hunyuan-i2v", "aiart-pro"
EACH = (hunyuan.PROVIDER, hunyuan.VIDEO, hunyuan.ART)
HOMES = {model.name: provider for provider in EACH for model in provider.models}
KEY = "sandbox-id:sandbox-key"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    settings = SandboxSettings(durations=parse_durations("fixed:0.05"))
    with running(settings=settings) as server:
        yield server


@pytest.fixture(autouse=True)
def fresh(sandbox: Sandbox) -> None:
    sandbox.reset()


def a_picture(width: int = 400, height: int = 300, kind: str = "png") -> Upload:
    data = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(data, kind)
    return Upload(data.getvalue(), f"image/{kind}")


def a_sender(
    sandbox: Sandbox,
    provider: Provider = hunyuan.PROVIDER,
    key: str = KEY,
    upload: Upload | None = None,
    **settings: str,
) -> Sender:
    return sender(
        sandbox.url + provider.sandbox_path,
        provider,
        key,
        settings=settings,
        uploads=[upload or a_picture()],
    )


def wanted(
    prompt: str = "a brass compass", model: str = IMAGE, **fields: Any
) -> GenerationRequest:
    described = HOMES[model].describe(model)
    assert described is not None
    return a_request(
        **{
            "model": model,
            "media_type": described.media_type,
            "prompt": prompt,
            **fields,
        }
    )


def made(
    sandbox: Sandbox, prompt: str = "a brass compass", model: str = IMAGE, **fields: Any
) -> Snapshot:
    send = a_sender(sandbox, HOMES[model])
    start = send.submit(wanted(prompt, model, **fields))
    return send.wait(start, pause_s=0.02)


def size_of(sandbox: Sandbox, artifact: Artifact) -> tuple[int, int]:
    data = a_sender(sandbox).fetch(artifact)
    return Image.open(io.BytesIO(data)).size


def test_images_are_made_in_the_size_asked_for(sandbox: Sandbox):
    end = made(sandbox, "ein Hut 帽子", size="1280x768", n=3, seed=4)
    assert len(end.artifacts) == 3
    assert {size_of(sandbox, image) for image in end.artifacts} == {(1280, 768)}


def test_an_image_is_made_larger_than_its_size(sandbox: Sandbox):
    fields = {"metadata": {"Clarity": "x2"}, "images": (an_upload(),)}
    (image,) = made(sandbox, aspect_ratio="4:3", **fields).artifacts
    assert size_of(sandbox, image) == (2048, 1536)


@pytest.mark.parametrize(
    ("model", "images"),
    [(FILM, ()), (FILM, (an_upload(),)), (MOVING, (an_upload(),))],
)
def test_a_film_is_made(sandbox: Sandbox, model: str, images: tuple[Any, ...]):
    end = made(sandbox, model=model, images=images, resolution="720P")
    (film,) = end.artifacts
    assert film.content_type == "video/mp4"
    with av.open(io.BytesIO(a_sender(sandbox).fetch(film))) as opened:
        assert opened.streams.video


@pytest.mark.parametrize("kind", ["url", "b64_json"])
def test_lite_answers_at_once(sandbox: Sandbox, kind: str):
    request = wanted(model=LITE, size="1080x1920", metadata={"response_format": kind})
    (image,) = a_sender(sandbox).submit(request).artifacts
    assert (image.url is not None) is (kind == "url")
    assert size_of(sandbox, image) == (1080, 1920)


def test_a_talk_goes_on_with_its_id(sandbox: Sandbox):
    first = made(sandbox, "a red kite", TALK)
    again = made(sandbox, "make it green", TALK, metadata=first.usage)
    assert again.usage["ChatId"] != first.usage["ChatId"]
    with pytest.raises(errors.Rejected, match="ChatId"):
        made(sandbox, "make it blue", TALK, metadata={"ChatId": "nobody's"})


MODELS = [model for provider in EACH for model in provider.models]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_every_model_takes_what_its_limits_allow(sandbox: Sandbox, model: Model):
    """The sandbox refuses wrong words and numbers as the upstream does."""
    fields: dict[str, Any] = {}
    if "images" in model.needs:
        fields["images"] = (an_image_url(),)
    if "style" not in model.refuses:
        fields["style"] = "201"
    if "seed" not in model.refuses:
        fields["seed"] = 5
    if "negative_prompt" not in model.refuses:
        fields["negative_prompt"] = "fog"
    options = [{"aspect_ratio": ratio} for ratio in model.aspect_ratios]
    options += [{"size": size} for size in model.sizes]
    options += [{"resolution": word} for word in model.resolutions]
    if model.sync:
        options = options[-1:]
    send = a_sender(sandbox, HOMES[model.name])
    for option in options or [{}]:
        request = wanted("x" * (model.max_prompt or 1), model.name, **fields, **option)
        assert send.submit(request).phase in {Phase.PENDING, Phase.SUCCEEDED}


@pytest.mark.parametrize(
    ("tag", "model", "reason", "code"),
    [
        (
            "fail",
            IMAGE,
            Reason.UPSTREAM_FAILED,
            "FailedOperation.GenerateImageFailed",
        ),
        ("fail", FILM, Reason.UPSTREAM_FAILED, "FailedOperation.InnerError"),
        (
            "blocked late",
            PRO,
            Reason.CONTENT_REJECTED,
            "OperationDenied.ImageIllegalDetected",
        ),
        (
            "blocked late",
            MOVING,
            Reason.CONTENT_REJECTED,
            "FailedOperation.ModerationFailed",
        ),
    ],
)
def test_a_failure_is_a_value(
    sandbox: Sandbox, tag: str, model: str, reason: Reason, code: str
):
    images = (an_image_url(),) if model == MOVING else ()
    end = made(sandbox, f"x [{tag}]", model, images=images)
    assert end.phase is Phase.FAILED
    assert end.failure is not None
    assert (end.failure.reason, end.failure.code) == (reason, code)


def test_one_of_several_images_may_fail(sandbox: Sandbox):
    end = made(sandbox, "x [partial]", n=3)
    assert end.phase is Phase.SUCCEEDED
    assert len(end.artifacts) == 2
    assert end.failure is not None
    assert end.failure.reason is Reason.CONTENT_REJECTED


def test_states_come_in_order(sandbox: Sandbox):
    send = a_sender(sandbox, hunyuan.VIDEO)
    seen: list[Phase] = []
    start = send.submit(wanted("x [slow 1500ms]", FILM))
    send.wait(start, pause_s=0.01, watch=lambda look: seen.append(look.phase))
    assert list(dict.fromkeys(seen)) == [
        Phase.PENDING,
        Phase.RUNNING,
        Phase.SUCCEEDED,
    ]


@pytest.mark.parametrize("model", [IMAGE, LITE, FILM, PRO])
@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        ("[429 once]", errors.RateLimited),
        ("[quota]", errors.QuotaExhausted),
        ("[401]", errors.KeyRefused),
        ("[403]", errors.KeyRefused),
        ("[400]", errors.Rejected),
        ("[blocked]", errors.ContentRejected),
        ("[500 before]", errors.Unavailable),
        ("[503 before]", errors.Unavailable),
    ],
)
def test_a_refused_submit_pays_nothing(
    sandbox: Sandbox, model: str, tag: str, kind: type[errors.ProviderError]
):
    with pytest.raises(errors.ProviderError) as caught:
        a_sender(sandbox, HOMES[model]).submit(wanted(f"x {tag}", model))
    assert type(caught.value) is kind
    assert sandbox.ledger.submits("hunyuan") == []


@pytest.mark.parametrize("tag", ["[blocked late]", "[fail]"])
def test_an_image_at_once_that_failed_is_an_error(sandbox: Sandbox, tag: str):
    kind = errors.ContentRejected if "blocked" in tag else errors.Unavailable
    with pytest.raises(kind):
        a_sender(sandbox).submit(wanted(f"x {tag}", LITE))


@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        ("[500]", errors.Unavailable),
        ("[502]", errors.Unavailable),
        ("[cut]", errors.AnswerLost),
        ("[reset]", errors.AnswerLost),
        ("[html]", errors.UnexpectedReply),
        ("[no id]", errors.UnexpectedReply),
    ],
)
def test_a_submit_that_was_paid_is_never_called_refused(
    sandbox: Sandbox, tag: str, kind: type[errors.ProviderError]
):
    with pytest.raises(errors.ProviderError) as caught:
        a_sender(sandbox, hunyuan.VIDEO).submit(wanted(f"x {tag}", FILM))
    assert type(caught.value) is kind
    assert len(sandbox.ledger.submits("hunyuan")) == 1


@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        ("[poll 401]", errors.KeyRefused),
        ("[poll 404 once]", errors.NotFound),
        ("[poll 429 once]", errors.RateLimited),
        ("[poll 500 once]", errors.Unavailable),
        ("[poll 504 once]", errors.Unavailable),
        ("[poll html once]", errors.UnexpectedReply),
        ("[unknown status]", errors.UnexpectedReply),
    ],
)
@pytest.mark.parametrize("model", [IMAGE, FILM])
def test_a_look_that_failed_is_no_end(
    sandbox: Sandbox, model: str, tag: str, kind: type[errors.ProviderError]
):
    send = a_sender(sandbox, HOMES[model])
    start = send.submit(wanted(f"x {tag}", model))
    assert start.remote is not None
    with pytest.raises(errors.ProviderError) as caught:
        send.poll(start.remote)
    assert type(caught.value) is kind
    if "once" in tag:
        assert send.wait(start, pause_s=0.02).phase is Phase.SUCCEEDED


def test_a_job_is_known_to_its_own_action_and_key_only(sandbox: Sandbox):
    send = a_sender(sandbox)
    start = send.submit(wanted())
    assert start.remote is not None
    with pytest.raises(errors.NotFound):
        send.poll(Remote(start.remote.id, {"query": "QueryHunyuanImageChatJob"}))
    with pytest.raises(errors.NotFound):
        a_sender(sandbox, key="AKIDother:any").poll(start.remote)
    with pytest.raises(errors.NotFound):
        send.poll(Remote("1", start.remote.links))


@pytest.mark.parametrize(
    ("model", "lives_s"), [(IMAGE, 3600), (TALK, 7 * 86400), (FILM, 86400)]
)
def test_links_die_in_time(model: str, lives_s: int):
    later_s = 0.0
    settings = SandboxSettings(clock=lambda: time.time() + later_s)
    with running(settings=settings) as sandbox:
        (file,) = made(sandbox, "x [slow 0ms]", model).artifacts
        assert file.url is not None
        later_s = lives_s - 10
        assert requests.head(file.url, timeout=10).status_code == 200
        later_s = lives_s + 10
        assert requests.head(file.url, timeout=10).status_code == 403


def test_a_changed_link_is_dead(sandbox: Sandbox):
    (artifact,) = made(sandbox).artifacts
    assert artifact.url is not None
    for url in (artifact.url.replace("%3B", ";"), artifact.url.partition("?")[0]):
        assert requests.get(url, timeout=10).status_code == 403


@pytest.mark.parametrize("provider", EACH, ids=lambda provider: provider.name)
def test_a_key_is_proved_without_paying(sandbox: Sandbox, provider: Provider):
    assert provider.test is not None
    for key in (KEY, "sandbox-id|sandbox-key", "sandbox-id:sandbox-key:STS2token"):
        drive(provider.test(), a_sender(sandbox, provider, key))
    for key in ("bad-key:any", "sandbox-id:wrong", "sandbox-id"):
        with pytest.raises(errors.KeyRefused):
            drive(provider.test(), a_sender(sandbox, provider, key))
    with pytest.raises(errors.ChannelRefused):
        drive(provider.test(), a_sender(sandbox, provider, region="ap-singapore"))
    model = provider.models[0].name
    with pytest.raises(errors.QuotaExhausted):
        a_sender(sandbox, provider, "quota-key:any").submit(wanted(model=model))
    assert sandbox.ledger.submits("hunyuan") == []


def test_only_the_secrets_of_the_settings_open_it():
    settings = SandboxSettings(secrets={"hunyuan": frozenset({"AKID1:one"})})
    with running(settings=settings) as sandbox:
        drive(hunyuan.VIDEO.test(), a_sender(sandbox, hunyuan.VIDEO, "AKID1:one"))
        for secret in ("AKID1:two", "AKID2:one", KEY):
            with pytest.raises(errors.KeyRefused):
                drive(hunyuan.VIDEO.test(), a_sender(sandbox, hunyuan.VIDEO, secret))


# --- strictness, beyond what our own flows would say


def exchanged(
    sandbox: Sandbox,
    body: Any,
    action: str = "SubmitHunyuanImageJob",
    provider: Provider = hunyuan.PROVIDER,
    version: str = "2023-09-01",
    now: float | None = None,
    **changed: str,
) -> str:
    """The error code of a call that was signed well and changed afterwards."""
    send = a_sender(sandbox, provider)
    headers = {"X-TC-Action": action, "X-TC-Version": version}
    given = {"body": body} if isinstance(body, bytes) else {"json": body}
    call = Call("POST", f"{send.base_url}/", headers=headers, **given)
    ready = provider.authorize(call, Credentials(KEY, {}, now or time.time()))
    sent = {**ready.headers, **changed}
    reply: Reply = send.exchange(
        Call("POST", ready.url, headers=sent, body=ready.body), ready.url
    )
    assert reply.status == 200
    code: str = reply.json()["Response"]["Error"]["Code"]
    return code


WRONG = "InvalidParameterValue.ParameterValueError"
GIF = {"ImageBase64": "R0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs="}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "MissingParameter"),
        ({"Prompt": " "}, "MissingParameter"),
        ({"Prompt": 7}, WRONG),
        ({"Prompt": "x", "Resolution": "1024x768"}, WRONG),
        ({"Prompt": "x", "Resolution": "512:512"}, WRONG),
        ({"Prompt": "x", "Num": 5}, WRONG),
        ({"Prompt": "x", "Num": "2"}, WRONG),
        ({"Prompt": "x", "Seed": 0}, WRONG),
        ({"Prompt": "x", "Clarity": "x3"}, WRONG),
        ({"Prompt": "x", "Model": "hunyuan-image"}, "UnknownParameter"),
        ({"Prompt": "x", "ContentImage": {"Url": "https://a.b"}}, "UnknownParameter"),
        ({"Prompt": "x", "ContentImage": {"ImageUrl": "ftp://a.b"}}, WRONG),
        ({"Prompt": "x", "ContentImage": {"ImageBase64": "data:,x"}}, WRONG),
        ({"Prompt": "x", "ContentImage": {"ImageBase64": "####"}}, WRONG),
        ({"Prompt": "x", "ContentImage": GIF}, WRONG),
        (
            {
                "Prompt": "x",
                "Resolution": "1280:720",
                "ContentImage": {"ImageUrl": "https://a.example/1.png"},
            },
            WRONG,
        ),
        (b"[1]", WRONG),
        (b"{", WRONG),
    ],
)
def test_what_does_not_fit_is_refused_in_the_shell(
    sandbox: Sandbox, body: Any, code: str
):
    assert exchanged(sandbox, body) == code
    assert sandbox.ledger.submits("hunyuan") == []


@pytest.mark.parametrize(
    ("action", "body", "code"),
    [
        ("SubmitHunyuanToVideoJob", {}, "MissingParameter"),
        (
            "SubmitHunyuanToVideoJob",
            {"Prompt": "x", "Resolution": "1080p"},
            "InvalidParameterValue",
        ),
        ("SubmitHunyuanToVideoJob", {"Prompt": "x" * 201}, "InvalidParameterValue"),
        ("SubmitHunyuanToVideoJob", {"Prompt": "x", "Fps": 24}, "UnknownParameter"),
        ("SubmitImageToVideoGeneralJob", {"Prompt": "x"}, "MissingParameter"),
        (
            "SubmitImageToVideoGeneralJob",
            {"Image": {"Url": "https://a.example/1"}, "Fps": 25},
            "InvalidParameterValue",
        ),
        ("DescribeHunyuanToVideoJob", {}, "MissingParameter"),
        ("DescribeHunyuanToVideoJob", {"JobId": "1", "X": 1}, "UnknownParameter"),
        ("SubmitHunyuanImageJob", {"Prompt": "x"}, "InvalidAction"),
        ("CancelJob", {"JobId": "1"}, "InvalidAction"),
    ],
)
def test_what_is_no_film_is_refused(
    sandbox: Sandbox, action: str, body: Any, code: str
):
    told = exchanged(sandbox, body, action, hunyuan.VIDEO, "2024-05-23")
    assert told == code


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"X-TC-Version": "2024-05-23"}, "NoSuchVersion"),
        ({"X-TC-Region": ""}, "MissingParameter"),
        ({"X-TC-Timestamp": "soon"}, "AuthFailure.SignatureFailure"),
        ({"X-TC-Timestamp": "1700000000"}, "AuthFailure.SignatureExpire"),
        ({"Content-Type": "text/plain"}, "AuthFailure.SignatureFailure"),
        ({"Authorization": "Bearer a:b"}, "AuthFailure.InvalidAuthorization"),
    ],
)
def test_what_is_not_signed_so_is_refused(
    sandbox: Sandbox, changed: dict[str, str], code: str
):
    assert exchanged(sandbox, {"Prompt": "x"}, **changed) == code


@pytest.mark.parametrize("off_s", [-310, 310])
def test_a_clock_may_be_five_minutes_wrong(sandbox: Sandbox, off_s: int):
    told = exchanged(sandbox, {"Prompt": "x"}, now=time.time() + off_s)
    assert told == "AuthFailure.SignatureExpire"
    near = exchanged(sandbox, {}, now=time.time() + off_s * 0.9)
    assert near == "MissingParameter"


def test_a_signature_for_another_service_is_refused(sandbox: Sandbox):
    send = a_sender(sandbox, hunyuan.PROVIDER)
    call = Call("POST", f"{send.base_url}/", json={"Prompt": "x"})
    pair = Credentials("AKIDother:any", {}, time.time())
    ready = hunyuan.VIDEO.authorize(call, pair)
    reply = send.exchange(ready, ready.url)
    told = reply.json()["Response"]["Error"]["Code"]
    assert told == "AuthFailure.SignatureFailure"


@pytest.mark.parametrize(
    "upload",
    [a_picture(1000, 200), a_picture(40, 60), a_picture(kind="gif")],
    ids=["too long", "too small", "gif"],
)
def test_a_picture_that_does_not_fit_is_refused(sandbox: Sandbox, upload: Upload):
    send = a_sender(sandbox, hunyuan.VIDEO, upload=upload)
    with pytest.raises(errors.Rejected):
        send.submit(wanted(model=MOVING, images=(an_upload(),)))


def test_media_types_are_the_models_own():
    for provider in EACH:
        for model in provider.models:
            is_film = provider is hunyuan.VIDEO
            assert (model.media_type is MediaType.VIDEO) is is_film
