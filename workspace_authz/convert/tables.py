"""Reads tables of somebody else's database, whatever columns this release of it has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection, create_engine, func, inspect, literal_column, select, table
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from workspace_authz.errors import ConfigurationError

Record: TypeAlias = Mapping[str, Any]

UNREAD: Final = "this table is of a newer release, and is not read here: look into it"
"""What becomes of a table that nobody asked for."""


@dataclass(frozen=True, slots=True)
class Tables:
    """What was read."""

    rows: Mapping[str, Sequence[Record]]
    """The rows of each table that was there."""
    counts: Mapping[str, int]
    """How many rows others have."""
    unread: Sequence[str]
    """Tables that by their names hold permissions, and that nobody asked for."""


def read_tables(uri: str, wanted: Iterable[str], *, counted: Iterable[str] = ()) -> Tables:
    """The rows of ``wanted``, and how many ``counted`` have. Raises :class:`ConfigurationError`."""
    asked, others = list(wanted), list(counted)
    try:
        engine = create_engine(uri)
        try:
            present = inspect(engine).get_table_names()
            with engine.connect() as connection:
                rows = {name: _rows(connection, name) for name in asked if name in present}
                counts = {name: _count(connection, name) for name in others if name in present}
        finally:
            engine.dispose()
    except (SQLAlchemyError, ArgumentError, ModuleNotFoundError) as error:
        # Never the text: it may hold the address, and that a password.
        raise ConfigurationError(
            f"The permission database cannot be read ({type(error).__name__}): is the address right, is its "
            "driver installed, and does this machine reach it?"
        ) from error
    left = set(present) - {*asked, *others}
    return Tables(rows, counts, sorted(name for name in left if "permission" in name or "role" in name))


def _rows(connection: Connection, name: str) -> Sequence[Record]:
    found: Any = connection.execute(select(literal_column("*")).select_from(table(name)))
    rows = [dict(row._mapping) for row in found]
    return sorted(rows, key=_order) if rows and "id" in rows[0] else rows


def _order(record: Record) -> int:
    return int(record["id"])


def _count(connection: Connection, name: str) -> int:
    return int(connection.execute(select(func.count()).select_from(table(name))).scalar_one())
