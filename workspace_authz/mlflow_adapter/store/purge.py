"""Deleting a workspace's rows from MLflow's database, in small transactions that hardly disturb others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeAlias

from sqlalchemy import ColumnElement, Connection, Engine, Table, delete, select, tuple_

from workspace_authz.mlflow_adapter.store.owned_rows import OwnedRows, Reference, owned_rows

BATCH: Final = 400
"""How many owners' rows are deleted in one transaction. Older SQLite takes at most 999 variables."""

Progress: TypeAlias = Callable[[str, int], None]
"""Called with a table's name and how many of its rows have been deleted so far."""


def delete_rows(engine: Engine, workspace: str, *, progress: Progress) -> int:
    """Delete all rows of the workspace, those of an owner last. Returns how many there were.

    May be called again after a failure. Raises ``SQLAlchemyError``.
    """
    total = 0
    for rows in reversed(owned_rows(workspace)):
        deleted = 0
        for count in _delete(engine, rows):
            deleted += count
            progress(rows.table.name, deleted)
        total += deleted
    return total


def _delete(engine: Engine, rows: OwnedRows) -> Iterator[int]:
    """Delete the rows of one table, and yield their number after each transaction."""
    if rows.reference is None:
        with engine.begin() as connection:
            yield _delete_where(connection, rows.table, condition=rows.condition)
        return
    after: Sequence[Any] | None = None
    while True:
        with engine.begin() as connection:
            owners = _next_owners(connection, rows.reference, after=after)
            if not owners:
                return
            after = owners[-1]
            count = _delete_where(connection, rows.table, condition=rows.reference.to(owners))
        if count:
            yield count


def _next_owners(
    connection: Connection, reference: Reference, *, after: Sequence[Any] | None
) -> Sequence[Sequence[Any]]:
    """The next batch of owners, in the order of their keys. Owners outlive what they own."""
    columns = reference.owner_columns
    query = select(*columns).where(reference.owner.condition).order_by(*columns)
    if after is not None:
        query = query.where(tuple_(*columns) > tuple_(*after))
    return connection.execute(query.distinct().limit(BATCH // len(columns))).all()


def _delete_where(connection: Connection, table: Table, *, condition: ColumnElement[bool]) -> int:
    return connection.execute(delete(table).where(condition)).rowcount
