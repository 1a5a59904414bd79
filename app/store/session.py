"""Engines, transactions and the database's clock."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from sqlalchemy import BigInteger, Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from app.lifecycle import State
from app.news import News

SQLITE_BUSY_S = 30.0
CHANGED = "genrelay_changed"

Clock = Callable[[], float]
# What functions of the store take: an open transaction, or a connection for reading.
Transaction = Connection


class db_now(FunctionElement[int]):
    """Unix milliseconds by the database's clock, so that all workers agree."""

    type = BigInteger()
    inherit_cache = True


@compiles(db_now, "postgresql")
def _postgresql_now(element: Any, compiler: Any, **kw: Any) -> str:
    # Not clock_timestamp(): an index cannot be searched for what may change meanwhile.
    return "CAST(extract(epoch FROM statement_timestamp()) * 1000 AS BIGINT)"


@compiles(db_now, "sqlite")
def _sqlite_now(element: Any, compiler: Any, **kw: Any) -> str:
    return "genrelay_now()"


class Database:
    """One database: `transaction()` to write, `reading()` to look.

    What a transaction has noted (`note_change`) is told when it is committed.
    """

    def __init__(self, engine: Engine, news: News | None = None) -> None:
        self.engine = engine
        self.news = news or News()
        # SQLite takes one writer and lets the others sleep and try again; threads of
        # one process wait here instead, and go on the moment the writer is done.
        self._writer = threading.Lock() if self.is_sqlite else nullcontext()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction that commits at the end of the block, or changes nothing."""
        changed: dict[str, State] = {}
        with self._writer, self.engine.begin() as tx:
            tx.info[CHANGED] = changed
            yield tx
        if changed:
            self.news.tell(changed)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection for reading alone; on SQLite it takes no write lock."""
        with self.engine.connect().execution_options(genrelay_reads=True) as tx:
            yield tx
            tx.rollback()

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    def close(self) -> None:
        self.news.close()
        self.engine.dispose()


def note_change(tx: Connection, task_id: str, state: State) -> None:
    """Let those who wait for this task hear of it after the commit."""
    tx.info.setdefault(CHANGED, {})[task_id] = state


def open_database(
    url: str,
    *,
    pool_size: int = 16,
    clock: Clock = time.time,
    news: News | None = None,
) -> Database:
    """The database at a SQLAlchemy URL; `clock` (unix seconds) is used by SQLite."""
    if make_url(url).get_backend_name() == "sqlite":
        return Database(_sqlite_engine(url, clock), news)
    return Database(
        create_engine(
            url,
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_timeout=10,
            pool_pre_ping=True,
            pool_recycle=1800,
            connect_args={
                "connect_timeout": 5,
                "application_name": f"genrelay-{os.getpid()}",
                # A lost network must not hold a worker's thread for hours.
                "keepalives_idle": 15,
                "keepalives_interval": 5,
                "keepalives_count": 3,
                "tcp_user_timeout": 30_000,
            },
        ),
        news,
    )


def _sqlite_engine(url: str, clock: Clock) -> Engine:
    """SQLite in WAL mode: one writer at a time, readers beside it.

    A writing transaction starts with BEGIN IMMEDIATE, because one that reads first and
    writes later fails as soon as another has written in between. `synchronous` is FULL:
    a task that was answered survives a loss of power too.
    """
    engine = create_engine(url, connect_args={"timeout": SQLITE_BUSY_S})

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        connection.create_function("genrelay_now", 0, lambda: int(clock() * 1000))
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def on_begin(tx: Connection) -> None:
        reads = tx.get_execution_options().get("genrelay_reads")
        tx.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine
