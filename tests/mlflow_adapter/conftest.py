"""A real tracking store of MLflow with workspaces, on SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow.store.tracking.sqlalchemy_workspace_store import WorkspaceAwareSqlAlchemyStore
from mlflow.utils.workspace_context import WorkspaceContext

from tests.mlflow_adapter.world import TEAM_A, TEAM_B, World, populate


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home: Path = tmp_path_factory.mktemp("store")
    patched = pytest.MonkeyPatch()
    patched.setenv("MLFLOW_ENABLE_WORKSPACES", "true")
    with WorkspaceContext(TEAM_A):
        store = WorkspaceAwareSqlAlchemyStore(f"sqlite:///{home / 'mlflow.db'}", str(home / "artifacts"))
    try:
        yield populate(store, TEAM_A, TEAM_B)
    finally:
        store.engine.dispose()
        patched.undo()
