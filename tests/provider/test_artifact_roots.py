"""Where MLflow is told to put new experiments, in a guarded worker and in any other process."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from mlflow.entities import Workspace
from mlflow.exceptions import MlflowException

from tests.kubernetes.informer_server import ApiServer, FastClock, until
from tests.provider.conftest import write_kubeconfig
from tests.workspaces.two_kinds import BUCKETS, TwoKinds, following
from workspace_authz.provider.store import KubernetesWorkspaceStore, MisconfiguredWorkspaceStore, build
from workspace_authz.provider.watcher import NamespaceWatcher
from workspace_authz.workspaces.directory import Directory
from workspace_authz.workspaces.policy import NamespacePolicy
from workspace_authz.workspaces.root_watcher import ArtifactRoots

POLICY = NamespacePolicy(default_workspace="team-d")
NOWHERE = NamespaceWatcher(POLICY, kubeconfig="/nowhere", buckets=BUCKETS)
SERVERS = ("mlflow-artifacts:/", True)


def guarded_store(roots: ArtifactRoots) -> KubernetesWorkspaceStore:
    return KubernetesWorkspaceStore(POLICY, watcher=NOWHERE, roots=True, guarded_roots=lambda: roots)


async def test_a_guarded_worker_reads_them_from_memory() -> None:
    kinds = TwoKinds()
    async with following(kinds, FastClock()) as roots:
        store = guarded_store(roots)
        for team in ("team-a", "team-d"):
            kinds.secret(team, "data")
            kinds.config(team, artifactRootPath="models")
        await until(lambda: (found := roots.of("team-d")) and found.root)
        for team in ("team-a", "team-d"):
            assert store.resolve_artifact_root(SERVERS[0], team) == (
                f"s3://data/models/workspaces/{team}",
                False,
            )
        assert store.resolve_artifact_root(SERVERS[0], "team-b") == SERVERS


async def test_what_cannot_be_used_is_an_error_and_never_the_servers_root() -> None:
    kinds = TwoKinds()
    async with following(kinds, FastClock()) as roots:
        kinds.config("team-a")
        await until(lambda: roots.of("team-a"))
        with pytest.raises(MlflowException, match="'team-a', because its MLflowConfig") as caught:
            guarded_store(roots).resolve_artifact_root(SERVERS[0], "team-a")
        assert caught.value.error_code == "INVALID_PARAMETER_VALUE"


async def test_a_tenant_of_the_default_workspace_does_not_keep_mlflow_from_starting() -> None:
    """Given MLflow, which makes an experiment there when it starts, then that one lies in its own root."""
    kinds = TwoKinds()
    async with following(kinds, FastClock()) as roots:
        kinds.config("team-d")
        await until(lambda: roots.of("team-d"))
        assert guarded_store(roots).resolve_artifact_root(SERVERS[0], "team-d") == SERVERS


async def test_before_they_are_known_only_mlflow_itself_is_answered() -> None:
    kinds = TwoKinds()
    kinds.denied = {"/api/v1/secrets"}
    async with following(kinds, FastClock()) as roots:
        store = guarded_store(roots)
        with pytest.raises(MlflowException, match="not known yet") as caught:
            store.resolve_artifact_root(SERVERS[0], "team-a")
        assert caught.value.error_code == "TEMPORARILY_UNAVAILABLE"
        assert store.resolve_artifact_root(SERVERS[0], "team-d") == SERVERS


async def test_another_process_follows_them_itself(tmp_path: Path) -> None:
    kinds, kubeconfig = TwoKinds(), tmp_path / "kubeconfig"
    async with kinds.serving():
        write_kubeconfig(kubeconfig, server=f"http://127.0.0.1:{kinds.port}")
        watcher = NamespaceWatcher(POLICY, kubeconfig=str(kubeconfig), buckets=BUCKETS, sync_seconds=30)
        store = KubernetesWorkspaceStore(POLICY, watcher=watcher, roots=True, guarded_roots=lambda: None)
        try:
            asked = asyncio.to_thread(store.resolve_artifact_root, SERVERS[0], "team-a")
            assert await asked == SERVERS
            await until(lambda: len(kinds.watches) == 2)
            kinds.secret("team-a", "data")
            kinds.config("team-a")
            roots = await asyncio.to_thread(watcher.artifact_roots)
            assert roots is not None
            await until(lambda: (found := roots.of("team-a")) and found.root)
            again = asyncio.to_thread(store.resolve_artifact_root, SERVERS[0], "team-a")
            assert await again == ("s3://data/workspaces/team-a", False)
        finally:
            await asyncio.to_thread(watcher.close)


async def test_another_process_asks_nobody_about_the_default_workspace(tmp_path: Path) -> None:
    """Given MLflow's parent, which makes an experiment there, then it needs no API server for that."""
    kinds, kubeconfig = TwoKinds(), tmp_path / "kubeconfig"
    async with kinds.serving():
        write_kubeconfig(kubeconfig, server=f"http://127.0.0.1:{kinds.port}")
        watcher = NamespaceWatcher(POLICY, kubeconfig=str(kubeconfig), buckets=BUCKETS, sync_seconds=30)
        store = KubernetesWorkspaceStore(POLICY, watcher=watcher, roots=True, guarded_roots=lambda: None)
        try:
            assert await asyncio.to_thread(store.resolve_artifact_root, SERVERS[0], "team-d") == SERVERS
            assert "workspace-authz-namespaces" not in {thread.name for thread in threading.enumerate()}
        finally:
            await asyncio.to_thread(watcher.close)


def test_another_process_without_an_api_server_does_not_guess() -> None:
    store = KubernetesWorkspaceStore(POLICY, watcher=NOWHERE, roots=True, guarded_roots=lambda: None)
    with pytest.raises(MlflowException, match="cannot be used") as caught:
        store.resolve_artifact_root(SERVERS[0], "team-a")
    assert caught.value.error_code == "TEMPORARILY_UNAVAILABLE"


async def test_a_workspace_shows_its_root(server: ApiServer) -> None:
    kinds, connection = TwoKinds(), server.connection()
    server.put("team-a")
    server.put("team-b")
    directory = Directory(connection, POLICY, clock=FastClock())
    task = asyncio.create_task(directory.run())
    try:
        await directory.wait_synced()
        async with following(kinds, FastClock()) as roots:
            store = KubernetesWorkspaceStore(
                POLICY, watcher=NOWHERE, roots=True, guarded=lambda: directory, guarded_roots=lambda: roots
            )
            kinds.secret("team-a", "data")
            kinds.config("team-a")
            await until(lambda: (found := roots.of("team-a")) and found.root)
            assert store.get_workspace("team-a") == Workspace(
                name="team-a", default_artifact_root="s3://data/workspaces/team-a"
            )
            assert store.get_workspace("team-b") == Workspace(name="team-b")
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await connection.close()


def test_the_setting_turns_it_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    assert build("kubernetes://").resolve_artifact_root(SERVERS[0], "team-a") == SERVERS
    monkeypatch.setenv("WORKSPACE_AUTHZ_ARTIFACT_BUCKETS", "data")
    with pytest.raises(MlflowException, match="cannot be used"):
        build("kubernetes://").resolve_artifact_root(SERVERS[0], "team-a")
    monkeypatch.setenv("WORKSPACE_AUTHZ_ARTIFACT_BUCKETS", "s3://data")
    assert isinstance(build("kubernetes://"), MisconfiguredWorkspaceStore)
