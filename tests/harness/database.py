"""MLflow's databases: an empty one, with which a server starts sooner, and those of older releases."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from mlflow.store.db.utils import _get_alembic_config, create_sqlalchemy_engine
from mlflow.store.tracking.dbmodels.initial_models import Base as InitialBase

from tests.harness.forked import mlflow_command
from tests.harness.processes import clean_environment
from tests.harness.sdk import preload

BEFORE_WORKSPACES = "c8d9e0f1a2b3"
"""The revision of MLflow's schema before the one that adds workspaces (``1b5f0d9ad7c1``)."""


def empty_database(directory: Path) -> Path:
    """A SQLite file with MLflow's tables and nothing in them."""
    preload()
    file = directory / "mlflow.db"
    upgrade(f"sqlite:///{file}", directory=directory)
    return file


def older_database(url: str, *, revision: str) -> None:
    """Make MLflow's tables at ``url`` as they were at ``revision``, by MLflow's own migrations."""
    engine = create_sqlalchemy_engine(url)
    config = _get_alembic_config(url)
    InitialBase.metadata.create_all(engine)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


def upgrade(url: str, *, directory: Path) -> None:
    """``mlflow db upgrade``."""
    ended = mlflow_command(["db", "upgrade", url], environment=clean_environment(), directory=directory)
    assert ended.status == 0, ended.output
