"""Jimeng's flows over real HTTP against the sandbox."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from typing import Any

import av
import pytest
import requests
from PIL import Image

from providers import errors, jimeng
from providers.flow import Call, Reply, drive
from providers.types import (
    Artifact,
    Credentials,
    GenerationRequest,
    MediaType,
    Phase,
    Reason,
    Remote,
    Snapshot,
)
from sandbox.jobs import parse_durations
from sandbox.server import Sandbox, SandboxSettings, running
from tests.builders import a_request, an_image_url, an_upload
from tests.sandbox.sending import Sender, Upload, sender

FOUR = "jimeng_t2i_v40"
SYNC = "jimeng_high_aes_general_v21_L"
PRO = "jimeng_ti2v_v30_pro"
KEY = "sandbox-id:sandbox-key"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    settings = SandboxSettings(durations=parse_durations("fixed:0.1"))
    with running(settings=settings) as server:
        yield server


@pytest.fixture(autouse=True)
def fresh(sandbox: Sandbox) -> None:
    sandbox.reset()


@pytest.fixture
def send(sandbox: Sandbox) -> Sender:
    return a_sender(sandbox)


def a_picture(width: int = 400, height: int = 300, kind: str = "png") -> Upload:
    data = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(data, kind)
    return Upload(data.getvalue(), f"image/{kind}")


def a_sender(
    sandbox: Sandbox, key: str = KEY, upload: Upload | None = None, **settings: str
) -> Sender:
    return sender(
        sandbox.url + jimeng.PROVIDER.sandbox_path,
        jimeng.PROVIDER,
        key,
        settings=settings,
        uploads=[upload or a_picture()] * 2,
    )


def wanted(
    prompt: str = "a brass compass", model: str = FOUR, **fields: Any
) -> GenerationRequest:
    described = jimeng.PROVIDER.describe(model)
    assert described is not None
    return a_request(
        **{
            "model": model,
            "media_type": described.media_type,
            "prompt": prompt,
            **fields,
        }
    )


def made(send: Sender, prompt: str = "a brass compass", **fields: Any) -> Snapshot:
    return send.wait(send.submit(wanted(prompt, **fields)))


def picture(send: Sender, artifact: Artifact) -> Image.Image:
    return Image.open(io.BytesIO(send.fetch(artifact)))


@pytest.mark.parametrize("with_links", [True, False])
def test_an_image_is_made_in_the_size_asked_for(send: Sender, with_links: bool):
    end = made(
        send,
        "ein Hut 帽子",
        size="1280x960",
        metadata={"req_json": {"return_url": with_links}},
    )
    (artifact,) = end.artifacts
    assert (artifact.url is not None) is with_links
    assert (artifact.expires_at is not None) is with_links
    assert picture(send, artifact).size == (1280, 960)


def test_a_film_is_made_from_uploaded_frames(send: Sender):
    end = made(send, model="jimeng_v30", images=(an_upload(),) * 2, duration=5)
    (artifact,) = end.artifacts
    assert artifact.content_type == "video/mp4"
    assert artifact.expires_at is not None
    assert artifact.expires_at - time.time() < 3700
    with av.open(io.BytesIO(send.fetch(artifact))) as film:
        assert film.streams.video


def test_the_synchronous_model_answers_at_once(send: Sender):
    end = send.submit(wanted(model=SYNC, aspect_ratio="4:3"))
    (artifact,) = end.artifacts
    assert picture(send, artifact).size == (584, 440)


@pytest.mark.parametrize("model", jimeng.PROVIDER.models, ids=lambda model: model.name)
def test_every_key_takes_what_its_limits_allow(send: Sender, model: Any):
    """The sandbox refuses wrong words and numbers as the upstream does."""
    fields: dict[str, Any] = {"seed": 5}
    if model.durations:
        fields["duration"] = model.durations[-1]
    if model.resolutions:
        fields["resolution"] = model.resolutions[-1]
    if model.media_type is MediaType.IMAGE:
        fields["aspect_ratio"] = "16:9"
    elif model.aspect_ratios and "images" not in model.needs:
        fields["aspect_ratio"] = model.aspect_ratios[-1]
    if "images" in model.needs:
        fields["images"] = (an_upload(),) * model.max_images
    end = send.submit(
        a_request(model=model.name, media_type=model.media_type, **fields)
    )
    assert end.phase in {Phase.PENDING, Phase.SUCCEEDED}


@pytest.mark.parametrize("images", [0, 1, 2])
@pytest.mark.parametrize("resolution", ["720P", "1080P"])
def test_the_alias_finds_a_key_for_every_number_of_images(
    send: Sender, images: int, resolution: str
):
    files = (an_image_url(),) * images
    request = wanted(model="jimeng_v30", images=files, resolution=resolution)
    assert send.wait(send.submit(request)).phase is Phase.SUCCEEDED


@pytest.mark.parametrize(
    ("prompt", "model", "reason", "code"),
    [
        ("x [fail]", FOUR, Reason.UPSTREAM_FAILED, ""),
        ("x [fail]", PRO, Reason.UPSTREAM_FAILED, ""),
        ("x [blocked late]", FOUR, Reason.CONTENT_REJECTED, "50511"),
        ("x [blocked late]", PRO, Reason.CONTENT_REJECTED, "50516"),
    ],
)
def test_a_failure_is_a_value(
    send: Sender, prompt: str, model: str, reason: Reason, code: str
):
    end = made(send, prompt, model=model)
    assert end.phase is Phase.FAILED
    assert end.failure is not None
    assert (end.failure.reason, end.failure.code) == (reason, code)


def test_a_blocked_image_of_the_synchronous_model_is_refused(send: Sender):
    with pytest.raises(errors.ContentRejected):
        send.submit(wanted("x [blocked late]", model=SYNC))
    assert send.submit(wanted("x [fail]", model=SYNC)).phase is Phase.FAILED


@pytest.mark.parametrize("model", [FOUR, SYNC])
@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        ("[429 once]", errors.RateLimited),
        ("[quota]", errors.ModelRefused),
        ("[401]", errors.KeyRefused),
        ("[403]", errors.ChannelRefused),
        ("[400]", errors.Rejected),
        ("[blocked]", errors.ContentRejected),
        ("[503 before]", errors.Unavailable),
    ],
)
def test_a_refused_submit_pays_nothing(
    send: Sender,
    sandbox: Sandbox,
    model: str,
    tag: str,
    kind: type[errors.ProviderError],
):
    with pytest.raises(errors.ProviderError) as caught:
        send.submit(wanted(f"x {tag}", model=model))
    assert type(caught.value) is kind
    assert sandbox.ledger.submits("jimeng") == []


@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        ("[500]", errors.Unavailable),
        ("[cut]", errors.AnswerLost),
        ("[reset]", errors.AnswerLost),
        ("[html]", errors.UnexpectedReply),
        ("[no id]", errors.UnexpectedReply),
    ],
)
def test_a_submit_that_was_paid_is_never_called_refused(
    send: Sender, sandbox: Sandbox, tag: str, kind: type[errors.ProviderError]
):
    with pytest.raises(errors.ProviderError) as caught:
        send.submit(wanted(f"x {tag}"))
    assert type(caught.value) is kind
    assert len(sandbox.ledger.submits("jimeng")) == 1


@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        ("[poll 401]", errors.KeyRefused),
        ("[poll 403]", errors.ChannelRefused),
        ("[poll 404 once]", errors.NotFound),
        ("[poll 429 once]", errors.RateLimited),
        ("[poll 500 once]", errors.Unavailable),
        ("[poll html once]", errors.UnexpectedReply),
        ("[unknown status]", errors.UnexpectedReply),
    ],
)
def test_a_look_that_failed_is_no_end(
    send: Sender, tag: str, kind: type[errors.ProviderError]
):
    start = send.submit(wanted(f"x {tag}"))
    assert start.remote is not None
    with pytest.raises(errors.ProviderError) as caught:
        send.poll(start.remote)
    assert type(caught.value) is kind
    if "once" in tag:
        assert send.wait(start).phase is Phase.SUCCEEDED


def test_a_task_is_known_under_its_own_key_only(send: Sender):
    start = send.submit(wanted())
    assert start.remote is not None
    links = {**start.remote.links, "req_key": "jimeng_t2i_v30"}
    with pytest.raises(errors.NotFound):
        send.poll(Remote(start.remote.id, links))


def test_records_and_links_die_in_time():
    later_s = 0.0
    settings = SandboxSettings(clock=lambda: time.time() + later_s)
    with running(settings=settings) as sandbox:
        send = a_sender(sandbox)
        start = send.submit(wanted("x [slow 0ms]", model=PRO))
        assert start.remote is not None
        (film,) = send.poll(start.remote).artifacts
        assert film.url is not None
        assert requests.get(film.url, timeout=10).status_code == 200
        later_s = 3700.0
        assert requests.get(film.url, timeout=10).status_code == 403
        later_s = 13 * 3600.0

        def later(call: Call) -> Reply:
            """Signed at that time: an old signature is refused."""
            signed = jimeng.authorize(
                Call("POST", f"{send.base_url}/", params=call.params, json=call.json),
                Credentials(KEY, {}, time.time() + later_s),
            )
            return send.exchange(signed, signed.url)

        end = drive(jimeng.poll(start.remote), later)
        assert end.failure is not None
        assert end.failure.reason is Reason.UPSTREAM_EXPIRED
        with pytest.raises(errors.KeyRefused, match="clock"):
            send.poll(start.remote)


def test_a_changed_link_is_dead(send: Sender):
    (artifact,) = made(send, "x").artifacts
    assert artifact.url is not None
    for url in (artifact.url.replace("%3D", "="), artifact.url.partition("?")[0]):
        assert requests.get(url, timeout=10).status_code == 403


def test_a_key_is_proved_without_paying(send: Sender, sandbox: Sandbox):
    drive(jimeng.test(), send)
    for secret in ("bad-key:any", "sandbox-id:wrong", "sandbox-id"):
        with pytest.raises(errors.KeyRefused):
            drive(jimeng.test(), a_sender(sandbox, secret))
    with pytest.raises(errors.KeyRefused, match="scope"):
        drive(jimeng.test(), a_sender(sandbox, region="ap-southeast-1"))
    with pytest.raises(errors.ModelRefused):
        a_sender(sandbox, "quota-key:any").submit(wanted())
    assert sandbox.ledger.submits("jimeng") == []


def test_only_the_secrets_of_the_settings_open_it():
    settings = SandboxSettings(secrets={"jimeng": frozenset({"AKLT1:one"})})
    with running(settings=settings) as sandbox:
        drive(jimeng.test(), a_sender(sandbox, "AKLT1:one"))
        for secret in ("AKLT1:two", "AKLT2:one", KEY):
            with pytest.raises(errors.KeyRefused):
                drive(jimeng.test(), a_sender(sandbox, secret))


GOOD = "HMAC-SHA256 Credential=a/20260101/cn-north-1/cv/request, SignedHeaders="


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer a:b"},
        {"Authorization": GOOD + "host;x-date, Signature=" + "0" * 64},
        {"Authorization": GOOD + "x-date;host, Signature=" + "0" * 64},
        {"Authorization": GOOD + "host, Signature=zz"},
    ],
)
def test_what_is_not_signed_is_refused_by_the_gate(
    sandbox: Sandbox, headers: dict[str, str]
):
    reply = requests.post(
        f"{sandbox.url}/jimeng/?Action=CVProcess&Version=2022-08-31",
        data=b"{}",
        headers=headers,
        timeout=10,
    )
    assert reply.status_code == 401
    assert reply.json()["ResponseMetadata"]["Error"]["Code"] in {
        "InvalidAccessKey",
        "SignatureDoesNotMatch",
    }


@pytest.mark.parametrize("part", ["body", "query", "header"])
def test_a_request_that_was_changed_after_it_was_signed_is_refused(
    sandbox: Sandbox, part: str
):
    send = a_sender(sandbox)
    url = f"{send.base_url}/?Action=CVSync2AsyncSubmitTask&Version=2022-08-31"
    body = {"req_key": FOUR, "prompt": "a"}
    ready = jimeng.authorize(
        Call("POST", url, json=body), Credentials(KEY, {}, time.time())
    )
    data, headers = ready.body or b"", dict(ready.headers)
    if part == "body":
        data = data.replace(b'"a"', b'"b"')
    elif part == "query":
        url += "&X=1"
    else:
        headers["Content-Type"] = "text/plain"
    reply = requests.post(url, data=data, headers=headers, timeout=10)
    assert reply.status_code == 401
    assert sandbox.ledger.submits("jimeng") == []


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"Action": "CVSync2AsyncSubmitTask"},
        {"Action": "CVCancelTask", "Version": "2024-06-06"},
        {"Action": "CVSync2AsyncSubmitTask", "Version": "2024-06-06"},
    ],
)
def test_an_unknown_action_is_refused_by_the_gate(send: Sender, params: dict[str, str]):
    reply = send(Call("POST", "/", params=params, json={}))
    error = reply.json()["ResponseMetadata"]["Error"]
    assert (reply.status, error["Code"]) == (404, "InvalidActionOrVersion")


LINKS = ["https://cdn.example.com/a.png"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"prompt": "x"}, 50215),
        ({"req_key": "nobody", "prompt": "x"}, 50400),
        ({"req_key": SYNC, "prompt": "x"}, 50400),
        ({"req_key": FOUR}, 50215),
        ({"req_key": FOUR, "prompt": 7}, 50215),
        ({"req_key": FOUR, "prompt": "x" * 801}, 50215),
        ({"req_key": FOUR, "prompt": "x", "width": 2048}, 50215),
        ({"req_key": FOUR, "prompt": "x", "width": 512, "height": 512}, 50215),
        ({"req_key": FOUR, "prompt": "x", "width": "2048", "height": 1024}, 50215),
        ({"req_key": FOUR, "prompt": "x", "size": 1000}, 50215),
        ({"req_key": FOUR, "prompt": "x", "scale": 2}, 50215),
        ({"req_key": FOUR, "prompt": "x", "force_single": 1}, 50215),
        ({"req_key": FOUR, "prompt": "x", "image_urls": LINKS * 11}, 50215),
        ({"req_key": FOUR, "prompt": "x", "image_urls": ["data:,"]}, 50215),
        ({"req_key": FOUR, "prompt": "x", "binary_data_base64": ["####"]}, 50215),
        (
            {"req_key": FOUR, "prompt": "x", "binary_data_base64": ["data:image/png"]},
            50215,
        ),
        (
            {
                "req_key": FOUR,
                "prompt": "x",
                "image_urls": LINKS,
                "binary_data_base64": ["AAAA"],
            },
            50215,
        ),
        ({"req_key": "jimeng_t2i_v30", "prompt": "x", "image_urls": LINKS}, 50215),
        ({"req_key": "jimeng_i2v_first_v30", "prompt": "x"}, 50215),
        (
            {"req_key": "jimeng_i2v_first_tail_v30", "image_urls": LINKS},
            50215,
        ),
        ({"req_key": PRO}, 50215),
        ({"req_key": PRO, "prompt": "x", "frames": 120}, 50215),
        ({"req_key": PRO, "prompt": "x", "aspect_ratio": "5:4"}, 50215),
        ({"req_key": PRO, "prompt": "x", "seed": -2}, 50215),
    ],
)
def test_what_does_not_fit_is_refused_in_the_services_shell(
    send: Sender, body: dict[str, Any], code: int
):
    reply = send(Call("POST", "/", params=jimeng.SUBMIT, json=body))
    told = reply.json()
    assert (reply.status, told["code"], told["status"]) == (400, code, code)
    assert told["data"] is None


@pytest.mark.parametrize(
    "upload",
    [
        a_picture(400, 100),
        a_picture(kind="gif"),
        Upload(b"no image", "image/png"),
    ],
    ids=["too long", "gif", "garbage"],
)
def test_an_image_that_does_not_fit_is_refused(sandbox: Sandbox, upload: Upload):
    with pytest.raises(errors.Rejected):
        a_sender(sandbox, upload=upload).submit(
            wanted(model=PRO, images=(an_upload(),))
        )


@pytest.mark.parametrize("req_json", ['{"return_url"', "[]", {"return_url": True}, 7])
def test_the_options_of_a_poll_are_a_text_of_json(send: Sender, req_json: Any):
    body = {"req_key": FOUR, "task_id": "1", "req_json": req_json}
    reply = send(Call("POST", "/", params=jimeng.RESULT, json=body))
    assert (reply.status, reply.json()["code"]) == (400, 50215)


@pytest.mark.parametrize("body", [b"", b"[", b"[]", b"\xff"])
@pytest.mark.parametrize("params", [jimeng.SUBMIT, jimeng.RESULT, jimeng.PROCESS])
def test_a_body_that_is_no_object_is_a_bad_request(
    send: Sender, params: dict[str, str], body: bytes
):
    reply = send(Call("POST", "/", params=params, body=body))
    assert (reply.status, reply.json()["code"]) == (400, 50215)
