"""Which workspaces hold data, in whichever table, and how much."""

from __future__ import annotations

from sqlalchemy import Engine, insert

from tests.tenancy.contents import fill
from workspace_authz.mlflow_adapter.store.owned_rows import mlflow_tables
from workspace_authz.mlflow_adapter.store.workspace_data import count_objects, workspaces_with_data

TABLES = {table.name: table for table in mlflow_tables()}


def add(engine: Engine, table: str, **values: object) -> None:
    with engine.begin() as connection:
        connection.execute(insert(TABLES[table]).values(values))


def test_a_row_in_any_table_makes_a_workspace_found(engine: Engine) -> None:
    """Given a row in each table that has a workspace, each in another workspace, then all are found."""
    expected = set()
    for table in TABLES.values():
        # Children need their parents; the parents are found already.
        if "workspace" in table.c and not table.foreign_keys:
            required = [column for column in table.c if not column.nullable and column.default is None]
            values = {column.name: column.type.python_type() for column in required}
            workspace = f"only-{table.name}".replace("_", "-")
            add(engine, table.name, **{**values, "workspace": workspace})
            expected.add(workspace)
    assert workspaces_with_data([engine]) == expected
    assert len(expected) >= 8


def test_the_experiment_that_mlflow_makes_itself_is_nobodys(engine: Engine) -> None:
    """Given the default workspace as MLflow starts it, then it is empty until somebody adds something."""
    for number, workspace in enumerate(("untouched", "with-a-tag", "with-a-run", "with-a-second"), start=7):
        add(engine, "experiments", experiment_id=number, name="Default", workspace=workspace)
    add(engine, "experiment_tags", experiment_id=8, key="note", value="ours")
    add(engine, "runs", run_uuid="r", experiment_id=9, lifecycle_stage="active")
    add(engine, "experiments", experiment_id=20, name="own", workspace="with-a-second")
    assert workspaces_with_data([engine]) == {"with-a-tag", "with-a-run", "with-a-second"}


def test_objects_are_counted_by_workspace(engine: Engine) -> None:
    before = count_objects([engine])
    fill(engine, "team-a", number=1)
    counted = count_objects([engine, engine])
    assert counted.keys() - before.keys() == {"team-a"}
    kinds = ("experiments", "registered_models", "evaluation_datasets", "mcp_servers", "endpoints", "jobs")
    assert counted["team-a"] == dict.fromkeys((*kinds, "runs", "trace_info"), 2)
