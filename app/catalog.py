"""Which channels serve a model, and under which name of the upstream."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from app.store.channels import Channel
from providers.types import Model, Provider


@dataclass(frozen=True, slots=True)
class Offer:
    """A channel that serves a model."""

    channel: Channel
    provider: Provider
    model: Model

    @property
    def upstream_name(self) -> str:
        return self.model.name


def offers(
    channels: Iterable[Channel], providers: Mapping[str, Provider], name: str
) -> list[Offer]:
    """Every enabled channel that serves the model which clients call `name`.

    A channel that maps the name, or whose provider makes the model, comes before one
    that only might: a gateway that takes any name, or a seller of others' models. Such
    a channel serves a name that nobody else does, or that it maps itself.
    """
    sure: list[Offer] = []
    unsure: list[Offer] = []
    for channel in channels:
        provider = providers.get(channel.provider)
        if provider is None or not channel.enabled:
            continue
        upstream_name = channel.models.get(name) if channel.models else name
        model = provider.describe(upstream_name) if upstream_name else None
        if model is None:
            continue
        own = not model.resold and any(model is listed for listed in provider.models)
        offer = Offer(channel, provider, model)
        (sure if channel.models or own else unsure).append(offer)
    return sure or unsure


def open_to(channels: Iterable[Channel], group: str) -> list[Channel]:
    """The channels that serve a group of clients."""
    return [c for c in channels if not c.groups or group in c.groups]


def listed(
    channels: Iterable[Channel], providers: Mapping[str, Provider]
) -> dict[str, list[Offer]]:
    """Every model by the name that clients use, with the channels that serve it."""
    channels = list(channels)
    names = model_names(channels, providers)
    found = {name: offers(channels, providers, name) for name in names}
    return {name: serving for name, serving in found.items() if serving}


def unknown_model(name: str, names: Sequence[str]) -> str:
    """The refusal of a name nobody serves, with the close ones."""
    text = f"no channel serves the model {name[:100]!r}"
    near = close_names(name, names)
    return f"{text}; did you mean {', '.join(near)}?" if near else text


def model_names(
    channels: Iterable[Channel], providers: Mapping[str, Provider]
) -> list[str]:
    """Every model name that some enabled channel serves, sorted."""
    names: set[str] = set()
    for channel in channels:
        provider = providers.get(channel.provider)
        if provider is None or not channel.enabled:
            continue
        names.update(channel.models or (model.name for model in provider.models))
    return sorted(names)


def close_names(name: str, names: Sequence[str], limit: int = 5) -> list[str]:
    """The served names that look most like one nobody serves."""
    lower = {known.lower(): known for known in names}
    near = difflib.get_close_matches(name.lower()[:200], list(lower), limit, 0.5)
    return [lower[found] for found in near]
