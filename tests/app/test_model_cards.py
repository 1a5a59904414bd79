"""What is told of a model is true, and its example is taken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app import capabilities, dry_run, model_cards
from app.api.schemas import NEW_TASK
from app.api.task_requests import load, unify
from app.catalog import Offer
from app.durations import Learned, observe
from providers.registry import PROVIDERS
from providers.types import MediaInput, Model, Provider
from tests.builders import a_channel, a_request
from tests.workers.bench import LUMEN, MODEL

EVERY = {
    f"{provider.name}/{model.name}": (provider, model)
    for provider in PROVIDERS
    for model in provider.models
}


def an_offer(provider: Provider = LUMEN, model: Model = MODEL, **fields: Any) -> Offer:
    return Offer(a_channel(provider=provider.name, **fields), provider, model)


def taught(*durations_s: float) -> Learned:
    learned = Learned()
    for duration_s in durations_s:
        learned = observe(
            learned, 60, after_s=duration_s, before_s=duration_s, called=False
        )
    return learned


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda p: p.name)
def test_examples_are_bodies_that_the_models_take(provider: Provider) -> None:
    refused = {}
    for model in provider.models:
        body = model_cards.example(model.name, model)
        wanted = unify(load(NEW_TASK, body))
        images = tuple(MediaInput(str(image.value)) for image in wanted.images)
        inputs = {**wanted.inputs, "images": images}
        problems = capabilities.find_problems(inputs, model)
        if problems:
            refused[model.name] = problems
    assert refused == {}


def test_what_is_not_limited_is_not_told() -> None:
    told = model_cards.card(
        "lumen-1",
        [an_offer(model=Model(name="lumen-1", media_type=MODEL.media_type))],
        {},
    )
    assert told["limits"] == {}
    assert "offers" not in told


def test_providers_that_differ_are_told_apart() -> None:
    small = replace(MODEL, max_n=1)
    told = model_cards.card(
        "lumen-1",
        [an_offer(), an_offer(replace(LUMEN, name="vela"), small, name="second")],
        {},
    )
    assert told["providers"] == ["lumen", "vela"]
    assert [offer["provider"] for offer in told["offers"]] == ["lumen", "vela"]
    assert told["offers"][1]["limits"]["max_n"] == 1


def test_usual_time_is_the_catalogues_until_tasks_have_ended() -> None:
    offer = an_offer(model=replace(MODEL, typical_s=40.0, longest_s=600.0))
    usual = model_cards.usual_time([offer], {})
    assert (usual.usual_s, usual.task_count) == (40.0, 0)
    assert 40 < usual.slow_s <= 600


def test_usual_time_is_that_of_the_channel_with_most_tasks() -> None:
    one, other = an_offer(), an_offer(name="second")
    learned = {
        (one.channel.id, MODEL.name): taught(*[100.0] * 5),
        (other.channel.id, MODEL.name): taught(*[20.0] * 40),
    }
    usual = model_cards.usual_time([one, other], learned)
    assert usual.task_count == 40
    assert usual.usual_s == pytest.approx(20, rel=0.25)


def test_request_of_an_example_reaches_its_upstream_in_a_call() -> None:
    """The dry run of every provider's first model takes the example too."""
    for provider in PROVIDERS:
        model = provider.models[0]
        body = model_cards.example(model.name, model)
        fields = {
            name: value
            for name, value in body.items()
            if name not in ("model", "prompt", "image_url")
        }
        images = (MediaInput(body["image_url"]),) if "image_url" in body else ()
        request = a_request(
            model=model.name,
            media_type=model.media_type,
            images=images,
            **{
                **fields,
                "action": capabilities.action_for(body.get("action"), model) or "",
            },
        )
        assert dry_run.plan_calls(an_offer(provider, model), request, {}).calls
