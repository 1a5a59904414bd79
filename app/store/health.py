"""Whether the database answers, and which errors say that it does not."""

from __future__ import annotations

from sqlalchemy import Connection, exc, select

from app.store.models import facts

# The database is away, busy beyond patience, full, or not migrated yet: come back. What
# else SQLAlchemy raises is a mistake of ours.
OUTAGES: tuple[type[Exception], ...] = (
    exc.OperationalError,
    exc.InterfaceError,
    exc.TimeoutError,
    exc.DisconnectionError,
)

# Whatever a statement may raise: trouble of the database, or data that it refuses.
TROUBLES: tuple[type[Exception], ...] = (exc.DBAPIError, exc.TimeoutError)

# SQLSTATE of what passes: connections, deadlocks, a full disk, a shutdown, a failing
# machine; a lock that is held, a standby, and a transaction that was idle too long.
PASSING_CLASSES = frozenset({"08", "40", "53", "57", "58"})
PASSING = frozenset({"55P03", "25006", "25P03"})

# Raised by a look at a database without our tables.
NOT_MIGRATED: tuple[type[Exception], ...] = (exc.ProgrammingError,)


def look(tx: Connection) -> None:
    """Read something small of ours; raises one of OUTAGES or NOT_MIGRATED."""
    tx.execute(select(facts.c.name).limit(1)).all()


def reason_of(error: Exception) -> str:
    """An outage in one line, in the database's own words."""
    told = str(getattr(error, "orig", None) or error).strip()
    return told.splitlines()[0] if told else type(error).__name__


def is_away(error: Exception) -> bool:
    """Whether one of TROUBLES is the database's own, rather than a refusal of data."""
    if not isinstance(error, exc.DBAPIError) or error.connection_invalidated:
        return True
    sqlstate: str | None = getattr(error.orig, "sqlstate", None)
    if sqlstate is None:
        return isinstance(error, exc.OperationalError | exc.InterfaceError)
    return sqlstate[:2] in PASSING_CLASSES or sqlstate in PASSING
