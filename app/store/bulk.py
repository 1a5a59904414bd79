"""Many rows in one statement: on PostgreSQL the rows travel as parallel arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection, Row, bindparam, column, func
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.base import Executable
from sqlalchemy.types import TypeEngine

Rows = Sequence[Mapping[str, Any]]


class Bulk:
    """A statement that is built once and then run for many rows.

    `build(given)` makes it; `given.name` stands for one row's value of that name, which
    must not be the name of a column that is set. PostgreSQL runs it once for all rows,
    SQLite, which has no round trips to save, once for each.
    """

    def __init__(
        self,
        types: Mapping[str, TypeEngine[Any] | type[TypeEngine[Any]]],
        build: Callable[[Any], Executable],
    ) -> None:
        self._names = tuple(types)
        arrays = [bindparam(name, type_=ARRAY(kind)) for name, kind in types.items()]  # type: ignore[arg-type]
        columns = [column(name, kind) for name, kind in types.items()]  # type: ignore[arg-type]
        given = func.unnest(*arrays).table_valued(*columns).render_derived("given")
        self._at_once = build(given.c)
        self._one_by_one = build(
            SimpleNamespace(
                **{name: bindparam(name, type_=kind) for name, kind in types.items()}
            )
        )

    def run(self, tx: Connection, rows: Rows) -> None:
        """Run it for these rows."""
        if not rows:
            return
        if tx.dialect.name == "postgresql":
            tx.execute(self._at_once, self._arrays(rows))
        else:
            tx.execute(self._one_by_one, list(rows))

    def returned(self, tx: Connection, rows: Rows) -> list[Row[Any]]:
        """Run it for these rows; gives what its RETURNING says, in no order."""
        if not rows:
            return []
        if tx.dialect.name == "postgresql":
            return list(tx.execute(self._at_once, self._arrays(rows)))
        return [
            found for row in rows for found in tx.execute(self._one_by_one, dict(row))
        ]

    def _arrays(self, rows: Rows) -> dict[str, list[Any]]:
        return {name: [row[name] for row in rows] for name in self._names}
