"""Which channel takes a task: priority, health, weight, load."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from app.catalog import Offer
from app.routing import Choice, Past, choose
from app.store.channels import Channel, ChannelKey
from tests.workers.bench import LUMEN, MODEL

NOW_MS = 1_000_000


def a_key(name: str, **fields: Any) -> ChannelKey:
    return ChannelKey(
        **{
            "id": f"key_{name}",
            "channel_id": "ch",
            "name": name,
            "secret": b"",
            "failure_count": 0,
            "paused_until": None,
            "pause_reason": None,
            "removed_at": None,
            **fields,
        }
    )


def an_offer(name: str, **fields: Any) -> Offer:
    channel = Channel(
        **{
            "id": f"ch_{name}",
            "name": name,
            "provider": "lumen",
            "base_url": LUMEN.base_url,
            "webhook_secret": None,
            "groups": (),
            "models": {},
            "weight": 1,
            "priority": 0,
            "limits": {},
            "settings": {},
            "enabled": True,
            "origin": "cli",
            "failure_count": 0,
            "error_rate": 0.0,
            "paused_until": None,
            "pause_reason": None,
            "removed_at": None,
            "keys": (a_key(name),),
            **fields,
        }
    )
    return Offer(channel, LUMEN, MODEL)


def pick(*offers: Offer, refused: Any = (), tried: Any = (), **how: Any) -> Choice:
    return choose(
        offers,
        past=Past(refused, tried),
        **{
            "group": "default",
            "full": (),
            "load": {},
            "now_ms": NOW_MS,
            "chance": 0.0,
            **how,
        },
    )


def name_of(choice: Choice) -> str | None:
    return choice.offer.channel.name if choice.offer else None


def shares(*offers: Offer) -> Counter[str | None]:
    """How many of a hundred evenly spread chances each channel gets."""
    return Counter(name_of(pick(*offers, chance=n / 100)) for n in range(100))


def test_only_channel_takes_the_task() -> None:
    assert name_of(pick(an_offer("a"))) == "a"


def test_nobody_who_will_do_it_is_no_choice_and_nothing_to_wait_for() -> None:
    for choice in (pick(), pick(an_offer("a"), refused={"ch_a"})):
        assert (choice.offer, choice.wait_ms) == (None, None)


def test_higher_priority_goes_first_whatever_the_weight() -> None:
    offers = an_offer("low", weight=99), an_offer("high", priority=1)
    assert shares(*offers) == {"high": 100}


def test_lower_priority_takes_over_when_the_higher_is_paused() -> None:
    high = an_offer("high", priority=1, paused_until=NOW_MS + 1)
    assert name_of(pick(an_offer("low"), high)) == "low"


def test_pause_ends_by_itself() -> None:
    assert name_of(pick(an_offer("a", paused_until=NOW_MS))) == "a"


def test_paused_channels_are_waited_for_until_the_first_is_back() -> None:
    choice = pick(
        an_offer("a", paused_until=NOW_MS + 9000),
        an_offer("b", paused_until=NOW_MS + 3000),
        an_offer("refused", paused_until=NOW_MS + 5),
        refused={"ch_refused"},
    )
    assert (choice.offer, choice.wait_ms) == (None, 3000)


def test_channel_that_was_tried_is_taken_only_when_no_other_is_healthy() -> None:
    a, b = an_offer("a", priority=1), an_offer("b")
    assert name_of(pick(a, b, tried={"ch_a"})) == "b"
    assert name_of(pick(a, b, tried={"ch_a", "ch_b"})) == "a"


@pytest.mark.parametrize(
    ("weights", "wanted"),
    [((3, 1), {"a": 75, "b": 25}), ((1, 9), {"a": 10, "b": 90}), ((5, 0), {"a": 100})],
)
def test_weights_are_shares(weights: tuple[int, int], wanted: dict[str, int]) -> None:
    a, b = (an_offer(n, weight=w) for n, w in zip("ab", weights, strict=True))
    assert shares(a, b) == wanted


def test_among_equal_weights_the_least_loaded_takes_it() -> None:
    load = {"ch_a": 5, "ch_b": 2}
    assert name_of(pick(an_offer("a"), an_offer("b"), load=load)) == "b"
    assert name_of(pick(an_offer("a"), an_offer("c"), load=load)) == "c"


def test_equals_share_alike() -> None:
    assert shares(an_offer("a"), an_offer("b")) == {"a": 50, "b": 50}


@pytest.mark.parametrize("chance", [0.0, 0.5, 0.999999, 1.0])
def test_every_chance_gives_a_channel_and_a_key(chance: float) -> None:
    for weights in ((1, 2), (0, 1), (1, 1), (0, 0)):
        a, b = (an_offer(n, weight=w) for n, w in zip("ab", weights, strict=True))
        choice = pick(a, b, chance=chance)
        assert choice.offer is not None
        assert choice.key in choice.offer.channel.keys


@pytest.mark.parametrize("chance", [0.0, 0.5, 0.999999])
@pytest.mark.parametrize("weights", [(0, 2), (2, 0)])
def test_channel_without_weight_is_not_picked_beside_one_that_has_it(
    weights: tuple[int, int], chance: float
) -> None:
    a, b = (an_offer(n, weight=w) for n, w in zip("ab", weights, strict=True))
    assert name_of(pick(a, b, chance=chance)) == ("b" if weights[1] else "a")


def key_of(choice: Choice) -> str | None:
    return choice.key.name if choice.key else None


def two_keys(**fields: Any) -> Offer:
    return an_offer("a", keys=(a_key("one", **fields), a_key("two")))


def test_least_loaded_key_of_a_channel_is_taken() -> None:
    assert key_of(pick(two_keys(), load={"key_one": 2, "key_two": 1})) == "two"
    assert key_of(pick(two_keys(), load={"key_two": 1})) == "one"


@pytest.mark.parametrize("fields", [{"paused_until": NOW_MS + 1}, {"removed_at": 1}])
def test_key_that_is_paused_or_removed_is_left_alone(fields: dict[str, int]) -> None:
    assert key_of(pick(two_keys(**fields), load={"key_two": 9})) == "two"


def test_key_that_refused_the_task_or_is_full_is_not_taken() -> None:
    assert key_of(pick(two_keys(), refused={"key_one"})) == "two"
    assert key_of(pick(two_keys(), full={"key_one"})) == "two"


def test_channel_whose_keys_all_refused_is_no_choice() -> None:
    choice = pick(two_keys(), refused={"key_one", "key_two"})
    assert (choice.offer, choice.wait_ms) == (None, None)


def test_channel_whose_keys_are_all_paused_is_waited_for() -> None:
    keys = (
        a_key("one", paused_until=NOW_MS + 5000),
        a_key("two", paused_until=NOW_MS + 2000),
    )
    assert pick(an_offer("a", keys=keys)).wait_ms == 2000


def test_full_channel_hands_over_to_another_or_is_waited_for() -> None:
    a, b = an_offer("a", priority=1), an_offer("b")
    assert name_of(pick(a, b, full={"ch_a"})) == "b"
    assert pick(a, b, full={"ch_a", "ch_b"}).wait_ms == 1000


def test_channel_of_other_groups_does_not_serve_a_client() -> None:
    gold = an_offer("gold", groups=["gold"], priority=1)
    assert name_of(pick(gold, an_offer("all"))) == "all"
    assert name_of(pick(gold, an_offer("all"), group="gold")) == "gold"
    assert pick(gold).wait_ms is None


def test_order_of_the_channels_does_not_matter() -> None:
    a, b = an_offer("a", weight=1), an_offer("b", weight=2)
    assert [pick(a, b, chance=n / 9) for n in range(9)] == [
        pick(b, a, chance=n / 9) for n in range(9)
    ]


def test_reason_names_what_decided() -> None:
    a, b = an_offer("a", weight=1), an_offer("b", weight=2)
    assert pick(a).reason == "the only free channel of priority 0"
    assert pick(a, b).reason == "weight 1 of 3 among a, b (priority 0)"
