"""Rows that several workers and replicas may want to make at once, and the bindings themselves."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Engine, Row, Table, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from workspace_authz.tenancy.schema import BINDINGS

NOBODY: Final = ""
"""The UID of a workspace whose namespace was missing when its data were found."""


class Reason(StrEnum):
    """How a binding came about."""

    START = "start-up"
    WRITE = "first write"
    ADOPTED = "adopted"


@dataclass(frozen=True, slots=True)
class Binding:
    """The namespace whose data a workspace holds."""

    workspace: str
    uid: str
    """:data:`NOBODY` when there was no namespace."""
    reason: str
    by: str
    """The Kubernetes user who adopted the data, else empty."""
    at: int
    """Milliseconds since the epoch."""


def insert_if_absent(engine: Engine, table: Table, values: Mapping[str, Any]) -> None:
    """Insert a row unless one with its key is there. Whoever reads it afterwards reads the same as all."""
    try:
        with engine.begin() as connection:
            connection.execute(insert(table).values(**values))
    except IntegrityError:
        # Another was first; it has committed, or this insert would still wait.
        return


def read_binding(engine: Engine, workspace: str) -> Binding | None:
    """The binding of a workspace, if it has one."""
    with engine.connect() as connection:
        row = connection.execute(select(BINDINGS).where(BINDINGS.c.workspace == workspace)).first()
    return None if row is None else _binding(row)


def read_bindings(engine: Engine) -> dict[str, Binding]:
    """All bindings, by workspace."""
    with engine.connect() as connection:
        return {row.workspace: _binding(row) for row in connection.execute(select(BINDINGS))}


def bind(engine: Engine, workspace: str, uid: str, reason: Reason) -> None:
    """Bind a workspace that is not bound yet; one that is stays as it is."""
    values = {"workspace": workspace, "namespace_uid": uid, "reason": str(reason)}
    insert_if_absent(engine, BINDINGS, {**values, "bound_by": "", "bound_at": now_ms()})


def rebind(engine: Engine, workspace: str, uid: str, *, by: str) -> None:
    """Give a workspace's data to another namespace, on the word of a Kubernetes user."""
    bind(engine, workspace, uid, Reason.ADOPTED)
    values = {"namespace_uid": uid, "reason": str(Reason.ADOPTED), "bound_by": by, "bound_at": now_ms()}
    with engine.begin() as connection:
        connection.execute(update(BINDINGS).where(BINDINGS.c.workspace == workspace).values(**values))


def unbind(engine: Engine, workspace: str) -> None:
    """Forget a workspace: the next write binds it anew."""
    with engine.begin() as connection:
        connection.execute(delete(BINDINGS).where(BINDINGS.c.workspace == workspace))


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def _binding(row: Row[Any]) -> Binding:
    return Binding(row.workspace, row.namespace_uid, row.reason, row.bound_by, row.bound_at)
