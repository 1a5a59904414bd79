"""Tencent Cloud's official SDK against the sandbox's Hunyuan."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Callable, Iterator
from typing import Any

import av
import pytest
import requests
from PIL import Image
from tencentcloud.aiart.v20221229 import aiart_client
from tencentcloud.aiart.v20221229 import models as art
from tencentcloud.common import credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import (
    TencentCloudSDKException,
)
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.hunyuan.v20230901 import hunyuan_client
from tencentcloud.hunyuan.v20230901 import models as images
from tencentcloud.vclm.v20240523 import models as films
from tencentcloud.vclm.v20240523 import vclm_client

from sandbox.jobs import parse_durations
from sandbox.server import Sandbox, SandboxSettings, running

CLIENTS = {
    "images": hunyuan_client.HunyuanClient,
    "videos": vclm_client.VclmClient,
    "aiart": aiart_client.AiartClient,
}
PAIR = ("sandbox-id", "sandbox-key")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    settings = SandboxSettings(durations=parse_durations("fixed:0.05"))
    with running(settings=settings) as server:
        yield server


@pytest.fixture(autouse=True)
def fresh(sandbox: Sandbox) -> None:
    sandbox.reset()


def a_client(
    sandbox: Sandbox, service: str, *pair: str, region: str = "ap-guangzhou"
) -> Any:
    """The client, whose path gets the sandbox's prefix; the prefix is signed too.

    It always posts to the root of a host, which the sandbox shares between providers.
    """
    host = sandbox.url.removeprefix("http://")
    profile = ClientProfile(httpProfile=HttpProfile(endpoint=host, protocol="http"))
    cred = credential.Credential(*(pair or PAIR))
    client = CLIENTS[service](cred, region, profile)
    client._requestPath = f"/hunyuan/{service}/"
    client.request._handle_host = lambda _: sandbox.url + client._requestPath
    return client


def filled(request: Any, **fields: Any) -> Any:
    request._deserialize(fields)
    return request


def ended(look: Callable[[Any], Any], request: Any, states: set[str]) -> Any:
    ends_at = time.monotonic() + 10
    while time.monotonic() < ends_at:
        answer = look(request)
        state = getattr(answer, "Status", None) or answer.JobStatusCode
        if state in states:
            return answer
        assert state in {"WAIT", "RUN", "1", "2"}
        time.sleep(0.02)
    raise AssertionError("the job does not end")


def fetched(url: str) -> bytes:
    reply = requests.get(url, timeout=10)
    assert reply.status_code == 200
    return reply.content


def test_a_film_is_made_from_an_image(sandbox: Sandbox):
    client = a_client(sandbox, "videos")
    picture = io.BytesIO()
    Image.new("RGB", (400, 300), "olive").save(picture, "webp")
    submit = filled(
        films.SubmitHunyuanToVideoJobRequest(),
        Prompt="ein Hut 帽子",
        Image={"Base64": base64.b64encode(picture.getvalue()).decode()},
        Resolution="720p",
        LogoAdd=0,
    )
    started = client.SubmitHunyuanToVideoJob(submit)
    assert isinstance(started.JobId, str)
    look = filled(films.DescribeHunyuanToVideoJobRequest(), JobId=started.JobId)
    answer = ended(client.DescribeHunyuanToVideoJob, look, {"DONE"})
    assert (answer.ErrorCode, answer.ErrorMessage) == ("", "")
    with av.open(io.BytesIO(fetched(answer.ResultVideoUrl))) as film:
        assert film.streams.video


def test_another_film_job_has_actions_of_its_own(sandbox: Sandbox):
    client = a_client(sandbox, "videos")
    submit = filled(
        films.SubmitImageToVideoGeneralJobRequest(),
        Image={"Url": "https://cdn.example.com/noodles.jpg"},
        Prompt="it sways [blocked late]",
        Resolution="1080p",
        Fps=24,
    )
    job_id = client.SubmitImageToVideoGeneralJob(submit).JobId
    look = filled(films.DescribeImageToVideoGeneralJobRequest(), JobId=job_id)
    answer = ended(client.DescribeImageToVideoGeneralJob, look, {"FAIL"})
    assert answer.ErrorCode == "FailedOperation.ModerationFailed"
    assert answer.ResultVideoUrl == ""
    other = filled(films.DescribeHunyuanToVideoJobRequest(), JobId=job_id)
    with pytest.raises(TencentCloudSDKException) as caught:
        client.DescribeHunyuanToVideoJob(other)
    assert caught.value.get_code() == "FailedOperation.JobNotExist"


def test_several_images_are_made(sandbox: Sandbox):
    client = a_client(sandbox, "images")
    submit = filled(
        images.SubmitHunyuanImageJobRequest(),
        Prompt="a stamp showing a crane",
        NegativePrompt="text",
        Resolution="1024:768",
        Num=2,
        Revise=0,
        Seed=15,
        LogoAdd=0,
    )
    job_id = client.SubmitHunyuanImageJob(submit).JobId
    look = filled(images.QueryHunyuanImageJobRequest(), JobId=job_id)
    answer = ended(client.QueryHunyuanImageJob, look, {"5"})
    assert answer.ResultDetails == ["Success", "Success"]
    assert answer.RevisedPrompt == ["a stamp showing a crane"] * 2
    first, second = (fetched(url) for url in answer.ResultImage)
    assert Image.open(io.BytesIO(first)).size == (1024, 768)
    assert first != second


def test_a_talk_goes_on_where_it_ended(sandbox: Sandbox):
    client = a_client(sandbox, "images")
    answer: Any = None
    for text in ("a red kite", "make it green"):
        fields = {"ChatId": answer.ChatId} if answer else {}
        submit = filled(
            images.SubmitHunyuanImageChatJobRequest(), Prompt=text, **fields
        )
        job_id = client.SubmitHunyuanImageChatJob(submit).JobId
        look = filled(images.QueryHunyuanImageChatJobRequest(), JobId=job_id)
        answer = ended(client.QueryHunyuanImageChatJob, look, {"5"})
    assert [told.Prompt for told in answer.History] == ["a red kite"]
    assert len(answer.ResultImage) == 1


@pytest.mark.parametrize("kind", ["base64", "url"])
def test_lite_answers_at_once(sandbox: Sandbox, kind: str):
    request = filled(
        images.TextToImageLiteRequest(),
        Prompt="a hat",
        Resolution="1080:1920",
        RspImgType=kind,
    )
    told = a_client(sandbox, "images").TextToImageLite(request).ResultImage
    data = fetched(told) if kind == "url" else base64.b64decode(told, validate=True)
    assert Image.open(io.BytesIO(data)).size == (1080, 1920)


def test_older_images_are_made(sandbox: Sandbox):
    client = a_client(sandbox, "aiart")
    submit = filled(
        art.SubmitTextToImageProJobRequest(), Prompt="a hat", Engine="engine2"
    )
    job_id = client.SubmitTextToImageProJob(submit).JobId
    look = filled(art.QueryTextToImageProJobRequest(), JobId=job_id)
    answer = ended(client.QueryTextToImageProJob, look, {"5"})
    assert len(answer.ResultImage) == 1


@pytest.mark.parametrize(
    ("prompt", "code"),
    [
        ("x [blocked]", "OperationDenied.TextIllegalDetected"),
        ("x [429]", "RequestLimitExceeded.JobNumExceed"),
        ("x [quota]", "ResourceInsufficient.ChargeResourceExhaust"),
        ("x [401]", "AuthFailure.SecretIdNotFound"),
        ("x [403]", "UnauthorizedOperation"),
        ("x [400]", "InvalidParameterValue.ParameterValueError"),
        ("x [500]", "InternalError"),
        ("", "MissingParameter"),
        ("x" * 1025, "InvalidParameterValue.ParameterValueError"),
    ],
)
def test_a_refusal_is_the_sdks_exception(sandbox: Sandbox, prompt: str, code: str):
    request = filled(images.SubmitHunyuanImageJobRequest(), Prompt=prompt)
    with pytest.raises(TencentCloudSDKException) as caught:
        a_client(sandbox, "images").SubmitHunyuanImageJob(request)
    assert caught.value.get_code() == code
    assert caught.value.get_request_id()


@pytest.mark.parametrize(
    ("pair", "code"),
    [
        (("sandbox-id", "wrong"), "AuthFailure.SignatureFailure"),
        (("bad-key", "any"), "AuthFailure.SecretIdNotFound"),
    ],
)
def test_a_wrong_secret_is_found(sandbox: Sandbox, pair: tuple[str, str], code: str):
    request = filled(films.SubmitHunyuanToVideoJobRequest(), Prompt="a hat")
    with pytest.raises(TencentCloudSDKException) as caught:
        a_client(sandbox, "videos", *pair).SubmitHunyuanToVideoJob(request)
    assert caught.value.get_code() == code
    assert sandbox.ledger.submits("hunyuan") == []


def test_any_other_pair_and_a_token_are_let_in(sandbox: Sandbox):
    request = filled(films.SubmitHunyuanToVideoJobRequest(), Prompt="a hat")
    client = a_client(sandbox, "videos", "AKIDsomebody", "whatever", "STS2token")
    assert client.SubmitHunyuanToVideoJob(request).JobId


def test_another_region_has_no_such_action(sandbox: Sandbox):
    request = filled(films.SubmitHunyuanToVideoJobRequest(), Prompt="a hat")
    client = a_client(sandbox, "videos", region="ap-singapore")
    with pytest.raises(TencentCloudSDKException) as caught:
        client.SubmitHunyuanToVideoJob(request)
    assert caught.value.get_code() == "UnsupportedRegion"
