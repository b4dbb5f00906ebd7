"""Reads tables of somebody else's database, whatever columns this release of it has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection, create_engine, func, inspect, literal_column, make_url, select, table
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
    demand_file(uri)
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


def demand_file(uri: str) -> None:
    """SQLite makes a database where there is none. Raises :class:`ConfigurationError` instead."""
    with suppress(ArgumentError):
        url = make_url(uri)
        file = url.database or ":memory:"
        if (
            url.get_backend_name() == "sqlite"
            and not file.startswith((":", "file:"))
            and not Path(file).exists()
        ):
            raise ConfigurationError(f"There is no database {file}.")


def _rows(connection: Connection, name: str) -> Sequence[Record]:
    found: Any = connection.execute(select(literal_column("*")).select_from(table(name)))
    rows = [dict(row._mapping) for row in found]
    numbered = all(isinstance(row.get("id"), int) for row in rows)
    return sorted(rows, key=lambda row: int(row["id"])) if numbered else rows


def _count(connection: Connection, name: str) -> int:
    return int(connection.execute(select(func.count()).select_from(table(name))).scalar_one())
