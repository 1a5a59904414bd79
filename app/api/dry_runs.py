"""A submit that is only tried out: which channel, which call, what it may cost."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from app import dry_run, routing
from app.api.uploads import Image
from app.catalog import Offer
from app.errors import InvalidRequest
from app.generation_requests import request_of
from app.routing import Past
from app.runtime import Runtime
from app.store import ledger, submissions

YES = frozenset({"1", "true", "yes"})
NO = frozenset({"0", "false", "no"})
# What the address of the upstream's callback is made for; no submission has this id.
NO_SUBMISSION = "dry-run"


def is_wanted(value: str | None) -> bool:
    """Whether the query's `dry_run` says yes; raises InvalidRequest for other words."""
    word = (value or "0").lower()
    if word not in YES | NO:
        text = f"is {word[:40]!r}; 1 or 0 is allowed"
        raise InvalidRequest(f"dry_run {text}", errors={"dry_run": [text]})
    return word in YES


def sent_images(
    images: Sequence[Image], types: Sequence[str | None]
) -> list[dict[str, Any]]:
    """Input images as a stored task would name them; nothing is stored."""
    return [
        {"url": image.url}
        if image.spool is None
        else {"upload": NO_SUBMISSION, "content_type": content_type}
        for image, content_type in zip(images, types, strict=True)
    ]


def describe(
    rt: Runtime,
    model: str,
    inputs: Mapping[str, Any],
    fit: Sequence[Offer],
    *,
    group: str,
) -> dict[str, Any]:
    """The answer's data: the channel a worker would take now, and the call.

    Raises InvalidRequest for what the provider cannot express.
    """
    with rt.reading() as tx:
        load = submissions.count_live(tx)
        names = [offer.channel.name for offer in fit]
        cost = ledger.estimate(tx, model, names, inputs)
    choice = routing.choose(
        fit,
        group=group,
        past=Past(),
        full=(),
        load=load,
        now_ms=int(rt.now() * 1000),
        chance=random.random(),
    )
    offer = choice.offer or fit[0]
    media_type = offer.model.media_type.value
    request, uploads = request_of(
        rt,
        task_id=NO_SUBMISSION,
        submission_id=NO_SUBMISSION,
        offer=offer,
        media_type=media_type,
        inputs=inputs,
    )
    plan = dry_run.plan_calls(offer, request, uploads)
    return {
        "dry_run": True,
        "model": model,
        "media_type": media_type,
        "provider": offer.provider.name,
        "upstream_model": offer.upstream_name,
        "channel": offer.channel.name,
        "reason": choice.reason,
        "cost_at_most": f"{cost.normalize():f}" if cost else None,
        "calls": list(plan.calls),
        "complete": plan.complete,
        "note": plan.note,
    }
