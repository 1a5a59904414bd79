"""Many rows in one statement: on PostgreSQL the rows travel as parallel arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    Table,
    bindparam,
    column,
    func,
    insert,
    literal,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.base import Executable
from sqlalchemy.types import TypeEngine

Rows = Sequence[Mapping[str, Any]]


class Bulk:
    """A statement that is built once and then run for many rows.

    `build(given)` makes it; `given.name` stands for one row's value of that name, which
    must not be the name of a column that is set. Rows may have more values than that.
    PostgreSQL runs it once for all rows, SQLite, which has no round trips to save,
    once for each.
    """

    def __init__(
        self,
        types: Mapping[str, TypeEngine[Any] | type[TypeEngine[Any]]],
        build: Callable[[Any], Executable],
    ) -> None:
        self._names = tuple(types)
        arrays = [bindparam(name, type_=ARRAY(kind)) for name, kind in types.items()]
        columns = [column(name, kind) for name, kind in types.items()]
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
            tx.execute(self._one_by_one, [self._values(row) for row in rows])

    def returned(self, tx: Connection, rows: Rows) -> list[Row[Any]]:
        """Run it for these rows; gives what its RETURNING says, in no order."""
        if not rows:
            return []
        if tx.dialect.name == "postgresql":
            return list(tx.execute(self._at_once, self._arrays(rows)))
        return [
            found
            for row in rows
            for found in tx.execute(self._one_by_one, self._values(row))
        ]

    def _values(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return {name: row[name] for name in self._names}

    def _arrays(self, rows: Rows) -> dict[str, list[Any]]:
        return {name: [row[name] for row in rows] for name in self._names}


class BulkInsert:
    """An INSERT of many rows that differ in these columns; `fixed` is alike in all."""

    def __init__(self, table: Table, columns: Sequence[str], **fixed: Any) -> None:
        self._columns = tuple(columns)
        types = [table.c[name].type for name in columns]
        arrays = [
            bindparam(f"new_{name}", type_=ARRAY(kind))
            for name, kind in zip(columns, types, strict=True)
        ]
        given = (
            func.unnest(*arrays)
            .table_valued(
                *(column(name, kind) for name, kind in zip(columns, types, strict=True))
            )
            .render_derived("given")
        )
        others = [
            literal(value, table.c[name].type)
            if isinstance(value, str | int | float)
            else value
            for name, value in fixed.items()
        ]
        self._at_once = insert(table).from_select(
            [*columns, *fixed], select(*given.c, *others)
        )
        self._one_by_one = insert(table).values(**fixed)

    def run(self, tx: Connection, rows: Rows) -> None:
        """Insert these rows."""
        if not rows:
            return
        if tx.dialect.name == "postgresql":
            arrays = {
                f"new_{name}": [row[name] for row in rows] for name in self._columns
            }
            tx.execute(self._at_once, arrays)
        else:
            tx.execute(
                self._one_by_one,
                [{name: row[name] for name in self._columns} for row in rows],
            )
