"""Rows in bulk: copies of one that the gateway itself has made.

Only the columns that must differ are named, so this outlives changes of the schema.
"""

from __future__ import annotations

from collections.abc import Mapping

import psycopg

from tests.benchmarks.stand import Stand, connected
from tests.services import libpq_url

# Instants are unix milliseconds by the database's clock.
NOW = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
NUMBER = "lpad(to_hex(nth), 32, '0')"
TASK_ID = f"'task_' || {NUMBER}"
PLACE = ":value"
SUBMISSION_ID = f"'sub_' || {NUMBER}"


def copy_ended(stand: Stand, task_id: str, count: int) -> None:
    """Tasks that ended long ago, beside one that has ended."""
    with connected(stand.database_url) as connection:
        aged = f"({NOW} - nth * 10)"
        changed = {"id": TASK_ID, "created_at": aged, "updated_at": aged}
        _copy(connection, "tasks", "id", task_id, count, changed)
        for table in ("task_bodies", "artifacts"):
            _copy(connection, table, "task_id", task_id, count, {"task_id": TASK_ID})
        ids = {"id": SUBMISSION_ID, "task_id": TASK_ID}
        _copy(connection, "submissions", "task_id", task_id, count, ids)
    _analyze(stand)


def copy_in_flight(
    stand: Stand,
    task_id: str,
    count: int,
    *,
    ends_in_ms: str,
    due_in_ms: str,
    sent_before_ms: str = "0",
) -> None:
    """Tasks that an upstream works on, beside one that has ended or is worked on.

    The three are SQL over `nth`, 1 to `count`: when the job ends, when the first look
    is due, how long ago it was sent.
    """
    with connected(stand.database_url) as connection:
        now = connection.execute(f"SELECT {NOW}".encode()).fetchone()
        assert now is not None
        now_ms = int(now[0])
        sent = f"({now_ms} - ({sent_before_ms})::bigint)"
        task = {
            "id": TASK_ID,
            "state": "'processing'",
            "due_at": "NULL",
            "percent": "0",
            "created_at": sent,
            "updated_at": sent,
            "submitted_at": sent,
            "started_at": sent,
            "finished_at": "NULL",
            "error_code": "NULL",
        }
        _copy(connection, "tasks", "id", task_id, count, task)
        _copy(
            connection, "task_bodies", "task_id", task_id, count, {"task_id": TASK_ID}
        )
        submission = {
            "id": SUBMISSION_ID,
            "task_id": TASK_ID,
            "state": "'accepted'",
            "due_at": f"{now_ms} + ({due_in_ms})::bigint",
            "claim_count": "0",
            "look_count": "0",
            "looked_at": "NULL",
            "called_at": "NULL",
            # As an earlier look has seen it: that a job runs is told only once.
            "phase": "'running'",
            "percent": "NULL",
            "found": "NULL",
            "verdict": "NULL",
            "ended_at": "NULL",
            "remote_id": f"'job-' || ({now_ms} + ({ends_in_ms})::bigint) || '-' || nth",
            "created_at": sent,
            "sent_at": sent,
            "accepted_at": sent,
            "deadline_at": f"{now_ms} + 86400000",
        }
        _copy(connection, "submissions", "task_id", task_id, count, submission)
    _analyze(stand)


def _copy(
    connection: psycopg.Connection,
    table: str,
    key: str,
    value: str,
    count: int,
    changed: Mapping[str, str],
) -> None:
    found = connection.execute(
        "SELECT column_name FROM information_schema.columns"
        " WHERE table_schema = 'public' AND table_name = %s"
        " AND column_default IS NULL",
        (table,),
    )
    columns = [name for (name,) in found]
    names = ", ".join(f'"{name}"' for name in columns)
    values = ", ".join(changed.get(name, f'one."{name}"') for name in columns)
    query = (
        f"INSERT INTO {table} ({names}) SELECT {values} FROM {table} AS one,"
        f" generate_series(1, {count}) AS nth WHERE one.{key} = {PLACE}"
    )
    # What is asked for is SQL of our own, in which % is an operator.
    query = query.replace("%", "%%").replace(PLACE, "%s")
    connection.execute(query.encode(), (value,))


def _analyze(stand: Stand) -> None:
    url = libpq_url(stand.database_url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
