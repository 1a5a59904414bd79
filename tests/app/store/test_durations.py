"""What workers learn together stays, whoever writes it."""

from __future__ import annotations

import threading

from app.store import durations
from app.store.durations import Ended
from tests.app.store.stores import (
    Store,
    add_channel,
    migrated_postgres,
    postgres_store,
    sqlite_store,
    store,
)

__all__ = ["migrated_postgres", "postgres_store", "sqlite_store", "store"]


def ended(channel_id: str, model: str = "lumen-1", seconds: float = 20.0) -> Ended:
    return Ended(channel_id, model, 60.0, seconds, seconds, False)


def test_jobs_are_counted_by_channel_and_model(store: Store) -> None:
    one, other = "ch_1", "ch_2"
    with store.transaction() as tx:
        add_channel(tx, other)
        durations.learn(tx, [ended(one), ended(other), ended(one, "lumen-2")])
        durations.learn(tx, [ended(one)])

    with store.transaction() as tx:
        learned = durations.load(tx)
    assert {place: known.job_count for place, known in learned.items()} == {
        (one, "lumen-1"): 2,
        (one, "lumen-2"): 1,
        (other, "lumen-1"): 1,
    }
    assert sum(learned[one, "lumen-1"].weights) > 1.9


def test_workers_at_once_lose_nothing(store: Store) -> None:
    ids = ["ch_1", "ch_2"]
    with store.transaction() as tx:
        add_channel(tx, "ch_2")

    def work(order: int) -> None:
        for _ in range(10):
            with store.transaction() as tx:
                durations.learn(tx, [ended(i) for i in ids[::order]])

    threads = [threading.Thread(target=work, args=[order]) for order in (1, -1, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with store.transaction() as tx:
        learned = durations.load(tx)
    assert [learned[i, "lumen-1"].job_count for i in ids] == [30, 30]
