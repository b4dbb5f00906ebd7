"""Which workspaces hold data, in whichever table."""

from __future__ import annotations

from sqlalchemy import Engine, insert

from workspace_authz.bindings.census import inhabited, mlflow_tables


def test_a_row_in_any_table_makes_a_workspace_inhabited(engine: Engine) -> None:
    """Given a row in each table that has a workspace, each in another workspace, then all are found."""
    expected = inhabited([engine])
    for table in mlflow_tables():
        # Children need their parents; the parents are found already.
        if "workspace" in table.c and not table.foreign_keys:
            workspace = f"only-{table.name}".replace("_", "-")
            values = {
                column.name: column.type.python_type()
                for column in table.c
                if not column.nullable and column.default is None
            }
            with engine.begin() as connection:
                connection.execute(insert(table).values({**values, "workspace": workspace}))
            expected.add(workspace)
    assert inhabited([engine]) == expected
    assert len(expected) >= 8
