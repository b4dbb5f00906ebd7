"""Which rows of MLflow's database belong to a workspace, found by its own tables and foreign keys.

A table has a column ``workspace``, or a foreign key leads from it to a table that has one. The few tables
with neither are named here. A test fails when MLflow gets another of those.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from mlflow.store.db import utils
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

UNOWNED_TABLES: Final = frozenset({"scheduler_leases"})
"""Tables without data of workspaces: the locks of MLflow's own schedulers."""

_EXPERIMENTS: Final = "experiments"
"""Many tables refer to it and to a table below it. The latter is preferred: it gives smaller batches."""

_ASSOCIATED: Final = {
    "experiment": ("experiments", "experiment_id"),
    "evaluation_dataset": ("evaluation_datasets", "dataset_id"),
    "run": ("runs", "run_uuid"),
    "model": ("logged_models", "model_id"),
    "trace": ("trace_info", "request_id"),
}
"""By ``mlflow.entities.entity_type``: table and key of what an association may link. Prompt versions are left
out, because their ids are names, which other workspaces use, too."""

_INPUTS: Final = (("runs", "run_uuid"), ("datasets", "dataset_uuid"), ("logged_models", "model_id"))
"""Table and key of what a row of ``inputs`` may link. MLflow makes all these ids at random."""


@dataclass(frozen=True, slots=True)
class Reference:
    """How the rows of a table refer to the rows that own them."""

    columns: tuple[Column[object], ...]
    """The referring columns."""
    owner: OwnedRows
    owner_columns: tuple[Column[object], ...]
    """The owner's columns that they equal."""

    def to(self, keys: Select[*tuple[Any, ...]] | Sequence[Sequence[Any]]) -> ColumnElement[bool]:
        """The condition that a row refers to one of ``keys``, values of :attr:`owner_columns`."""
        if len(self.columns) > 1:
            return tuple_(*self.columns).in_(
                keys if isinstance(keys, Select) else [tuple(key) for key in keys]
            )
        return self.columns[0].in_(keys if isinstance(keys, Select) else [key[0] for key in keys])


@dataclass(frozen=True, slots=True)
class OwnedRows:
    """The rows of one table that belong to a workspace."""

    table: Table
    condition: ColumnElement[bool]
    """Selects them."""
    reference: Reference | None = None
    """How they refer to their owners; None where the table itself tells the workspace of a row."""


def mlflow_tables() -> list[Table]:
    """All tables of the installed MLflow, each after those that it refers to."""
    # Not from where it is defined: this module imports every model.
    return list(utils.Base.metadata.sorted_tables)


def owned_rows(workspace: str) -> list[OwnedRows]:
    """The rows of every table that belong to ``workspace``, owners before what they own.

    Raises ``LookupError`` for a table whose owner is not known.
    """
    resolver = _OwnerResolver(workspace)
    for table in mlflow_tables():
        if table.name not in UNOWNED_TABLES:
            resolver.resolve(table.name)
    return list(resolver.resolved.values())


class _OwnerResolver:
    """Resolves a table's owners before the table, in whatever order they are asked for."""

    def __init__(self, workspace: str) -> None:
        self._workspace = workspace
        self._tables = {table.name: table for table in mlflow_tables()}
        self.resolved: dict[str, OwnedRows] = {}

    def resolve(self, name: str) -> OwnedRows:
        """The rows of one table that belong to the workspace."""
        if name not in self.resolved:
            # In two steps: _resolve adds the owners, which must come first.
            rows = self._resolve(self._tables[name])
            self.resolved[name] = rows
        return self.resolved[name]

    def _resolve(self, table: Table) -> OwnedRows:
        references = [self._reference(key) for key in _owning_keys(table)]
        if "workspace" in table.c:
            return OwnedRows(table, table.c.workspace == self._workspace)
        if table.name == "workspaces":
            return OwnedRows(table, table.c.name == self._workspace)
        if table.name == "inputs":
            return OwnedRows(table, self._inputs(table))
        if table.name == "entity_associations":
            return OwnedRows(table, self._associations(table))
        if not references and "experiment_id" in table.c:  # daily sums of traces have no foreign key in 3.17
            owner = self.resolve(_EXPERIMENTS)
            references = [Reference((table.c.experiment_id,), owner, (owner.table.c.experiment_id,))]
        if not references:
            raise LookupError(f"It is not known to which workspace the rows of {table.name} belong.")
        best = min(references, key=_preference)
        return OwnedRows(table, best.to(select(*best.owner_columns).where(best.owner.condition)), best)

    def _reference(self, key: ForeignKeyConstraint) -> Reference:
        owner = self.resolve(key.referred_table.name)
        return Reference(tuple(key.columns), owner, tuple(element.column for element in key.elements))

    def _ids(self, name: str, key: str) -> Select[Any]:
        owner = self.resolve(name)
        return select(cast(owner.table.c[key], String(50))).where(owner.condition)

    def _inputs(self, table: Table) -> ColumnElement[bool]:
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


def _owning_keys(table: Table) -> list[ForeignKeyConstraint]:
    """The foreign keys that lead to an owner. One that is set to null on deletion is only a mention."""
    return [key for key in table.foreign_key_constraints if key.ondelete != "SET NULL"]


def _preference(reference: Reference) -> tuple[bool, str]:
    name = reference.owner.table.name
    return name == _EXPERIMENTS, name
