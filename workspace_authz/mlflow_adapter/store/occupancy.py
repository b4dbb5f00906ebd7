"""Which workspaces hold data, by every table of MLflow's that says whose a row is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Engine, func, inspect, select

from workspace_authz.mlflow_adapter.store.owned_rows import belongings
from workspace_authz.mlflow_adapter.store.tables import mlflow_tables

_EXPERIMENTS: Final = "experiments"
_MADE_BY_MLFLOW: Final = "Default"
"""``mlflow.entities.Experiment.DEFAULT_EXPERIMENT_NAME``."""


def inhabited(engines: Iterable[Engine]) -> set[str]:
    """The workspaces that hold data. Raises ``SQLAlchemyError``.

    MLflow puts an experiment into the default workspace whenever it starts, be there such a namespace or
    not; as long as nothing hangs on it, it is nobody's.
    """
    engines = tuple(engines)
    found: set[str] = set()
    experiments_only: set[str] = set()
    for engine in engines:
        present = set(inspect(engine).get_table_names())
        with engine.connect() as connection:
            for table in mlflow_tables():
                if "workspace" in table.c and table.name in present:
                    names = set(connection.execute(select(table.c.workspace).distinct()).scalars())
                    (experiments_only if table.name == _EXPERIMENTS else found).update(names)
    return found | {name for name in experiments_only - found if not _untouched(engines, name)}


def count_rows(engine: Engine, workspace: str) -> dict[str, int]:
    """How many rows of each table belong to the workspace; tables without any are left out."""
    with engine.connect() as connection:
        counts = {
            belonging.table.name: connection.execute(
                select(func.count()).select_from(belonging.table).where(belonging.condition)
            ).scalar_one()
            for belonging in belongings(workspace)
        }
    return {table: count for table, count in counts.items() if count}


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
