"""MLflow's tables, as the installed MLflow knows them."""

from __future__ import annotations

from mlflow.store.db.utils import Base  # and not from where it is defined: this module knows every model
from sqlalchemy import Table


def mlflow_tables() -> list[Table]:
    """All of them, parents first."""
    return list(Base.metadata.sorted_tables)
