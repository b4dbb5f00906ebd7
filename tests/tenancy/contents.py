"""A row in every table of MLflow's, for a workspace: whatever MLflow adds is filled, too."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from sqlalchemy import Boolean, Connection, Date, Engine, Float, Integer, LargeBinary, Table, insert, select

from workspace_authz.mlflow_adapter.store.owned_rows import UNOWNED_TABLES, mlflow_tables

Rows = dict[str, Mapping[str, Any]]

_KNOWN = {
    "runs": {"status": "FINISHED", "lifecycle_stage": "active", "source_type": "LOCAL"},
    "experiments": {"lifecycle_stage": "active"},
}
"""What a check constraint of the table demands."""


def fill(engine: Engine, workspace: str, *, number: int) -> Rows:
    """One row in each table, held together by all foreign keys. ``number`` is another for each workspace."""
    rows: Rows = {}
    with engine.begin() as connection:
        for table in mlflow_tables():
            if table.name not in (*UNOWNED_TABLES, "inputs", "input_tags", "entity_associations"):
                rows[table.name] = _insert(connection, table, _values(table, workspace, number, rows))
        run, dataset = rows["runs"]["run_uuid"], rows["datasets"]["dataset_uuid"]
        tables = {table.name: table for table in mlflow_tables()}
        link = {
            "source_type": "DATASET",
            "source_id": dataset,
            "destination_type": "RUN",
            "destination_id": run,
        }
        for name, given in {
            "inputs": {**link, "input_uuid": f"input-{number}"},
            "input_tags": {"input_uuid": f"input-{number}", "name": "context", "value": "train"},
            "entity_associations": {
                "association_id": f"association-{number}",
                "source_type": "evaluation_dataset",
                "source_id": rows["evaluation_datasets"]["dataset_id"],
                "destination_type": "experiment",
                "destination_id": str(rows["experiments"]["experiment_id"]),
            },
        }.items():
            values = {**_values(tables[name], workspace, number, rows), **given}
            rows[name] = _insert(connection, tables[name], values)
    return rows


def everything(engine: Engine) -> dict[str, set[tuple[Any, ...]]]:
    """All rows of all of MLflow's tables."""
    with engine.connect() as connection:
        return {
            table.name: {tuple(map(str, row)) for row in connection.execute(select(table))}
            for table in mlflow_tables()
        }


def _values(table: Table, workspace: str, number: int, rows: Rows) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for column in table.c:
        required = not column.nullable or column.name == "experiment_id"
        if column.name == "workspace":
            values["workspace"] = workspace
        elif required and not column.computed:
            values[column.name] = _value(column.type, table.name, number)
    for key in table.foreign_key_constraints:
        for element in key.elements:
            owner = rows.get(element.column.table.name)
            if owner is not None:
                values[element.parent.name] = owner[element.column.name]
    if table.name == "workspaces":
        values["name"] = workspace
    if "experiment_id" in table.c and table.name != "experiments":
        values["experiment_id"] = rows["experiments"]["experiment_id"]
    return {**values, **_KNOWN.get(table.name, {})}


def _value(kind: Any, table: str, number: int) -> Any:
    if isinstance(kind, Boolean):
        return False
    if isinstance(kind, Date):
        return date(2026, 1, number)
    if isinstance(kind, (Integer, Float)):
        return 1000 + number
    if isinstance(kind, LargeBinary):
        return b"x"
    if kind.python_type in (dict, list):
        return {}
    length = getattr(kind, "length", None) or 250
    return f"{number}-{table}"[:length]


def _insert(connection: Connection, table: Table, values: Mapping[str, Any]) -> Mapping[str, Any]:
    connection.execute(insert(table).values(**values))
    return values
