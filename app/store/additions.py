"""Many new tasks in one statement: requests that come together share a commit.

A commit waits for the disk, and each statement is a journey to the database and back.
The first request that comes adds its task at once, in its own thread, so that a lone
one waits for nobody. Those that come meanwhile wait for it, and one of them then adds
all of theirs with one statement.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress
from enum import Enum, auto

from sqlalchemy import Connection

from app.store import tasks
from app.store.health import TROUBLES
from app.store.session import Database
from app.store.tasks import NewTask

MOST_TOGETHER = 64
# One client's row that somebody has locked must not hold up the tasks of the others.
LOCK_WAIT_MS = 1000
# One that lay idle longer may be dead: the pool gives one that it has tested.
TRUSTED_S = 20.0


class _Turn(Enum):
    """What a request that waits is told."""

    WAIT = auto()
    LEAD = auto()
    ADDED = auto()
    ALONE = auto()


class _New:
    """A task that waits to be added."""

    __slots__ = ("client_id", "created_at", "lock", "task", "turn")

    def __init__(self, client_id: str, task: NewTask) -> None:
        self.client_id = client_id
        self.task = task
        self.created_at = 0
        self.turn = _Turn.WAIT
        # Held until there is news: a plain lock wakes faster than an Event.
        self.lock = threading.Lock()
        self.lock.acquire()

    def tell(self, turn: _Turn) -> None:
        self.turn = turn
        self.lock.release()


class Additions:
    """Adds the tasks of one process; safe for threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._guard = threading.Lock()
        self._waiting: deque[_New] = deque()
        self._is_led = False
        self._is_closed = False
        # Used by the leader alone.
        self._connection: Connection | None = None
        self._used_at = 0.0

    def add(self, client_id: str, task: NewTask) -> int:
        """Insert a queued task that is due at once; gives its time of creation.

        It is committed when this returns. Whatever goes wrong with the tasks of others,
        an error is that of this one: it is then added by itself.
        """
        if self._database.is_sqlite:
            return self._add_alone(client_id, task)
        new = _New(client_id, task)
        with self._guard:
            self._waiting.append(new)
            leads, self._is_led = not self._is_led, True
        if not leads:
            new.lock.acquire()
        if leads or new.turn is _Turn.LEAD:
            self._lead(new)
        if new.turn is _Turn.ALONE:
            return self._add_alone(client_id, task)
        return new.created_at

    def close(self) -> None:
        """Give the connection back; what is added later takes one for itself."""
        with self._guard:
            self._is_closed = True
            if not self._is_led:
                self._drop_connection()

    def _lead(self, own: _New) -> None:
        """Add the tasks that wait, this leader's own among them, and pass the lead."""
        with self._guard:
            count = min(len(self._waiting), MOST_TOGETHER)
            batch = [self._waiting.popleft() for _ in range(count)]
        turn = _Turn.ALONE
        try:
            self._add_together(batch)
            turn = _Turn.ADDED
        except Exception:
            # Whatever it is, one task must not fail for another: by itself each learns
            # what is wrong with it, and one that is there already stays as it is.
            self._drop_connection()
        finally:
            with self._guard:
                following = self._waiting[0] if self._waiting else None
                self._is_led = following is not None
                if following is None and self._is_closed:
                    self._drop_connection()
            if following is not None:
                following.tell(_Turn.LEAD)
            for new in batch:
                if new is own:
                    new.turn = turn
                else:
                    new.tell(turn)

    def _add_together(self, batch: list[_New]) -> None:
        added = tasks.add_all(
            self._connect(), [(new.client_id, new.task) for new in batch]
        )
        for new in batch:
            new.created_at = added[new.task.id]
        self._used_at = time.monotonic()

    def _connect(self) -> Connection:
        if time.monotonic() - self._used_at > TRUSTED_S:
            self._drop_connection()
        if self._connection is None:
            # Each statement is a transaction by itself: no BEGIN, no COMMIT to send.
            self._connection = self._database.engine.connect().execution_options(
                isolation_level="AUTOCOMMIT"
            )
            self._connection.detach()  # from the pool, which wants it as it was
            self._connection.exec_driver_sql(f"SET lock_timeout = {LOCK_WAIT_MS}")
        return self._connection

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*TROUBLES):
                connection.close()

    def _add_alone(self, client_id: str, task: NewTask) -> int:
        with self._database.transaction() as tx:
            return tasks.add(tx, client_id, task)
