"""Which workspaces hold data in MLflow's databases, and how much."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Engine, func, inspect, select

from workspace_authz.mlflow_adapter.store.owned_rows import mlflow_tables, owned_rows

_EXPERIMENTS: Final = "experiments"
_MADE_BY_MLFLOW: Final = "Default"
"""``mlflow.entities.Experiment.DEFAULT_EXPERIMENT_NAME``."""

_COUNTED: Final = (
    "experiments",
    "registered_models",
    "evaluation_datasets",
    "mcp_servers",
    "skills",
    "endpoints",
    "jobs",
)
"""The tables of top-level objects; all have a column ``workspace``."""

_COUNTED_IN_EXPERIMENTS: Final = ("runs", "trace_info")


def workspaces_with_data(engines: Iterable[Engine]) -> set[str]:
    """The workspaces that hold data, in whatever table. Raises ``SQLAlchemyError``.

    MLflow puts an experiment into its default workspace whenever it starts. As long as nothing else is there,
    that workspace counts as empty.
    """
    engines = tuple(engines)
    found: set[str] = set()
    with_experiments: set[str] = set()
    for engine in engines:
        present = set(inspect(engine).get_table_names())
        with engine.connect() as connection:
            for table in mlflow_tables():
                if "workspace" in table.c and table.name in present:
                    names = set(connection.execute(select(table.c.workspace).distinct()).scalars())
                    (with_experiments if table.name == _EXPERIMENTS else found).update(names)
    return found | {name for name in with_experiments - found if not _untouched(engines, name)}


def count_rows(engine: Engine, workspace: str) -> dict[str, int]:
    """How many rows of each table belong to the workspace; tables without any are left out.

    Raises ``SQLAlchemyError``.
    """
    with engine.connect() as connection:
        counts = {
            rows.table.name: connection.execute(
                select(func.count()).select_from(rows.table).where(rows.condition)
            ).scalar_one()
            for rows in owned_rows(workspace)
        }
    return {table: count for table, count in counts.items() if count}


def count_objects(engines: Iterable[Engine]) -> dict[str, dict[str, int]]:
    """By workspace, how many objects of each kind it holds; the kinds are names of MLflow's tables.

    Reads some tables from end to end, so a server must not call it. Raises ``SQLAlchemyError``.
    """
    tables = {table.name: table for table in mlflow_tables()}
    experiments = tables[_EXPERIMENTS]
    found: dict[str, dict[str, int]] = {}
    for engine in engines:
        with engine.connect() as connection:
            for name in (*_COUNTED, *_COUNTED_IN_EXPERIMENTS):
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


def _untouched(engines: Iterable[Engine], workspace: str) -> bool:
    """Whether the workspace has nothing but the experiment that MLflow itself made."""
    experiments = next(table for table in mlflow_tables() if table.name == _EXPERIMENTS)
    query = select(experiments.c.name).where(experiments.c.workspace == workspace).limit(2)
    for engine in engines:
        with engine.connect() as connection:
            names = connection.execute(query).scalars().all()
        if names not in ([], [_MADE_BY_MLFLOW]):
            return False
        if names and count_rows(engine, workspace).keys() - {"workspaces"} != {_EXPERIMENTS}:
            return False
    return True
