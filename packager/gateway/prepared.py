"""The few statements that every execution needs, without SQLAlchemy's way to SQLite's driver.

Each time it runs a statement SQLAlchemy goes through far more code than SQLite itself. Between two runs of ComfyUI that
code has left the processor's caches: a third of what the gateway added to a small run was this.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Column, Connection, Executable
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.compiler import SQLCompiler

_DIALECT = sqlite.dialect(paramstyle="named")
_Convert = Callable[[Any], Any]


class Prepared:
    """A statement that is compiled once. On SQLite its text goes to the driver, elsewhere SQLAlchemy runs it."""

    def __init__(
        self, statement: Executable, *, given: Sequence[str] = (), columns: Sequence[Column[Any]] = ()
    ) -> None:
        """`given`: the columns that an insert gives values for; `columns`: those that the statement returns."""
        self._statement = statement
        compiled: Any = statement.compile(dialect=_DIALECT, column_keys=list(given) or None)  # type: ignore[attr-defined]
        assert isinstance(compiled, SQLCompiler)
        self._text = str(compiled)
        self._own = {name: bind.value for bind, name in compiled.bind_names.items() if not bind.required}
        types = {name: bind.type.dialect_impl(_DIALECT) for bind, name in compiled.bind_names.items()}
        self._to_driver: dict[str, _Convert] = {
            name: convert for name, type in types.items() if (convert := type.bind_processor(_DIALECT))
        }
        results = [(each.name, each.type.dialect_impl(_DIALECT)) for each in columns]
        self._from_driver = [(name, type.result_processor(_DIALECT, None)) for name, type in results]

    def changed(self, c: Connection, values: Mapping[str, Any]) -> int:
        """How many rows it changed."""
        if (driver := _driver(c)) is None:
            return c.execute(self._statement, dict(values)).rowcount
        return driver.execute(self._text, self._bound(values)).rowcount

    def first(self, c: Connection, values: Mapping[str, Any]) -> dict[str, Any] | None:
        """The first row that it gives, by the names of its columns."""
        if (driver := _driver(c)) is None:
            row = c.execute(self._statement, dict(values)).first()
            return None if row is None else dict(zip((name for name, _ in self._from_driver), row, strict=True))
        rows = driver.execute(self._text, self._bound(values)).fetchall()  # to its end: else it holds its lock
        if not rows:
            return None
        told = zip(self._from_driver, rows[0], strict=True)
        return {name: convert(value) if convert else value for (name, convert), value in told}

    def _bound(self, values: Mapping[str, Any]) -> dict[str, Any]:
        bound = {**self._own, **values}
        for name, convert in self._to_driver.items():
            bound[name] = convert(bound[name])
        return bound


def _driver(c: Connection) -> sqlite3.Connection | None:
    found = c.connection.dbapi_connection
    return found if isinstance(found, sqlite3.Connection) else None
