"""Which channels serve a model."""

from __future__ import annotations

from dataclasses import replace

from app import catalog
from app.store.channels import Channel
from providers.types import Model, by_name
from tests.builders import a_channel
from tests.workers.bench import LUMEN, MODEL

SECOND = replace(MODEL, name="lumen-2")
TWO = replace(LUMEN, models=(MODEL, SECOND), describe=by_name((MODEL, SECOND)))
PROVIDERS = {"lumen": TWO}


def served_by(name: str, *channels: Channel) -> list[tuple[str, str]]:
    found = catalog.offers(channels, PROVIDERS, name)
    return [(offer.channel.name, offer.upstream_name) for offer in found]


def test_channel_without_a_table_serves_every_model_of_its_provider() -> None:
    assert served_by("lumen-2", a_channel()) == [("main", "lumen-2")]
    assert served_by("lumen-9", a_channel()) == []


def test_table_of_a_channel_maps_names_and_hides_the_others() -> None:
    channel = a_channel(models={"pretty": "lumen-1"})
    assert served_by("pretty", channel) == [("main", "lumen-1")]
    assert served_by("lumen-1", channel) == []


def test_name_that_the_provider_does_not_know_is_not_served() -> None:
    assert served_by("pretty", a_channel(models={"pretty": "lumen-9"})) == []


def test_disabled_channel_and_unknown_provider_serve_nothing() -> None:
    off, odd = a_channel("off", enabled=False), a_channel("odd", provider="gone")
    assert served_by("lumen-1", off, odd, a_channel()) == [("main", "lumen-1")]
    assert catalog.model_names([off, odd], PROVIDERS) == []


def test_paused_channel_still_serves_its_models() -> None:
    paused = a_channel(paused_until=9_999_999_999_999)
    assert served_by("lumen-1", paused) == [("main", "lumen-1")]


def test_names_of_all_channels_are_listed_once_and_sorted() -> None:
    channels = [a_channel(), a_channel("b", models={"a-name": "lumen-1"})]
    assert catalog.model_names(channels, PROVIDERS) == ["a-name", "lumen-1", "lumen-2"]


def test_names_that_look_alike_are_proposed_as_they_are_written() -> None:
    names = ["Lumen-1", "lumen-2", "suno_music"]
    assert catalog.close_names("lumen_1", names)[0] == "Lumen-1"
    assert catalog.close_names("LUMEN-2", names)[0] == "lumen-2"
    assert catalog.close_names("quite another", names) == []
    assert len(catalog.close_names("l" * 100_000, names)) == 0


def test_open_catalogue_serves_names_that_are_in_no_list() -> None:
    def describe(name: str) -> Model | None:
        return replace(MODEL, name=name)

    channels = [a_channel()]
    found = catalog.offers(channels, {"lumen": replace(LUMEN, describe=describe)}, "x")
    assert [offer.upstream_name for offer in found] == ["x"]


def test_maker_of_a_model_comes_before_channels_that_take_any_name() -> None:
    anything = replace(
        LUMEN,
        name="anything",
        models=(),
        describe=lambda name: replace(MODEL, name=name),
    )
    channels = [a_channel("any", provider="anything"), a_channel()]
    providers = {**PROVIDERS, "anything": anything}

    found = catalog.offers(channels, providers, "lumen-1")
    assert [offer.channel.name for offer in found] == ["main"]
    unlisted = catalog.offers(channels, providers, "lumen-77")
    assert [offer.channel.name for offer in unlisted] == ["any"]


def test_maker_of_a_model_comes_before_those_who_sell_it_on() -> None:
    resold = replace(MODEL, resold=True)
    seller = replace(
        LUMEN, name="seller", models=(resold,), describe=by_name((resold,))
    )
    providers = {**PROVIDERS, "seller": seller}
    shop = a_channel("shop", provider="seller")

    def serving(*channels: Channel) -> list[str]:
        found = catalog.offers(channels, providers, "lumen-1")
        return [offer.channel.name for offer in found]

    assert serving(shop, a_channel()) == ["main"]
    assert serving(shop) == ["shop"]
    mapped = replace(shop, models={"lumen-1": "lumen-1"})
    assert serving(mapped, a_channel()) == ["shop", "main"]
