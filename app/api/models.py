"""Which models there are, what each can do, and how long it usually takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, g

from app import catalog, model_cards
from app.api.auth import Scope, needs
from app.api.problems import json_answer, success
from app.api.queries import read_query
from app.api.schemas import MODELS_QUERY
from app.api.task_requests import load
from app.catalog import Offer
from app.durations import Learned
from app.errors import ModelNotFound
from app.store import durations
from app.store.durations import Place

bp = Blueprint("models", __name__)

ENDPOINT = "generation-task"


@bp.get("/generation/models")
@bp.get("/v1/generation/models")
@needs(Scope.READ)
def read_list() -> Response:
    """Every model that this key may use, A to Z."""
    query = load(MODELS_QUERY, read_query())
    learned = _learned()
    media_type, part = query.get("media_type"), query.get("q", "").lower()
    cards = [
        model_cards.card(name, offers, learned)
        for name, offers in sorted(_served().items())
        if (not media_type or offers[0].model.media_type == media_type)
        and part in name.lower()
    ]
    return success({"models": cards}, {})


@bp.get("/generation/models/<path:model>")
@bp.get("/v1/generation/models/<path:model>")
@needs(Scope.READ)
def read(model: str) -> Response:
    """One model; also one that is served without being listed."""
    return success(model_cards.card(model, _offers(model), _learned()), {})


@bp.get("/v1/models")
@needs(Scope.READ)
def read_list_as_openai() -> Response:
    """The same names as OpenAI's clients read them."""
    data = [_as_openai(name, offers) for name, offers in sorted(_served().items())]
    return json_answer(200, {"object": "list", "data": data}, {})


@bp.get("/v1/models/<path:model>")
@needs(Scope.READ)
def read_as_openai(model: str) -> Response:
    """One name as OpenAI's clients read it."""
    return json_answer(200, _as_openai(model, _offers(model)), {})


def _as_openai(name: str, offers: list[Offer]) -> dict[str, Any]:
    return {
        "id": name,
        "object": "model",
        "created": 0,  # nobody knows when an upstream's model came to be
        "owned_by": offers[0].provider.name,
        "supported_endpoint_types": [ENDPOINT],
    }


def _served() -> dict[str, list[Offer]]:
    channels = catalog.open_to(g.web.channels(), g.client.group)
    return catalog.listed(channels, g.web.providers)


def _offers(name: str) -> list[Offer]:
    channels = catalog.open_to(g.web.channels(), g.client.group)
    offers = catalog.offers(channels, g.web.providers, name)
    if not offers:
        names = catalog.model_names(channels, g.web.providers)
        text = catalog.unknown_model(name, names)
        raise ModelNotFound(text, errors={"model": [text]})
    return offers


def _learned() -> Mapping[Place, Learned]:
    def read_all() -> Mapping[Place, Learned]:
        with g.rt.reading() as tx:
            return durations.load(tx)

    found: Mapping[Place, Learned] = g.web.duration_memory.get("", read_all)
    return found
