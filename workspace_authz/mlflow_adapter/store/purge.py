"""Deleting a workspace's rows from MLflow's database, in portions that other users of it hardly notice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Engine, delete, select, tuple_

from workspace_authz.mlflow_adapter.store.owned_rows import Belonging, Link, belongings

PORTION: Final = 400
"""Owners whose rows go in one transaction; SQLite takes 999 variables, older ones no more."""

Progress = Callable[[str, int], None]
"""Told of a table and how many of its rows are gone so far."""


def delete_rows(engine: Engine, workspace: str, *, progress: Progress) -> int:
    """Delete all rows of the workspace, what is owned before its owner. Returns how many there were.

    May be repeated after a failure. Raises ``SQLAlchemyError``.
    """
    total = 0
    for belonging in reversed(belongings(workspace)):
        gone = 0
        for count in _delete(engine, belonging):
            gone += count
            progress(belonging.table.name, gone)
        total += gone
    return total


def _delete(engine: Engine, belonging: Belonging) -> Iterator[int]:
    if belonging.link is None:
        with engine.begin() as connection:
            yield _rowcount(connection, belonging)
        return
    after: Sequence[Any] | None = None
    while True:
        with engine.begin() as connection:
            owners = _owners(connection, belonging.link, after)
            if not owners:
                return
            after = owners[-1]
            count = _rowcount(connection, belonging, owners)
        if count:
            yield count


def _owners(connection: Connection, link: Link, after: Sequence[Any] | None) -> Sequence[Sequence[Any]]:
    """The next portion of owners, in the order of their keys. They stay until all that they own is gone."""
    query = select(*link.owner_columns).where(link.owner.condition).order_by(*link.owner_columns)
    if after is not None:
        query = query.where(tuple_(*link.owner_columns) > tuple_(*after))
    return connection.execute(query.distinct().limit(PORTION // len(link.columns))).all()


def _rowcount(
    connection: Connection, belonging: Belonging, owners: Sequence[Sequence[Any]] | None = None
) -> int:
    condition = belonging.condition
    if belonging.link is not None and owners is not None:
        columns = belonging.link.columns
        if len(columns) == 1:
            condition = columns[0].in_([owner[0] for owner in owners])
        else:
            condition = tuple_(*columns).in_([tuple(owner) for owner in owners])
    return connection.execute(delete(belonging.table).where(condition)).rowcount
