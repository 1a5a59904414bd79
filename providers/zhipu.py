"""Zhipu AI: videos of CogVideoX and Vidu, images of GLM and CogView, speech of GLM.

BigModel in China and Z.ai abroad speak alike and have accounts of their own. There are
no callbacks: jobs are looked at. Documentation: docs.bigmodel.cn and docs.z.ai (videos,
images, speech, asynchronous results, error codes), read November 2026
(docs/providers/zhipu.md).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from providers import auth, errors
from providers.dialects import zhipu_bodies as bodies
from providers.dialects import zhipu_models as catalogue
from providers.dialects import zhipu_results as results
from providers.dialects.zhipu_models import Api, Offer
from providers.flow import Call, Flow
from providers.types import (
    Credentials,
    GenerationRequest,
    Provider,
    Remote,
    Snapshot,
    by_name,
)

NO_JOB = "0"
TOKEN_LIVES_MS = 210_000
PARTS_OF_KEY = re.compile(r"([^.:]+)[.:](.+)")


def authorize(call: Call, credentials: Credentials) -> Call:
    """The key as a bearer; with the setting `token: jwt` a token that it signs.

    A key is `<id>.<secret>`. Signing is the older form, which is still taken.
    """
    parts = PARTS_OF_KEY.fullmatch(credentials.secret)
    if credentials.settings.get("token") == "jwt" and parts:
        token = jwt(parts[1], parts[2], credentials.now)
        credentials = replace(credentials, secret=token)
    return auth.bearer(call, credentials)


def jwt(key_id: str, secret: str, now: float) -> str:
    """A token that is good for three and a half minutes; its times are milliseconds."""
    now_ms = round(now * 1000)
    claims = {"api_key": key_id, "exp": now_ms + TOKEN_LIVES_MS, "timestamp": now_ms}
    header = {"alg": "HS256", "sign_type": "SIGN", "typ": "JWT"}
    message = b".".join((as_part(header), as_part(claims)))
    mac = hmac.digest(secret.encode(), message, hashlib.sha256)
    return (message + b"." + as_base64url(mac)).decode()


def as_part(claims: Mapping[str, Any]) -> bytes:
    return as_base64url(json.dumps(claims, separators=(",", ":")).encode())


def as_base64url(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


def submit(request: GenerationRequest) -> Flow[Snapshot]:
    """Start one job, or wait for the result of a synchronous model; billed."""
    offer = catalogue.BY_NAME.get(request.model)
    if offer is None:
        raise errors.ModelRefused(f"Zhipu offers no model {request.model}")
    return (yield from SUBMITS[offer.api](request, offer))


def submit_video(request: GenerationRequest, offer: Offer) -> Flow[Snapshot]:
    body = yield from bodies.write_video(request, offer)
    reply = yield Call("POST", "/videos/generations", json=body, paid=True)
    return results.read_accepted(results.check(reply))


def submit_image(request: GenerationRequest, offer: Offer) -> Flow[Snapshot]:
    body = bodies.write_image(request, offer)
    reply = yield Call("POST", "/images/generations", json=body, paid=True)
    return results.read_images(results.check(reply))


def submit_async_image(request: GenerationRequest, offer: Offer) -> Flow[Snapshot]:
    """An image as a job: half a minute is long for an answer that may get lost."""
    body = bodies.write_image(request, offer)
    reply = yield Call("POST", "/async/images/generations", json=body, paid=True)
    return results.read_accepted(results.check(reply))


def submit_speech(request: GenerationRequest, _offer: Offer) -> Flow[Snapshot]:
    body = bodies.write_speech(request)
    reply = yield Call("POST", "/audio/speech", json=body, paid=True)
    return results.read_speech(reply, str(body["response_format"]))


SUBMITS: Mapping[str, Callable[[GenerationRequest, Offer], Flow[Snapshot]]] = {
    Api.COGVIDEO: submit_video,
    Api.VIDU: submit_video,
    Api.IMAGE: submit_image,
    Api.ASYNC_IMAGE: submit_async_image,
    Api.SPEECH: submit_speech,
}


def poll(remote: Remote) -> Flow[Snapshot]:
    """The state of one job, and its files as soon as there are any."""
    reply = yield Call("GET", f"/async-result/{quote(remote.id, safe='')}")
    return results.read_look(reply)


def test() -> Flow[None]:
    """Ask for a job that does not exist: a good key is told so, which costs nothing."""
    reply = yield Call("GET", f"/async-result/{NO_JOB}")
    try:
        results.read_look(reply)
    except errors.NotFound as error:
        if not error.code:  # a wrong base URL
            raise


PROVIDER = Provider(
    name="zhipu",
    title="Zhipu AI (BigModel)",
    base_url="https://open.bigmodel.cn/api/paas/v4",
    env=("ZHIPUAI_API_KEY",),
    models=catalogue.MODELS,
    describe=by_name(catalogue.MODELS),
    authorize=authorize,
    submit=submit,
    poll=poll,
    test=test,
    poll_spacing_s=5.0,
    sandbox_path="/zhipu/api/paas/v4",
)

ZAI = replace(
    PROVIDER,
    name="zai",
    title="Z.ai",
    base_url="https://api.z.ai/api/paas/v4",
    env=("ZAI_API_KEY",),
)
