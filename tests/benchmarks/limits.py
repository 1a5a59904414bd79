"""What this machine can do without us: rows in, rows claimed, calls made."""

from __future__ import annotations

import threading
import time
from itertools import count

from tests.benchmarks import intake, poll, rows
from tests.benchmarks.figures import Better, Figure
from tests.benchmarks.stand import Options, Stand, connected, standing

NAME = "limits"
CONNECTIONS = (1, 16)
WAITING = 50_000
BATCH = 200
CLAIM = """
UPDATE submissions SET due_at = due_at + 600000, fence = fence + 1
WHERE id IN (WITH picked AS MATERIALIZED (
    SELECT id FROM submissions WHERE due_at <= %s ORDER BY due_at LIMIT %s
    FOR UPDATE SKIP LOCKED) SELECT id FROM picked)
RETURNING id
"""


def measure(options: Options) -> list[Figure]:
    """Inserts with one commit each, claims in batches, and bare HTTP calls."""
    seconds = options.seconds / 2
    figures = []
    with standing(options) as stand:
        poll.seed(stand, stand.start_web())
        for connections in CONNECTIONS:
            figures.append(
                Figure(
                    f"raw insert of a task's row, {connections} connections",
                    insert(stand, connections, seconds),
                    "per s",
                    Better.MORE,
                )
            )
        task_id = stand.sql("SELECT task_id FROM submissions")[0][0]
        rows.copy_in_flight(
            stand, task_id, WAITING, ends_in_ms=poll.FAR_MS, due_in_ms="-nth"
        )
        figures.append(
            Figure(
                f"raw claim, {BATCH} at a time",
                claim(stand, seconds),
                "rows per s",
                Better.MORE,
            )
        )
        reach = intake.generator_limit(stand, 64)
        figures.append(Figure("raw HTTP client", reach, "calls per s", Better.MORE))
    return figures


def insert(stand: Stand, connections: int, seconds: float) -> float:
    """Rows a second: each is one transaction with all of the table's indexes."""
    url = stand.database_url
    numbers = count()
    done = [0] * connections
    with connected(url) as connection:
        found = connection.execute("SELECT * FROM tasks LIMIT 1")
        assert found.description is not None
        names = [column.name for column in found.description]
        row = found.fetchone()
        assert row is not None
    columns = ", ".join(f'"{name}"' for name in names)
    places = ", ".join(["%s"] * len(names))
    query = f"INSERT INTO tasks ({columns}) VALUES ({places})".encode()
    id_at = names.index("id")
    until = time.monotonic() + seconds

    def work(n: int) -> None:
        values = list(row)
        with connected(url) as connection:
            while time.monotonic() < until:
                values[id_at] = f"raw_{connections}_{next(numbers)}"
                connection.execute(query, values)
                connection.commit()
                done[n] += 1

    threads = [threading.Thread(target=work, args=(n,)) for n in range(connections)]
    begun = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / (time.monotonic() - begun)


def claim(stand: Stand, seconds: float) -> float:
    """Rows a second that one connection claims."""
    taken = 0
    now_ms = int(stand.sql(f"SELECT {rows.NOW}")[0][0])
    with connected(stand.database_url) as connection:
        begun = time.monotonic()
        while time.monotonic() - begun < seconds:
            found = connection.execute(CLAIM.encode(), (now_ms, BATCH)).fetchall()
            connection.commit()
            taken += len(found)
            if not found:
                break
        return taken / (time.monotonic() - begun)
