"""Which workspaces hold data, by every table of MLflow's that says whose a row is."""

from __future__ import annotations

from collections.abc import Iterable

from mlflow.store.db.utils import Base  # and not from where it is defined: this module knows every model
from sqlalchemy import Engine, Table, inspect, select


def mlflow_tables() -> list[Table]:
    """All tables of the installed MLflow, parents first."""
    return list(Base.metadata.sorted_tables)


def inhabited(engines: Iterable[Engine]) -> set[str]:
    """The workspaces that have a row in any table. Raises ``SQLAlchemyError``."""
    found: set[str] = set()
    for engine in engines:
        present = set(inspect(engine).get_table_names())
        with engine.connect() as connection:
            for table in mlflow_tables():
                if "workspace" in table.c and table.name in present:
                    found.update(connection.execute(select(table.c.workspace).distinct()).scalars())
    return found
