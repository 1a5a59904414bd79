"""What one web process keeps between requests, beside its `Runtime`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from app.api import auth
from app.api.callback_urls import CallbackUrls
from app.api.key_sets import KeySets
from app.api.memory import Memory
from app.api.waiting import Waiting
from app.durations import Learned
from app.lifecycle import State
from app.runtime import Runtime
from app.store import channels, ledger, tasks
from app.store.additions import Additions
from app.store.channels import Channel
from app.store.durations import Place
from providers.types import Provider

CHANNELS_REMEMBERED_S = 2.0
DURATIONS_REMEMBERED_S = 10.0


@dataclass(frozen=True)
class WebProcess:
    """Views read it as `g.web`."""

    rt: Runtime
    providers: Mapping[str, Provider]
    clients: auth.Clients
    channel_memory: Memory[str, list[Channel]]
    price_memory: Memory[str, bool]
    duration_memory: Memory[str, Mapping[Place, Learned]]
    additions: Additions
    waiting: Waiting
    key_sets: KeySets
    callback_urls: CallbackUrls

    def channels(self) -> list[Channel]:
        """Every channel, removed ones too: their callbacks still come."""
        return self.channel_memory.get("", self._load_channels)

    def has_prices(self) -> bool:
        """Whether anything costs something: most gateways keep no price list."""
        return self.price_memory.get("", self._look_for_prices)

    def close(self) -> None:
        """End the threads of this process; whoever waits is answered."""
        self.waiting.close()
        self.additions.close()
        self.callback_urls.close()

    def _look_for_prices(self) -> bool:
        with self.rt.reading() as tx:
            return bool(ledger.list_prices(tx))

    def _load_channels(self) -> list[Channel]:
        with self.rt.reading() as tx:
            return channels.list_all(tx, removed=True)


def open_web_process(rt: Runtime, providers: Mapping[str, Provider]) -> WebProcess:
    """A web process that has remembered nothing yet; starts no thread."""

    def find_states(ids: Collection[str]) -> Mapping[str, State]:
        with rt.reading() as tx:
            return {
                task_id: state
                for task_id, (state, _) in tasks.find_states(tx, ids).items()
            }

    return WebProcess(
        rt=rt,
        providers=providers,
        clients=auth.new_memory(),
        channel_memory=Memory(CHANNELS_REMEMBERED_S, 1),
        price_memory=Memory(CHANNELS_REMEMBERED_S, 1),
        duration_memory=Memory(DURATIONS_REMEMBERED_S, 1),
        additions=Additions(rt.database),
        waiting=Waiting(
            find_states, web_threads=rt.settings.web_threads, news=rt.database.news
        ),
        key_sets=KeySets(),
        callback_urls=CallbackUrls(rt.settings.allow_networks),
    )
