"""MLflow's tables, made once: a server that starts with them starts sooner."""

from __future__ import annotations

from pathlib import Path

from tests.harness.forked import mlflow_command
from tests.harness.processes import clean_environment
from tests.harness.sdk import preload


def empty_database(directory: Path) -> Path:
    """A SQLite file with MLflow's tables and nothing in them."""
    preload()
    file = directory / "mlflow.db"
    arguments = ["db", "upgrade", f"sqlite:///{file}"]
    ended = mlflow_command(arguments, environment=clean_environment(), directory=directory)
    assert ended.status == 0, ended.output
    return file
