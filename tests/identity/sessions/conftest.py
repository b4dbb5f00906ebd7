"""MLflow's own database, with our tables beside."""

from __future__ import annotations

from tests.harness.mlflow_database import engine, templates, url

__all__ = ["engine", "templates", "url"]
