"""Which rows of MLflow's database belong to a workspace, found by its own tables and foreign keys.

A table says it by its column ``workspace``, or it hangs on one that does by a foreign key. The few without
either are named here; a test fails when MLflow gets a table that is in neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import (
    Column,
    ColumnElement,
    ForeignKeyConstraint,
    Select,
    String,
    Table,
    and_,
    cast,
    or_,
    select,
    tuple_,
)

from workspace_authz.mlflow_adapter.store.tables import mlflow_tables

NOBODYS: Final = frozenset({"scheduler_leases"})
"""Tables without data of workspaces: locks of MLflow's own schedulers."""

_HUB: Final = "experiments"
"""Many tables hang on it and on something below it; the latter is indexed and gives smaller portions."""

_ASSOCIATED: Final = {
    "experiment": ("experiments", "experiment_id"),
    "evaluation_dataset": ("evaluation_datasets", "dataset_id"),
    "run": ("runs", "run_uuid"),
    "model": ("logged_models", "model_id"),
    "trace": ("trace_info", "request_id"),
}
"""``mlflow.entities.entity_type``, without prompt versions: their ids are names, which others use, too."""

_INPUTS: Final = (("runs", "run_uuid"), ("datasets", "dataset_uuid"), ("logged_models", "model_id"))


@dataclass(frozen=True, slots=True)
class Link:
    """The columns of a table that lead to its owner, and those of the owner that they equal."""

    columns: tuple[Column[object], ...]
    owner: Belonging
    owner_columns: tuple[Column[object], ...]


@dataclass(frozen=True, slots=True)
class Belonging:
    """A table, and which of its rows belong to the workspace."""

    table: Table
    condition: ColumnElement[bool]
    link: Link | None = None
    """None where the table itself says whose a row is."""


def belongings(workspace: str) -> list[Belonging]:
    """What belongs to ``workspace``, owners first. Raises ``LookupError`` for a table of unknown kind."""
    survey = _Survey(workspace)
    for table in mlflow_tables():
        if table.name not in NOBODYS:
            survey.find(table.name)
    return list(survey.found.values())


class _Survey:
    """Looks at owners before what they own, whatever the order of the questions."""

    def __init__(self, workspace: str) -> None:
        self._workspace = workspace
        self._tables = {table.name: table for table in mlflow_tables()}
        self.found: dict[str, Belonging] = {}

    def find(self, name: str) -> Belonging:
        """What belongs to the workspace in one table."""
        if name not in self.found:
            # In two steps: the owners come before it in the dictionary.
            belonging = self._look(self._tables[name])
            self.found[name] = belonging
        return self.found[name]

    def _look(self, table: Table) -> Belonging:
        links = [self._link(key) for key in _keys(table)]
        if "workspace" in table.c:
            return Belonging(table, table.c.workspace == self._workspace)
        if table.name == "workspaces":
            return Belonging(table, table.c.name == self._workspace)
        if table.name == "inputs":
            return Belonging(table, self._inputs(table))
        if table.name == "entity_associations":
            return Belonging(table, self._associations(table))
        if not links and "experiment_id" in table.c:  # the daily sums of traces have no foreign key in 3.17
            hub = self.find(_HUB)
            links = [Link((table.c.experiment_id,), hub, (hub.table.c.experiment_id,))]
        if not links:
            raise LookupError(f"it is not known to whom the rows of {table.name} belong")
        link = min(links, key=lambda link: (link.owner.table.name == _HUB, link.owner.table.name))
        return Belonging(table, _in(link), link)

    def _link(self, key: ForeignKeyConstraint) -> Link:
        owner = self.find(key.referred_table.name)
        return Link(tuple(key.columns), owner, tuple(element.column for element in key.elements))

    def _ids(self, name: str, key: str) -> Select[str]:
        owner = self.find(name)
        return select(cast(owner.table.c[key], String(50))).where(owner.condition)

    def _inputs(self, table: Table) -> ColumnElement[bool]:
        """Datasets and models of runs: all their ids are made by MLflow at random."""
        sides = (table.c.source_id, table.c.destination_id)
        return or_(*(side.in_(self._ids(*key)) for key in _INPUTS for side in sides))

    def _associations(self, table: Table) -> ColumnElement[bool]:
        return or_(
            *(
                and_(table.c[f"{side}_type"] == kind, table.c[f"{side}_id"].in_(self._ids(*key)))
                for kind, key in _ASSOCIATED.items()
                for side in ("source", "destination")
            )
        )


def _keys(table: Table) -> list[ForeignKeyConstraint]:
    """Those that lead to an owner; what is set to null with another object only mentions it."""
    return [key for key in table.foreign_key_constraints if key.ondelete != "SET NULL"]


def _in(link: Link) -> ColumnElement[bool]:
    query = select(*link.owner_columns).where(link.owner.condition)
    return link.columns[0].in_(query) if len(link.columns) == 1 else tuple_(*link.columns).in_(query)
