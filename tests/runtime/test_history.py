"""Which namespace a decision belongs to, and where nothing is kept."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.harness.fakes import ManualClock
from workspace_authz.aio.supervisor import Supervisor
from workspace_authz.catalog.compile import compile_catalog
from workspace_authz.runtime import history
from workspace_authz.runtime.worker_config import WorkerConfig
from workspace_authz.settings.settings import load_settings
from workspace_authz.telemetry.workers import WorkerRegistry
from workspace_authz.workspaces.namespace import NamespaceInfo


def config_of(path: Path, *, days: int = 7, single: str | None = None, mlflow: Any = None) -> WorkerConfig:
    return WorkerConfig(
        settings=load_settings(audit_history_days=days),
        catalog=compile_catalog(),
        single_namespace=single,
        policy=None,
        workers=WorkerRegistry(path, expected=1, monotonic=lambda: 0.0),
        mlflow=mlflow,
    )


async def test_a_namespace_is_known_by_its_uid_out_of_memory(tmp_path: Path, clock: ManualClock) -> None:
    directory: Any = SimpleNamespace(get={"team-a": NamespaceInfo("team-a", uid="uid-a")}.get)
    async with history.history_of(config_of(tmp_path), directory, clock=clock) as kept:
        assert kept is not None
        assert (kept.uid_of("team-a"), kept.uid_of("hidden")) == ("uid-a", None)
        assert kept.days == 7


async def test_a_server_without_workspaces_has_one(tmp_path: Path, clock: ManualClock) -> None:
    async with history.history_of(config_of(tmp_path, single="ml"), None, clock=clock) as kept:
        assert kept is not None
        assert (kept.uid_of("ml"), kept.uid_of("other")) == ("", None)


@pytest.mark.parametrize("given", [{"days": 0}, {"mlflow": object()}])
async def test_nothing_is_kept_where_the_setting_says_so_or_mlflow_is_elsewhere(
    tmp_path: Path, clock: ManualClock, given: dict[str, Any]
) -> None:
    async with history.history_of(config_of(tmp_path, **given), None, clock=clock) as kept:
        assert kept is None
        history.start(kept, Supervisor())
