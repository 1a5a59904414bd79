"""Recraft: raster and vector images, and tools that work on images.

Every call is answered with the finished images, in the shape of OpenAI's. There are no
jobs to look at. Documentation: recraft.ai/docs (API reference: endpoints, models,
errors) and the OpenAPI document "recraft.ai external api", read November 2026
(docs/providers/recraft.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from providers import auth, errors
from providers.dialects import openai_errors, openai_images, recraft_bodies
from providers.dialects import recraft_models as catalogue
from providers.flow import Call, Flow, Reply
from providers.types import (
    Credentials,
    GenerationRequest,
    Provider,
    Remote,
    Snapshot,
)

# Codes are not published; this one is known, its status is not.
NO_CREDITS = "not enough credits"
# How moderation is told is not published: these words make it the client's anyway.
MODERATION_WORDS = ("nsfw", "moderation", "content policy")

TEXT_LENGTH = 300


def authorize(call: Call, credentials: Credentials) -> Call:
    """A bearer token; the setting `billing` (`api`, `subscription`) names the purse."""
    call = auth.bearer(call, credentials)
    billing = credentials.settings.get("billing")
    if not billing or call.method != "POST":
        return call
    return replace(call, params={**call.params, "billing": billing})


def submit(request: GenerationRequest) -> Flow[Snapshot]:
    """Make images and wait for them; billed, and a lost answer is a lost image."""
    path, body = yield from recraft_bodies.write(request)
    reply = yield Call("POST", path, json=body, paid=True)
    if not reply.ok:
        raise submit_error(reply)
    model = body.get("model", request.model)
    form = "svg" if catalogue.draws_vectors(model) else body.get("image_format")
    return read_images(errors.read_json(reply), request.n, str(form or ""))


def submit_error(reply: Reply) -> errors.ProviderError:
    """There is no job that could be missing: 404 is a route not offered."""
    error = refusal(reply)
    if isinstance(error, errors.NotFound):
        return errors.ModelRefused(str(error), code=error.code, status=error.status)
    return error


def refusal(reply: Reply) -> errors.ProviderError:
    """The error of a reply outside 2xx, whose body is JSON or plain text."""
    error = errors.refusal(reply, {}, openai_errors.read_error)
    text = str(error)
    if reply.content_type == "text/plain":
        text = reply.content[:TEXT_LENGTH].decode("utf-8", "replace").strip() or text
    said = f"{error.code} {text}".lower().replace("_", " ")
    kind: type[errors.ProviderError] = type(error)
    if 400 <= reply.status < 500 and NO_CREDITS in said:
        kind = errors.QuotaExhausted
    elif reply.status in (400, 422) and any(word in said for word in MODERATION_WORDS):
        kind = errors.ContentRejected
    return errors.make(
        kind,
        text,
        code=error.code,
        status=reply.status,
        retry_after_s=reply.retry_after_s,
    )


@errors.documented("images of Recraft")
def read_images(body: dict[str, Any], wanted: int, form: str) -> Snapshot:
    """`{"data": [image]}`, or of a tool `{"image": image}`, with the `credits` charged.

    An image is `{"image_id", "url" or "b64_json", "features"?}`. Links have no ending:
    without a known format, the file tells its own.
    """
    items = body["data"] if "data" in body else [body["image"]]
    seen = openai_images.read_images({"data": items, "output_format": form}, wanted)
    image_id = items[0].get("image_id")
    return replace(
        seen,
        remote=Remote(str(image_id)) if image_id else None,
        usage=read_usage(body, items),
    )


def read_usage(body: Mapping[str, Any], items: Any) -> Mapping[str, Any]:
    """The units charged, 1000 to a dollar, and what else was asked to be told.

    `style_id` is that of a style made on the fly from references.
    """
    usage = {name: body[name] for name in ("credits", "style_id") if body.get(name)}
    scores = [(item.get("features") or {}).get("nsfw_score") for item in items]
    if any(score is not None for score in scores):
        usage["nsfw_scores"] = scores
    return usage


def poll(remote: Remote) -> Flow[Snapshot]:
    """There are no jobs: what was not answered is lost."""
    yield from ()
    raise errors.NotFound("Recraft keeps no jobs to look at")


def test() -> Flow[None]:
    """Prove a token by asking whose it is, which costs nothing."""
    reply = yield Call("GET", "/users/me")
    if not reply.ok:
        raise refusal(reply)
    if read_credits(errors.read_json(reply)) <= 0:
        raise errors.QuotaExhausted("the account has no API units left")


@errors.documented("an account of Recraft")
def read_credits(body: dict[str, Any]) -> float:
    return float(body["credits"])


PROVIDER = Provider(
    name="recraft",
    title="Recraft",
    base_url="https://external.api.recraft.ai/v1",
    models=catalogue.MODELS,
    describe=catalogue.describe,
    authorize=authorize,
    submit=submit,
    poll=poll,
    test=test,
    env=("RECRAFT_API_TOKEN",),
    links_live_s=24 * 3600,
    sandbox_path="/recraft/v1",
)
