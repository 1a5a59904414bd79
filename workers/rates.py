"""Keep channels within their limits: places in flight, and calls a second.

The store keeps the counts, so they hold for all workers together. Work over a limit
goes back in order and counts as no try and no look.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from app.store import gates, submissions
from app.store.channels import Channel, ChannelKey
from app.store.due import SubmissionClaim
from app.store.session import Transaction
from providers.types import Provider

# Places are reserved so far ahead; a claim waits for its place in the engine.
AHEAD_S = 1.0
# From the claim to the call: places must not slip into each other.
HANDLING_S = 0.05
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
        starts_s = 0.0
        for row_id, per_s in (
            (channel.id, limits.get("submits_per_s")),
            (key.id, limits.get("key_submits_per_s")),
        ):
            if per_s is None:
                continue
            places = gates.reserve(
                self.tx, f"submits:{row_id}", per_s=per_s, wanted=1, within_s=AHEAD_S
            )
            if not places.starts_s:
                self._refuse(row_id, places.next_s)
                return None
            starts_s = max(starts_s, places.starts_s[0])
        for row_id in (channel.id, key.id):
            live[row_id] = live.get(row_id, 0) + 1
        return time.monotonic() + starts_s + HANDLING_S

    def _refuse(self, row_id: str, wait_s: float) -> None:
        self.full.add(row_id)
        self.waits_s[row_id] = wait_s


def spread_looks(
    tx: Transaction,
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
        for n, claim in enumerate(members):
            place = n // together
            if place < len(places.starts_s):
                start = places.starts_s[place]
                starts[claim.id] = max(starts.get(claim.id, 0.0), start)
            else:
                behind = (place - len(places.starts_s)) / per_s
                wait_s = min(places.next_s + behind, WAIT_LONGEST_S)
                waits[claim.id] = max(waits.get(claim.id, 0.0), wait_s)
    by_id = {claim.id: claim for members in groups.values() for claim in members}
    late = [by_id[claim_id] for claim_id in waits]
    submissions.put_back(tx, late, list(waits.values()))
    now = time.monotonic() + HANDLING_S
    return free + [
        replace(by_id[claim_id], starts_at=now + start)
        for claim_id, start in starts.items()
        if claim_id not in waits
    ]


def _together(provider: Provider | None) -> int:
    """How many jobs one look asks about."""
    if provider is None or provider.poll_many is None:
        return 1
    return provider.poll_many_limit
