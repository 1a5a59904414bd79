"""Keep channels within their limits: places in flight, and calls a second.

The store keeps the counts, so they hold for all workers together. Work over a limit
goes back in order and counts as no try and no look. A call that missed its place takes
a new one: it would crowd with those whose places come next.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from app.store import gates, submissions
from app.store.channels import Channel, ChannelKey
from app.store.due import SubmissionClaim
from app.store.session import Transaction
from providers.types import Provider
from workers.clocks import DatabaseClock
from workers.runtime import WorkerRuntime

# Places are reserved so far ahead; a claim waits for its place in the engine.
AHEAD_S = 1.0
# From the claim to the call; the same for all, so that it keeps them apart.
HANDLING_S = 0.05
# A call that is so late has missed its place; gates leave room for that.
TOLERANCE_S = 0.015
# To connect takes time: calls set out before their place begins.
SET_OUT_S = 0.2
WAIT_LONGEST_S = 30.0

SUBMIT_LIMITS = (
    "in_flight",
    "key_in_flight",
    "submits_per_s",
    "key_submits_per_s",
)


@dataclass
class Admission:
    """Lets the tasks of one claim in, channel by channel.

    `full` grows with what has no place left, and `waits_s` says when to ask again.
    """

    tx: Transaction
    clock: DatabaseClock
    full: set[str] = field(default_factory=set)
    waits_s: dict[str, float] = field(default_factory=dict)
    _live: dict[str, dict[str, int]] = field(default_factory=dict)
    _locked: bool = False
    behind: int = 0  # tasks of this claim that wait already

    def admit(self, channel: Channel, key: ChannelKey) -> float | None:
        """When the submit may start, as monotonic time; None when there is no place.

        The channel or the key is then in `full`.
        """
        limits = channel.limits
        if not any(name in limits for name in SUBMIT_LIMITS):
            return 0.0
        if not self._locked:
            # One lock for all: several in any order could wait for each other.
            gates.hold(self.tx, "submits")
            self._locked = True
        live = self._live.get(channel.id)
        if live is None:
            live = submissions.count_live_of(self.tx, channel.id)
            self._live[channel.id] = live
        for row_id, limit in (
            (channel.id, limits.get("in_flight")),
            (key.id, limits.get("key_in_flight")),
        ):
            if limit is not None and live.get(row_id, 0) >= limit:
                self._refuse(row_id, AHEAD_S)
                return None
        starts_at = 0.0
        if rates := rates_of("submits", channel, key.id):
            place = gates.reserve_in_all(self.tx, rates, within_s=AHEAD_S)
            for name, wait_s in place.busy_s.items():
                self._refuse(name.removeprefix("submits:"), wait_s)
            if place.start_s is None:
                return None
            starts_at = self.clock.monotonic(place.read, place.start_s) + HANDLING_S
        for row_id in (channel.id, key.id):
            live[row_id] = live.get(row_id, 0) + 1
        return starts_at

    def _refuse(self, row_id: str, wait_s: float) -> None:
        self.full.add(row_id)
        self.waits_s[row_id] = wait_s


def rates_of(kind: str, channel: Channel, key_id: str) -> dict[str, float]:
    """The gates of a channel and one of its keys that calls of this kind pass.

    `kind` is `submits` or `polls`.
    """
    limits = {
        channel.id: channel.limits.get(f"{kind}_per_s"),
        key_id: channel.limits.get(f"key_{kind}_per_s"),
    }
    return {f"{kind}:{row_id}": per_s for row_id, per_s in limits.items() if per_s}


async def set_out(starts_at: float) -> None:
    """Wait until it is time to connect for a call that leaves at `starts_at`."""
    await asyncio.sleep(starts_at - SET_OUT_S - time.monotonic())


async def wait_for_place(
    rt: WorkerRuntime, kind: str, channel: Channel, key_id: str, starts_at: float
) -> None:
    """Return when the call may be written: in its place, or in a new one if late."""
    rates = rates_of(kind, channel, key_id)
    if not rates:
        return
    ahead_s = 0.0
    while True:
        await asyncio.sleep(starts_at - time.monotonic())
        if time.monotonic() - starts_at <= TOLERANCE_S:
            return
        starts_at = await rt.engine.in_thread(_take_place, rt, kind, rates, ahead_s)
        ahead_s = min(2 * ahead_s + HANDLING_S, AHEAD_S)


def _take_place(
    rt: WorkerRuntime, kind: str, rates: Mapping[str, float], ahead_s: float
) -> float:
    """When a new place begins, as monotonic time; `ahead_s` or more from now."""
    with rt.transaction() as tx:
        gates.hold(tx, kind)  # first, as claims do
        place = gates.reserve_in_all(tx, rates, after_s=ahead_s)
    assert place.start_s is not None
    return rt.database_clock.monotonic(place.read, place.start_s) + HANDLING_S


def spread_looks(
    tx: Transaction,
    clock: DatabaseClock,
    claims: Sequence[SubmissionClaim],
    channels: Mapping[str, Channel],
    providers: Mapping[str, Provider],
) -> list[SubmissionClaim]:
    """The claims that may be looked at now, with the time for each; others go back."""
    groups: dict[tuple[str, float, int], list[SubmissionClaim]] = {}
    free = []
    for claim in claims:
        channel = channels[claim.channel_id]
        together = _together(providers.get(channel.provider))
        if per_s := channel.limits.get("key_polls_per_s"):
            group = (claim.key_id, per_s, together)
            groups.setdefault(group, []).append(claim)
        if per_s := channel.limits.get("polls_per_s"):
            group = (claim.channel_id, per_s, together)
            groups.setdefault(group, []).append(claim)
        elif "key_polls_per_s" not in channel.limits:
            free.append(claim)
    if not groups:
        return free
    gates.hold(tx, "polls")
    starts: dict[str, float] = {}
    waits: dict[str, float] = {}
    for (row_id, per_s, together), members in groups.items():
        places = gates.reserve(
            tx,
            f"polls:{row_id}",
            per_s=per_s,
            wanted=-(-len(members) // together),
            within_s=AHEAD_S,
        )
        now = clock.monotonic(places.read, 0.0)
        for n, claim in enumerate(members):
            place = n // together
            if place < len(places.starts_s):
                start = now + places.starts_s[place] + HANDLING_S
                starts[claim.id] = max(starts.get(claim.id, 0.0), start)
            else:
                behind = (place - len(places.starts_s)) / per_s
                wait_s = min(places.next_s + behind, WAIT_LONGEST_S)
                waits[claim.id] = max(waits.get(claim.id, 0.0), wait_s)
    by_id = {claim.id: claim for members in groups.values() for claim in members}
    late = [by_id[claim_id] for claim_id in waits]
    submissions.put_back(tx, late, list(waits.values()))
    return free + [
        replace(by_id[claim_id], starts_at=start)
        for claim_id, start in starts.items()
        if claim_id not in waits
    ]


def _together(provider: Provider | None) -> int:
    """How many jobs one look asks about."""
    if provider is None or provider.poll_many is None:
        return 1
    return provider.poll_many_limit
