"""A migrated store on each database, with rows to work on and time that passes at once.

`wait` moves every instant that is stored into the past, so that it does the same on
PostgreSQL, whose clock is nobody's, as on SQLite.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from sqlalchemy import Connection, Table, case, event, insert, select, text, update

from app.lifecycle import Event, State, SubmissionState
from app.store import channels, clients, due, migrate, submissions, tasks
from app.store.ids import new_id, new_task_id
from app.store.models import channels as channels_table
from app.store.models import metadata
from app.store.models import tasks as tasks_table
from app.store.session import Database, db_now, open_database
from app.store.tasks import NewTask
from tests.services import fresh_postgres

LEASE_S = 60.0
WEBHOOK_URL = "https://client.example/hook"


@dataclass
class Store:
    """One database with a client `client_1` and a channel `ch_1`."""

    database: Database

    def transaction(self) -> AbstractContextManager[Connection]:
        return self.database.transaction()

    def reading(self) -> AbstractContextManager[Connection]:
        return self.database.reading()

    def fill(self) -> None:
        with self.transaction() as tx:
            add_client(tx, "client_1")
            add_channel(tx, "ch_1")

    def wait(self, seconds: float) -> None:
        """Let time pass: all that is stored lies so much further back."""
        moved = int(seconds * 1000)
        with self.transaction() as tx:
            for table in metadata.tables.values():
                instants = {
                    column.name: case((column > 0, column - moved), else_=column)
                    for column in table.c
                    if column.name.endswith(("_at", "_until"))
                }
                if instants:
                    tx.execute(update(table).values(instants))

    def row(self, table: Table, **where: Any) -> dict[str, Any]:
        """The one row of a table that has these values."""
        query = select(table)
        for name, value in where.items():
            query = query.where(table.c[name] == value)
        with self.reading() as tx:
            return dict(tx.execute(query).mappings().one())

    def rows(self, table: Table) -> list[dict[str, Any]]:
        with self.reading() as tx:
            return [dict(row) for row in tx.execute(select(table)).mappings()]

    def now_ms(self) -> int:
        with self.reading() as tx:
            return int(tx.execute(select(db_now())).scalar_one())

    def a_task(self, state: State = State.QUEUED, **fields: Any) -> str:
        """A task that got to this state by legal steps."""
        task_id = str(fields.get("id", new_task_id()))
        client_id = fields.pop("client_id", "client_1")
        with self.transaction() as tx:
            tasks.add(
                tx,
                client_id,
                NewTask(
                    **{
                        "id": task_id,
                        "model": "lumen-1",
                        "media_type": "image",
                        "inputs": {"prompt": "a lighthouse"},
                        **fields,
                    }
                ),
            )
            self._bring(tx, task_id, state)
        return task_id

    def _bring(self, tx: Connection, task_id: str, state: State) -> None:
        if state in (State.QUEUED, State.CANCELLED):
            if state is State.CANCELLED:
                assert tasks.advance(tx, task_id, Event.CANCEL)
            return
        tx.execute(
            update(tasks_table)
            .where(tasks_table.c.id == task_id)
            .values(
                state=State.SUBMITTING.value,
                fence=1,
                claim_count=1,
                due_at=db_now() + int(LEASE_S * 1000),
            )
        )
        if state is State.SUBMITTING:
            return
        assert tasks.advance(tx, task_id, Event.ACCEPT)
        if state is State.SUCCEEDED:
            assert tasks.advance(tx, task_id, Event.FINISH)
        if state is State.FAILED:
            assert tasks.advance(tx, task_id, Event.FAIL, error_code="x", error="y")

    def a_submission(
        self,
        state: SubmissionState = SubmissionState.ACCEPTED,
        *,
        task_id: str | None = None,
        channel_id: str = "ch_1",
        remote_id: str = "job-1",
        look_in_s: float = 0,
    ) -> str:
        """A submission of a task; accepted ones are looked at after `look_in_s`."""
        of_task = task_id or self.a_task(State.SUBMITTING)
        with self.transaction() as tx:
            submission_id = submissions.open_submission(
                tx,
                task_id=of_task,
                task_fence=1,
                channel_id=channel_id,
                key_id=f"key_of_{channel_id}",
                model="up-1",
                reason="the only one",
            )
            if state is SubmissionState.OPEN:
                return submission_id
            assert submissions.mark_sent(tx, [submission_id])
            if state is SubmissionState.UNKNOWN:
                assert submissions.park(
                    tx, submission_id, look_in_s=look_in_s, longest_s=600, error="lost"
                )
            elif state is SubmissionState.ACCEPTED:
                assert submissions.accept(
                    tx,
                    submission_id,
                    remote_id=remote_id,
                    remote={"status": "https://up.example/s"},
                    look_in_s=look_in_s,
                    longest_s=600,
                )
        return submission_id

    def claim_submission(self) -> due.SubmissionClaim:
        with self.transaction() as tx:
            (claim,) = due.claim_submissions(tx, limit=1, lease_s=LEASE_S)
        return claim

    def a_delivery(self, url: str = WEBHOOK_URL) -> str:
        """A callback that is owed for a task that failed; due at once."""
        task_id = self.a_task(State.FAILED, callback_url=url)
        with self.reading() as tx:
            found = tx.execute(
                text("SELECT id FROM deliveries WHERE task_id = :id"), {"id": task_id}
            )
            return str(found.scalar_one())

    def claim_delivery(self) -> due.DeliveryClaim:
        with self.transaction() as tx:
            (claim,) = due.claim_deliveries(tx, limit=1, lease_s=LEASE_S, per_host=4)
        return claim


def add_client(tx: Connection, client_id: str, **fields: Any) -> None:
    clients.add(
        tx,
        **{
            "client_id": client_id,
            "name": client_id,
            "key_hash": new_id().encode(),
            "key_prefix": "sk-abc",
            "scopes": ["tasks:read", "tasks:write"],
            "webhook_secret": b"sealed",
            **fields,
        },
    )


def add_channel(tx: Connection, channel_id: str) -> None:
    tx.execute(
        insert(channels_table).values(
            id=channel_id,
            name=channel_id,
            provider="lumen",
            base_url="https://api.lumen.example",
            groups=[],
            models={},
            weight=1,
            priority=0,
            limits={},
            settings={},
            enabled=True,
            origin="cli",
            failure_count=0,
            error_rate=0.0,
            created_at=db_now(),
            updated_at=db_now(),
        )
    )
    channels.add_key(
        tx,
        key_id=f"key_of_{channel_id}",
        channel_id=channel_id,
        name="key-1",
        secret=b"sealed",
    )


@cache
def _template() -> tuple[TemporaryDirectory[str], Path]:
    """A migrated SQLite file, made once in this process."""
    folder = TemporaryDirectory(prefix="genrelay-store-")
    path = Path(folder.name, "template.db")
    database = unsafe(open_database(f"sqlite:///{path}"))
    migrate.upgrade(database)
    database.close()
    return folder, path


def sqlite_url(folder: Path, name: str = "store.db") -> str:
    """URL of a migrated SQLite file in this folder."""
    shutil.copy(_template()[1], folder / name)
    return f"sqlite:///{folder}/{name}"


def unsafe(database: Database) -> Database:
    """The database without waiting for its disk at each commit."""

    @event.listens_for(database.engine, "connect")
    def on_connect(connection: Any, record: Any) -> None:
        if database.is_sqlite:
            connection.execute("PRAGMA synchronous = OFF")
        else:
            connection.execute("SET synchronous_commit = off")
            connection.commit()

    return database


@pytest.fixture(scope="module")
def migrated_postgres() -> Iterator[Database]:
    with fresh_postgres() as url:
        database = unsafe(open_database(url))
        migrate.upgrade(database)
        yield database
        database.close()


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[Store]:
    database = unsafe(open_database(sqlite_url(tmp_path)))
    store = Store(database)
    store.fill()
    yield store
    database.close()


@pytest.fixture
def postgres_store(migrated_postgres: Database) -> Store:
    store = Store(migrated_postgres)
    names = ", ".join(metadata.tables)
    with store.transaction() as tx:
        tx.execute(text(f"TRUNCATE {names} RESTART IDENTITY CASCADE"))
    store.fill()
    return store


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest) -> Store:
    """A filled store on SQLite, and one on PostgreSQL where one answers."""
    kind = "sqlite" if request.param == "sqlite" else "postgres"
    made: Store = request.getfixturevalue(f"{kind}_store")
    return made
