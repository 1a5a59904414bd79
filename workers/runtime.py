"""What a worker process needs: the gateway's runtime, its HTTP engine, the channels."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from app.bells import Bell
from app.runtime import Runtime
from app.settings import Settings
from app.store import channels as channel_store
from app.store import submissions
from app.store.channels import Channel
from app.store.session import Transaction
from providers.errors import Unavailable
from providers.types import Model, Provider
from workers.clocks import DatabaseClock, uptime_s
from workers.durations import Durations
from workers.http import Account, Engine

CHANNELS_LIVE_S = 1.0
UNDESCRIBED_S = 10.0


@dataclass
class WorkerRuntime:
    """One worker process's view of the outside; tests pass their own.

    Its providers are those of the runtime, unless others are given.
    """

    base: Runtime
    engine: Engine
    providers: Mapping[str, Provider] = field(default_factory=dict)
    chance: Callable[[], float] = random.random
    uptime: Callable[[], float] = uptime_s
    database_clock: DatabaseClock = field(default_factory=DatabaseClock)
    durations: Durations = field(init=False)
    # Of each job that this process does: claims once more if it runs and has room.
    look_again: dict[Bell, Callable[[], bool]] = field(default_factory=dict)
    _channels: Mapping[str, Channel] = field(default_factory=dict)
    _accounts: dict[str, Account] = field(default_factory=dict)
    _load: Mapping[str, int] = field(default_factory=dict)
    _read_at: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.providers = self.providers or self.base.providers
        self.durations = Durations(self.base)

    @property
    def settings(self) -> Settings:
        return self.base.settings

    def transaction(self) -> AbstractContextManager[Transaction]:
        """A transaction that commits at the end of the block, or changes nothing."""
        return self.base.transaction()

    def ring(self, bell: Bell) -> None:
        """Tell workers that something is due.

        When this process is at that job and has room, it takes it without a message.
        """
        look_again = self.look_again.get(bell)
        if look_again is None or not look_again():
            self.base.ring(bell)

    def channels(self) -> Mapping[str, Channel]:
        """Every channel by id, removed ones too; at most a second old."""
        self._refresh()
        return self._channels

    def load(self) -> Mapping[str, int]:
        """Submissions at work per channel; at most a second old."""
        self._refresh()
        return self._load

    def forget_channels(self) -> None:
        """Read the channels anew at the next look: one was paused or resumed."""
        self._read_at = 0.0

    def account(self, channel_id: str, key_id: str) -> Account:
        """A channel ready to be called with this key, also with a removed one.

        A submission is asked about with the key that sent it. As it was last read: the
        loop that carries the calls must not wait for the store. Raises `Unavailable`
        when nothing describes its provider any more: its file may come back.
        """
        channel = self._channels.get(channel_id) or self.channels()[channel_id]
        known = self._accounts.get(key_id)
        if known is not None and known.channel is channel:
            return known
        key = next(key for key in channel.keys if key.id == key_id)
        provider = self.providers.get(channel.provider)
        if provider is None:
            raise Unavailable(f"this worker knows no provider {channel.provider!r}")
        account = self.engine.account(channel, key, provider)
        self._accounts[key_id] = account
        return account

    def spacing_s(self, channel: Channel) -> float:
        """The least time between two looks at a job of this channel.

        The provider's own advice, unless the channel's limits say better.
        """
        provider = self.providers.get(channel.provider)
        advised_s = UNDESCRIBED_S if provider is None else provider.poll_spacing_s
        spacing_s = channel.limits.get("poll_spacing_s", advised_s)
        return max(spacing_s, self.settings.poll_min_s)

    def longest_s(self, model: Model) -> float:
        """How long a job of this model may take before it is given up."""
        cap = self.settings.deadline_s
        return model.longest_s if cap is None else min(model.longest_s, cap)

    def _refresh(self) -> None:
        with self._lock:
            if self._read_at and time.monotonic() - self._read_at < CHANNELS_LIVE_S:
                return
            with self.base.reading() as tx:
                found = channel_store.list_all(tx, removed=True)
                load = submissions.count_live(tx)
            self._channels = {channel.id: channel for channel in found}
            self._load = load
            self._read_at = time.monotonic()
