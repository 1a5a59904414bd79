"""Every provider's submit can be shown without being sent."""

from __future__ import annotations

import json

import pytest

from app import capabilities, dry_run
from app.catalog import Offer
from app.dry_run import STAND_IN
from app.generation_requests import Upload
from providers.registry import PROVIDERS
from providers.types import MediaInput, MediaType, Model, Provider
from tests.builders import a_channel, a_request

# One model of each provider and media type.
OFFERED = {
    f"{provider.name}-{model.media_type}": (provider, model)
    for provider in PROVIDERS
    for model in reversed(provider.models)
}


@pytest.mark.parametrize("name", sorted(OFFERED))
@pytest.mark.parametrize("form", ["url", "upload"])
def test_every_provider_is_shown_up_to_a_call(name: str, form: str) -> None:
    provider, model = OFFERED[name]

    plan = dry_run.plan_calls(*an_offer(provider, model, form))

    assert plan.calls
    assert plan.complete or "the answer to the last call" in plan.note
    assert [call["paid"] for call in plan.calls] == [plan.complete]
    shown = json.dumps(plan.calls)
    assert not any(secret in shown for secret in (STAND_IN, *STAND_IN.split(":")))


def an_offer(
    provider: Provider, model: Model, form: str
) -> tuple[Offer, object, dict[str, Upload]]:
    fields = {
        name: value
        for name, value in {
            "audio_url": "https://cdn.example.com/a.mp3",
            "video_url": "https://cdn.example.com/a.mp4",
            "voice": "alloy",
            "duration": (model.durations or (5.0,))[0],
            "title": "Keepers",
            "tags": "waltz",
        }.items()
        if name in model.needs
    }
    uploads = {}
    if "images" in model.needs:
        if form == "upload":
            fields["images"] = (MediaInput("upload:0", "image/png"),)
            uploads["upload:0"] = Upload("dry-run", "image/png")
        else:
            fields["images"] = (MediaInput("https://cdn.example.com/a.png"),)
    request = a_request(
        model=model.name,
        media_type=model.media_type,
        action=capabilities.action_for(None, model) or "",
        **fields,
    )
    channel = a_channel(provider=provider.name, base_url=provider.base_url)
    return Offer(channel, provider, model), request, uploads


def test_media_types_of_the_table_are_known() -> None:
    assert {model.media_type for _, model in OFFERED.values()} == set(MediaType)
