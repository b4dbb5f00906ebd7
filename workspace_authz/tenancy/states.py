"""How workspaces stand, seen from outside of the server: bindings, data and namespaces laid side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import Engine, func, select

from workspace_authz.mlflow_adapter.store.tables import mlflow_tables
from workspace_authz.tenancy.claims import Binding

COUNTED: Final = (
    "experiments",
    "registered_models",
    "evaluation_datasets",
    "mcp_servers",
    "endpoints",
    "jobs",
)
"""Top-level objects; the tables all have a column ``workspace``."""

_IN_EXPERIMENTS: Final = ("runs", "trace_info")


class State(StrEnum):
    """What a server does with a workspace."""

    BOUND = "bound"
    """It serves it."""
    UNBOUND = "unbound"
    """It has data and was never bound: the server does that when it starts."""
    TERMINATING = "terminating"
    """Its namespace is being deleted."""
    CLOSED = "closed"
    """Its namespace is another one than that of the data: made again, or another cluster's."""
    ORPHAN = "orphan"
    """There is no namespace."""


@dataclass(frozen=True, slots=True)
class Live:
    """A namespace that exists."""

    uid: str
    terminating: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """One workspace."""

    workspace: str
    binding: Binding | None
    namespace: Live | None
    objects: Mapping[str, int]
    """By kind; without those that it has none of."""

    @property
    def state(self) -> State:
        """How it stands."""
        if self.namespace is None:
            return State.ORPHAN
        if self.namespace.terminating:
            return State.TERMINATING
        if self.binding is None:
            return State.UNBOUND
        return State.BOUND if self.binding.uid == self.namespace.uid else State.CLOSED


def standings(
    bindings: Mapping[str, Binding], namespaces: Mapping[str, Live], objects: Mapping[str, Mapping[str, int]]
) -> list[Standing]:
    """Every workspace that is bound or holds data, by name."""
    return [
        Standing(name, bindings.get(name), namespaces.get(name), objects.get(name, {}))
        for name in sorted({*bindings, *objects})
    ]


def count_objects(engines: Iterable[Engine]) -> dict[str, dict[str, int]]:
    """By workspace, how many objects of each kind it holds. Reads all of some tables: not for a server."""
    tables = {table.name: table for table in mlflow_tables()}
    experiments = tables["experiments"]
    found: dict[str, dict[str, int]] = {}
    for engine in engines:
        with engine.connect() as connection:
            for name in (*COUNTED, *_IN_EXPERIMENTS):
                table = tables.get(name)
                if table is None:
                    continue
                owner = table if "workspace" in table.c else experiments
                rows = table if owner is table else table.join(experiments)
                query = select(owner.c.workspace, func.count()).select_from(rows).group_by(owner.c.workspace)
                for workspace, count in connection.execute(query):
                    counts = found.setdefault(workspace, {})
                    counts[name] = counts.get(name, 0) + count
    return found
