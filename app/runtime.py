"""What code needs from outside, in one value: the store, storage, keys, bells, time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from app import provider_files
from app.bells import Bell, Ring
from app.news import open_news
from app.security.sealing import Sealer, derive
from app.settings import Settings
from app.storage import Storage, open_storage
from app.store import facts
from app.store.session import Database, Transaction, open_database
from providers.types import Provider


@dataclass(frozen=True)
class Runtime:
    """One process's view of the outside; tests pass their own."""

    settings: Settings
    database: Database
    storage: Storage
    sealer: Sealer
    ring: Ring
    now: Callable[[], float] = time.time
    providers: Mapping[str, Provider] = field(
        repr=False, default_factory=lambda: provider_files.BUILT_IN
    )
    api_key_pepper: bytes = field(repr=False, default=b"")
    link_key: bytes = field(repr=False, default=b"")
    callback_key: bytes = field(repr=False, default=b"")
    # Of the secret keys before the present one: what was signed with them still counts.
    old_api_key_peppers: tuple[bytes, ...] = field(repr=False, default=())
    old_link_keys: tuple[bytes, ...] = field(repr=False, default=())
    old_callback_keys: tuple[bytes, ...] = field(repr=False, default=())

    def transaction(self) -> AbstractContextManager[Transaction]:
        """A transaction that commits at the end of the block, or changes nothing."""
        return self.database.transaction()

    def reading(self) -> AbstractContextManager[Transaction]:
        """A connection for reading alone."""
        return self.database.reading()

    @property
    def public_url(self) -> str:
        """Where clients and upstreams reach this gateway; no slash at the end."""
        settings = self.settings
        host = settings.web_host if settings.web_host != "0.0.0.0" else "127.0.0.1"
        return (settings.public_url or f"http://{host}:{settings.web_port}").rstrip("/")


def open_runtime(
    settings: Settings, ring: Ring, *, pool_size: int = 16, alone: bool = False
) -> Runtime:
    """The runtime of these settings, whose `secret_key` is set.

    `alone`: this process answers clients and does all the work, too.

    Raises `app.security.sealing.SealError` when the store was sealed with another key,
    and `SettingsError` for a wrong file of a provider: better not to start than to
    fail at the first task.
    """
    providers = provider_files.load(settings.providers)
    runtime = Runtime(
        settings=settings,
        database=open_database(
            settings.database_url,
            pool_size=pool_size,
            news=open_news(settings.redis_url, alone=alone),
        ),
        storage=open_storage(settings.storage_url),
        sealer=Sealer.from_secret(settings.secret_key, settings.old_secret_keys),
        ring=ring,
        providers=providers,
        api_key_pepper=derive(settings.secret_key, "api-keys"),
        link_key=derive(settings.secret_key, "result-links"),
        callback_key=derive(settings.secret_key, "upstream-callbacks"),
        old_api_key_peppers=_derive_old(settings, "api-keys"),
        old_link_keys=_derive_old(settings, "result-links"),
        old_callback_keys=_derive_old(settings, "upstream-callbacks"),
    )
    with runtime.transaction() as tx:
        facts.check_secret_key(tx, runtime.sealer)
    return runtime


def _derive_old(settings: Settings, purpose: str) -> tuple[bytes, ...]:
    return tuple(derive(key, purpose) for key in settings.old_secret_keys)


@contextmanager
def running(settings: Settings, ring: Ring) -> Iterator[Runtime]:
    """A runtime for the length of a block."""
    runtime = open_runtime(settings, ring)
    try:
        yield runtime
    finally:
        runtime.database.close()


def no_ring(bell: Bell) -> None:
    """For commands that may leave it to the workers' own looks."""
