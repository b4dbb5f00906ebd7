"""What belongs to other workspaces in MLflow's database and on its disk, before and after."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from mlflow.utils.workspace_utils import DEFAULT_WORKSPACE_NAME

from workspace_authz.database.schema import AUDIT

Row = tuple[Any, ...]
Columns = tuple[str, ...]

_OF_NOBODY: Final = frozenset({"scheduler_leases", AUDIT.name})
"""What MLflow writes by itself, and where every request is noted."""
_LINKS: Final = frozenset({"entity_associations", "inputs"})
"""Tables that name their ends by id, without foreign keys."""
_SHORTEST_ID: Final = 16
_OTHERS: Final = "others in the same workspace"


@dataclass(frozen=True, slots=True)
class _Reference:
    """A foreign key: the table that it refers to, its columns here and there."""

    table: str
    here: Columns
    there: Columns


@dataclass(slots=True)
class Ledger:
    """Reads the server's state. ``own`` is the one workspace that may change.

    With ``since`` only what is made in it later: what it holds now belongs to others.
    """

    database: Path
    state: Path
    own: str
    since: bool = False
    _connection: sqlite3.Connection = field(init=False)
    _before: frozenset[tuple[str, Row]] = frozenset()
    """What of ``own`` belongs to others: table and key."""
    _experiments: frozenset[str] = frozenset()
    """And the folders of its experiments."""
    _version: int = -1
    _rows: frozenset[tuple[str, Row]] = frozenset()

    def __post_init__(self) -> None:
        self._connection = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=30)
        if self.since:
            self._before = frozenset(_roots(self._connection, self.own))
            self._experiments = frozenset(
                str(key[0]) for table, key in self._before if table == "experiments"
            )

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def rows(self) -> frozenset[tuple[str, Row]]:
        """Every row that belongs to another workspace, or to none, or links to one that does."""
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        if version != self._version:
            self._rows = frozenset(_foreign_rows(self._connection, self.own, self._before))
            self._version = version
        return self._rows

    def ids(self) -> frozenset[str]:
        """Identifiers of what is in them that cannot be guessed."""
        return frozenset(
            value
            for _, row in self.rows()
            for value in row
            if isinstance(value, str) and len(value) >= _SHORTEST_ID and _is_id(value)
        )

    def files(self) -> frozenset[tuple[str, str]]:
        """Every file in the server's directory with its content, but those of the own workspace."""
        return frozenset(
            (str(file.relative_to(self.state)), hashlib.sha256(file.read_bytes()).hexdigest())
            for file in self.state.rglob("*")
            if file.is_file() and file.parent != self.state and not self._mine(file)
        )

    def _mine(self, file: Path) -> bool:
        parts = file.relative_to(self.state).parts
        return self._owner(file) == self.own and not self._experiments.intersection(parts[:4])

    def _owner(self, file: Path) -> str | None:
        """The workspace whose artifact it is; those of ``default`` lie beside the folder of all others."""
        parts = file.relative_to(self.state).parts
        if parts[0] != "artifacts":
            return None
        return parts[2] if parts[1] == "workspaces" else DEFAULT_WORKSPACE_NAME


def _is_id(text: str) -> bool:
    return sum(letter in "0123456789abcdef" for letter in text) >= _SHORTEST_ID and " " not in text


def _roots(connection: sqlite3.Connection, own: str) -> Iterator[tuple[str, Row]]:
    """Table and key of each row that says that it is the workspace's."""
    for table in _by_dependency(connection):
        keys = _keys(connection, table)
        found = connection.execute(f"SELECT * FROM {table}")
        columns = [column[0] for column in found.description]
        for row in found:
            values = dict(zip(columns, row, strict=True))
            if values.get("workspace") == own:
                yield table, tuple(values[key] for key in keys)


def _keys(connection: sqlite3.Connection, table: str) -> Columns:
    """The columns of the primary key."""
    return tuple(column[1] for column in connection.execute(f"PRAGMA table_info({table})") if column[5])


def _foreign_rows(
    connection: sqlite3.Connection, own: str, before: frozenset[tuple[str, Row]]
) -> Iterator[tuple[str, Row]]:
    tables = _by_dependency(connection)
    references = {table: _references(connection, table) for table in tables}
    wanted = {(one.table, one.there) for found in references.values() for one in found}
    owners: dict[tuple[str, Columns, Row], frozenset[str]] = {}
    by_id: dict[str, frozenset[str]] = {}
    for table in tables:
        found = connection.execute(f"SELECT * FROM {table}")  # a name out of the database itself
        columns = [column[0] for column in found.description]
        keys = _keys(connection, table)
        for row in found:
            values = dict(zip(columns, row, strict=True))
            owner = frozenset({values["workspace"]}) if "workspace" in values else frozenset()
            if (table, tuple(values[key] for key in keys)) in before:
                owner = frozenset({_OTHERS})
            for one in references[table]:
                key = tuple(values[column] for column in one.here)
                owner |= owners.get((one.table, one.there, key), frozenset())
            if table in _LINKS:
                owner |= by_id.get(str(values["source_id"]), frozenset())
                owner |= by_id.get(str(values["destination_id"]), frozenset())
            for _, there in (one for one in wanted if one[0] == table):
                owners[table, there, tuple(values[column] for column in there)] = owner
            by_id[str(row[0])] = owner
            if owner != {own}:
                yield table, row


def _references(connection: sqlite3.Connection, table: str) -> list[_Reference]:
    """The table's foreign keys, but for that to the workspace alone: the row itself has it."""
    found: dict[int, list[Any]] = {}
    for key in connection.execute(f"PRAGMA foreign_key_list({table})"):
        found.setdefault(key[0], []).append(key)
    return [
        _Reference(parts[0][2], tuple(part[3] for part in parts), tuple(part[4] for part in parts))
        for parts in found.values()
        if any(part[3] != "workspace" for part in parts)
    ]


def _by_dependency(connection: sqlite3.Connection) -> list[str]:
    """Tables after those that they refer to; the links last."""
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    waiting, ordered = names - _OF_NOBODY - _LINKS, list[str]()
    while waiting:
        ready = sorted(
            table
            for table in waiting
            if not {one.table for one in _references(connection, table)} & (waiting - {table})
        )
        ordered += ready
        waiting -= set(ready)
    return [*ordered, *sorted(_LINKS & names)]
