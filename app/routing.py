"""Which channel takes a task, and which of its keys; pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from app.catalog import Offer
from app.store.channels import Channel, ChannelKey


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen offer and key, and why; or None and when to ask again.

    `wait_ms` is set when a channel that may still take the task is paused or full.
    """

    offer: Offer | None
    key: ChannelKey | None
    reason: str
    wait_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Past:
    """What earlier submissions of the task have shown.

    `refused` are channels and keys (by id) that will not do it at all; `tried` are
    channels that could not be reached or were busy a moment ago.
    """

    refused: Collection[str] = ()
    tried: Collection[str] = ()


def choose(
    offers: Sequence[Offer],
    *,
    group: str,
    past: Past,
    full: Collection[str],
    load: Mapping[str, int],
    now_ms: int,
    chance: float,
) -> Choice:
    """Pick by weight within the highest priority that has a healthy channel.

    `full` are channels and keys that have no place now: the task waits for one of them
    only when no other channel is free. `chance`, 0 to 1, decides by weight; among
    equal weights the least loaded channel is taken, and of its keys the least loaded.
    """
    willing = [
        offer
        for offer in offers
        if offer.channel.id not in past.refused
        and (not offer.channel.groups or group in offer.channel.groups)
        and any(k.id not in past.refused for k in offer.channel.usable_keys)
    ]
    if not willing:
        return Choice(None, None, "no channel that serves the model will do this task")
    usable = {
        offer.channel.id: keys
        for offer in willing
        if (keys := _free_keys(offer.channel, past, full, now_ms))
    }
    free = [offer for offer in willing if offer.channel.id in usable]
    if not free:
        waits = [_wait_ms(offer.channel, past, now_ms) for offer in willing]
        return Choice(None, None, "every channel is paused or full", min(waits))
    fresh = [o for o in free if o.channel.id not in past.tried] or free
    top = max(o.channel.priority for o in fresh)
    tier = sorted(
        (o for o in fresh if o.channel.priority == top), key=lambda o: o.channel.name
    )
    offer, reason = _pick(tier, top, load, chance)
    key = min(usable[offer.channel.id], key=lambda k: (load.get(k.id, 0), k.id))
    if len(offer.channel.usable_keys) > 1:
        reason += f"; key {key.name}, the least loaded"
    return Choice(offer, key, reason)


def _pick(
    tier: Sequence[Offer], top: int, load: Mapping[str, int], chance: float
) -> tuple[Offer, str]:
    """One offer of a tier, and why."""
    if len(tier) == 1:
        return tier[0], f"the only free channel of priority {top}"
    names = ", ".join(o.channel.name for o in tier)
    weights = [o.channel.weight for o in tier]
    if len(set(weights)) == 1:
        least = min(load.get(o.channel.id, 0) for o in tier)
        idle = [o for o in tier if load.get(o.channel.id, 0) == least]
        offer = idle[min(int(chance * len(idle)), len(idle) - 1)]
        return offer, f"least loaded of {names} (priority {top})"
    point = chance * sum(weights)
    offer = tier[-1]
    for candidate in tier:
        point -= candidate.channel.weight
        if point < 0:
            offer = candidate
            break
    share = f"weight {offer.channel.weight} of {sum(weights)}"
    return offer, f"{share} among {names} (priority {top})"


def _free_keys(
    channel: Channel, past: Past, full: Collection[str], now_ms: int
) -> list[ChannelKey]:
    """The keys of a channel that may send something now; none when it may not."""
    if channel.id in full or (channel.paused_until or 0) > now_ms:
        return []
    return [
        key
        for key in channel.usable_keys
        if key.id not in past.refused
        and key.id not in full
        and (key.paused_until or 0) <= now_ms
    ]


def _wait_ms(channel: Channel, past: Past, now_ms: int) -> int:
    """Milliseconds until a channel may be free again; one second when it is full."""
    keys = [k for k in channel.usable_keys if k.id not in past.refused]
    until = max(
        channel.paused_until or 0, min((k.paused_until or 0 for k in keys), default=0)
    )
    return max(until - now_ms, 1000)
