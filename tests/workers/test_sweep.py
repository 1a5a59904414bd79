"""The sweep: what nobody needs goes, once a minute in all."""

from __future__ import annotations

import logging
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import text

from app.lifecycle import Event
from app.storage import NotStored, StorageError
from app.store import ledger, tasks
from app.store.ledger import Price, Unit
from app.store.tasks import Result
from tests.workers.bench import Bench, a_bench, bench
from workers import sweep

__all__ = ["bench"]

DAY_S = 86_400


def ended(bench: Bench, key: str, **fields: object) -> str:
    """A task that succeeded with one file."""
    task_id = bench.a_task(**fields)
    with bench.rt.transaction() as tx:
        at_work = "UPDATE tasks SET state = 'processing', due_at = NULL WHERE id = :id"
        tx.execute(text(at_work), {"id": task_id})
        assert tasks.advance(tx, task_id, Event.FINISH)
        tasks.add_results(tx, task_id, [Result(n=0, storage_key=key)])
    bench.storage.put(key, b"content")
    return task_id


def count(bench: Bench) -> int:
    return int(bench.row("SELECT count(*) AS n FROM tasks")["n"])


def test_old_task_goes_with_its_files(bench: Bench) -> None:
    bench.storage.put("inputs/a", b"x")
    images = [{"upload": "inputs/a", "content_type": "image/png"}]
    ended(bench, "results/1", inputs={"prompt": "p", "images": images})
    bench.wait(31 * DAY_S)
    sweep.sweep(bench.rt)
    assert count(bench) == 0
    for key in ("results/1", "inputs/a"):
        with pytest.raises(NotStored):
            bench.storage.open(key)


def test_more_than_one_batch_goes_in_one_round(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "BATCH", 2)
    for n in range(5):
        ended(bench, f"results/{n}")
    bench.wait(31 * DAY_S)
    sweep.sweep(bench.rt)
    assert count(bench) == 0


def test_young_task_stays(bench: Bench) -> None:
    ended(bench, "results/1")
    bench.wait(29 * DAY_S)
    sweep.sweep(bench.rt)
    assert count(bench) == 1
    assert bench.storage.exists("results/1")


def test_task_whose_callback_is_owed_stays(bench: Bench) -> None:
    ended(bench, "results/1", callback_url="https://client.example/hook")
    bench.wait(31 * DAY_S)
    sweep.sweep(bench.rt)
    assert count(bench) == 1
    assert bench.storage.exists("results/1")


def test_days_are_the_operators(tmp_path: Path) -> None:
    with a_bench(tmp_path, retention_days=2) as bench:
        ended(bench, "results/1")
        bench.wait(2 * DAY_S + 1)
        sweep.sweep(bench.rt)
        assert count(bench) == 0


def test_sweep_is_done_once_a_minute_by_whoever_comes_first(bench: Bench) -> None:
    sweep.sweep(bench.rt)
    ended(bench, "results/1")
    bench.wait(31 * DAY_S)
    sweep.sweep(bench.rt)
    assert count(bench) == 0
    ended(bench, "results/2")
    with bench.rt.transaction() as tx:
        tx.execute(text("UPDATE tasks SET created_at = 1"))
    bench.wait(sweep.EVERY_S - 1)
    sweep.sweep(bench.rt)
    assert count(bench) == 1
    bench.wait(2)
    sweep.sweep(bench.rt)
    assert count(bench) == 0


def test_task_whose_file_cannot_be_deleted_is_kept_for_the_next_round(
    bench: Bench,
) -> None:
    ended(bench, "results/1")
    gone = ended(bench, "results/2")
    bench.wait(31 * DAY_S)
    delete = bench.storage.delete

    class Away:
        def delete(self, key: str) -> None:
            if key == "results/1":
                raise StorageError("away")
            delete(key)

        clean_stale = bench.storage.clean_stale

    object.__setattr__(bench.base, "storage", Away())
    sweep.sweep(bench.rt)
    assert count(bench) == 1
    assert bench.row("SELECT id FROM tasks")["id"] != gone


def test_old_idempotency_keys_are_forgotten(bench: Bench) -> None:
    with bench.rt.transaction() as tx:
        tx.execute(
            text(
                "INSERT INTO idempotency_keys (client_id, route, key, body_hash,"
                " task_id, answer, created_at) VALUES ('c', 'r', 'k', x'00', 't', '{}',"
                " :now)"
            ),
            {"now": int(bench.clock * 1000)},
        )
    bench.wait(bench.settings.idempotency_ttl_s + 1)
    sweep.sweep(bench.rt)
    assert bench.row("SELECT count(*) AS n FROM idempotency_keys")["n"] == 0


def test_ledger_that_does_not_add_up_is_told_once_an_hour(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    task_id = bench.a_task()
    client_id = bench.client.client_id
    with bench.rt.transaction() as tx:
        ledger.set_price(tx, Price("lumen-1", "", Unit.CALL, Decimal(1)))
        ledger.hold(tx, client_id, task_id, "lumen-1", ["main"], {})
        tasks.advance(tx, task_id, Event.CANCEL)
    sweep.sweep(bench.rt)
    assert caplog.records == []
    with bench.rt.transaction() as tx:
        tx.execute(text("DELETE FROM entries WHERE kind = 'release'"))
    for _ in range(3):
        bench.wait(sweep.LEDGER_EVERY_S / 2 + 1)
        sweep.sweep(bench.rt)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.__dict__["tasks"] == [task_id]
