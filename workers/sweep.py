"""Clear away what nobody needs any more, in small batches."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta

from app.storage import StorageError
from app.store import facts, idempotency, ledger, retention
from app.store.retention import OldTask
from workers.runtime import WorkerRuntime

logger = logging.getLogger(__name__)

EVERY_S = 60.0
ROUND_S = 20.0
LEDGER_EVERY_S = 3600.0  # it reads every entry of the tasks that are kept
BATCH = 500
STALE_AFTER = timedelta(hours=24)


def sweep(rt: WorkerRuntime) -> None:
    """One round; workers take turns, so that a round is done once a minute in all."""
    with rt.transaction() as tx:
        if not facts.take_turn(tx, "sweep", every_s=EVERY_S):
            return
        audit = facts.take_turn(tx, "ledger", every_s=LEDGER_EVERY_S)
    if audit:
        _check_ledger(rt)
    until = time.monotonic() + ROUND_S
    # A gateway that takes more in a minute than one batch must not grow.
    more = True
    while more and time.monotonic() < until:
        more = _clear_batch(rt)
    rt.base.storage.clean_stale(datetime.now(UTC) - STALE_AFTER)


def _clear_batch(rt: WorkerRuntime) -> bool:
    """Delete some of what is old; whether there is more that can be deleted."""
    with rt.transaction() as tx:
        keys = idempotency.forget_old(
            tx, kept_s=rt.settings.idempotency_ttl_s, limit=BATCH
        )
        old = retention.find_old(tx, days=rt.settings.retention_days, limit=BATCH)
    # Without its row nobody would know of a file any more: such a task waits.
    gone = [task.id for task in old if _delete_files(rt, task)]
    if gone:
        with rt.transaction() as tx:
            retention.delete_tasks(tx, gone)
    return keys == BATCH or len(gone) == BATCH


def _delete_files(rt: WorkerRuntime, task: OldTask) -> bool:
    """Whether all files of a task are deleted."""
    for key in task.storage_keys:
        try:
            rt.base.storage.delete(key)
        except StorageError:
            logger.exception("a file cannot be deleted", extra={"key": key})
            return False
    return True


def _check_ledger(rt: WorkerRuntime) -> None:
    with rt.base.reading() as tx:
        broken = ledger.find_unbalanced(tx)
    if broken:
        logger.error(
            "what was held for ended tasks is neither charged nor given back",
            extra={"tasks": broken},
        )
