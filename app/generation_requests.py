"""From a stored task to the request that a provider's flow reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from app import capabilities
from app.catalog import Offer
from app.media import extension_of
from app.runtime import Runtime
from app.security import signatures
from providers.types import GenerationRequest, MediaInput, MediaType

INPUT_LINK_S = 24 * 3600
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True)
class Upload:
    """An input file in storage."""

    storage_key: str
    content_type: str


def request_of(
    rt: Runtime,
    *,
    task_id: str,
    submission_id: str,
    offer: Offer,
    media_type: str,
    inputs: Mapping[str, Any],
) -> tuple[GenerationRequest, dict[str, Upload]]:
    """The stored inputs as a provider's flow reads them, and where uploads lie."""
    fields = dict(inputs)
    fields["action"] = capabilities.action_for(fields.get("action"), offer.model) or ""
    images, uploads = [], {}
    for n, image in enumerate(fields.pop("images", ())):
        if "upload" in image:
            url = f"upload:{n}"
            uploads[url] = Upload(image["upload"], image["content_type"])
            link = _input_link(rt, offer, task_id, n, image["content_type"])
            images.append(MediaInput(url, image["content_type"], link))
        else:
            images.append(MediaInput(image["url"]))
    request = GenerationRequest(
        **fields,
        images=tuple(images),
        task_id=task_id,
        submission_key=submission_id,
        model=offer.upstream_name,
        media_type=MediaType(media_type),
        callback_url=_callback_url(rt, offer, submission_id),
    )
    return request, uploads


def _input_link(
    rt: Runtime, offer: Offer, task_id: str, n: int, content_type: str
) -> str | None:
    """Where the upstream may fetch an upload that it takes only as a URL."""
    if not _is_reachable(rt, offer):
        return None
    expires_at = int(rt.now()) + INPUT_LINK_S
    signature = signatures.sign_input_link(rt.link_key, task_id, n, expires_at)
    query = urlencode({"expires": expires_at, "signature": signature})
    name = f"{n}.{extension_of(content_type)}"
    return f"{rt.public_url}/generation/tasks/{task_id}/inputs/{name}?{query}"


def _is_reachable(rt: Runtime, offer: Offer) -> bool:
    near = urlsplit(offer.channel.base_url).hostname in LOOPBACK
    return rt.settings.public_url is not None or near


def _callback_url(rt: Runtime, offer: Offer, submission_id: str) -> str | None:
    """Our address for this submission, when its upstream can reach it."""
    if not _is_reachable(rt, offer):
        return None
    token = signatures.callback_token(rt.callback_key, submission_id)
    channel = quote(offer.channel.name, safe="")
    return f"{rt.public_url}/upstream/{channel}/{submission_id}.{token}"
