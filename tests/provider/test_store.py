"""The provider as MLflow sees it, and in a guarded worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from mlflow.entities import Workspace
from mlflow.exceptions import MlflowException
from mlflow.store.workspace.utils import get_default_workspace_optional
from mlflow.tracking._workspace.registry import get_workspace_store

from tests.kubernetes.informer_server import ApiServer, FastClock
from workspace_authz.mlflow_adapter.serving import visible_workspaces
from workspace_authz.provider.store import KubernetesWorkspaceStore, MisconfiguredWorkspaceStore, build
from workspace_authz.provider.watcher import NamespaceWatcher
from workspace_authz.workspaces.directory import Directory
from workspace_authz.workspaces.namespace import DESCRIPTION_ANNOTATION
from workspace_authz.workspaces.policy import NamespacePolicy


@asynccontextmanager
async def guarded(server: ApiServer, *, run: bool = True) -> AsyncIterator[KubernetesWorkspaceStore]:
    """The provider in a worker that has a directory; its watcher would fail, having no API server."""
    connection, policy = server.connection(), NamespacePolicy()
    directory = Directory(connection, policy, clock=FastClock())
    task = asyncio.create_task(directory.run() if run else asyncio.sleep(0))
    watcher = NamespaceWatcher(policy, kubeconfig="/nowhere")
    try:
        if run:
            await directory.wait_synced()
        yield KubernetesWorkspaceStore(policy, watcher=watcher, guarded=lambda: directory)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await connection.close()


def error_code(caught: pytest.ExceptionInfo[MlflowException]) -> str:
    return str(caught.value.error_code)


def test_mlflow_finds_it_by_its_scheme() -> None:
    assert isinstance(get_workspace_store("kubernetes://?label_selector=a"), KubernetesWorkspaceStore)


def test_a_wrong_uri_is_said_in_one_sentence() -> None:
    store = build(workspace_uri="kubernetes://?selector=a")
    with pytest.raises(MlflowException, match="unknown parameter 'selector'") as caught:
        store.list_workspaces()
    assert error_code(caught) == "INVALID_PARAMETER_VALUE"
    with pytest.raises(MlflowException, match="unknown parameter 'selector'"):
        store.get_workspace("team-a")


def test_a_wrong_uri_lets_mlflows_parent_come_to_our_own_check() -> None:
    store = build(workspace_uri="kubernetes://?selector=a")
    assert get_default_workspace_optional(store) == (None, False)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MLFLOW_K8S_WORKSPACE_LABEL_SELECTOR", "a==="),
        ("MLFLOW_K8S_DEFAULT_WORKSPACE", "kube-system"),
        ("WORKSPACE_AUTHZ_DEFAULT_WORKSPACE", "kube-system"),
    ],
)
def test_settings_count_and_the_uri_overrides_them(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    assert isinstance(build(workspace_uri="kubernetes://"), MisconfiguredWorkspaceStore)
    overridden = build(workspace_uri="kubernetes://?label_selector=a&default_workspace=b1")
    assert isinstance(overridden, KubernetesWorkspaceStore)


def test_excluded_globs_come_from_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_K8S_NAMESPACE_EXCLUDE_GLOBS", "tmp-*")
    with pytest.raises(MlflowException, match="'tmp-1' cannot be one"):
        build(workspace_uri="kubernetes://?default_workspace=tmp-1").list_workspaces()


def test_the_default_workspace_is_what_was_configured() -> None:
    store = build(workspace_uri="kubernetes://?default_workspace=team-a")
    assert get_default_workspace_optional(store) == (Workspace(name="team-a"), True)


def test_without_a_default_every_request_must_name_a_workspace() -> None:
    store = build(workspace_uri="kubernetes://")
    assert get_default_workspace_optional(store) == (None, False)


def test_workspaces_are_read_only_and_roots_are_mlflows() -> None:
    store = build(workspace_uri="kubernetes://")
    with pytest.raises(NotImplementedError):
        store.create_workspace(Workspace(name="team-a"))
    with pytest.raises(NotImplementedError):
        store.update_workspace(Workspace(name="team-a"))
    with pytest.raises(NotImplementedError):
        store.delete_workspace("team-a")
    assert store.resolve_artifact_root("s3://bucket", "team-a") == ("s3://bucket", True)
    archival = store.resolve_trace_archival_config("s3://old", "30d", "team-a")
    assert (archival.config.location, archival.config.retention) == ("s3://old", "30d")
    assert archival.append_workspace_prefix


async def test_a_guarded_worker_lists_what_the_caller_may_see(server: ApiServer) -> None:
    server.put("team-a", annotations={DESCRIPTION_ANNOTATION: "Models of team A"})
    server.put("team-b")
    async with guarded(server) as store:
        token = visible_workspaces.set(frozenset({"team-a", "gone"}))
        assert store.list_workspaces() == [Workspace(name="team-a", description="Models of team A")]
        visible_workspaces.reset(token)


async def test_a_guarded_worker_lists_nothing_unless_somebody_decided(server: ApiServer) -> None:
    server.put("team-a")
    async with guarded(server) as store:
        assert visible_workspaces.get() is None
        assert store.list_workspaces() == []


async def test_a_guarded_worker_gets_from_memory_alone(server: ApiServer) -> None:
    server.put("team-a")
    server.put("kube-system")
    async with guarded(server) as store:
        server.put("new")
        assert store.get_workspace("team-a") == Workspace(name="team-a")
        for name in ("new", "kube-system", "nowhere"):
            with pytest.raises(MlflowException, match=f"^Workspace '{name}' not found.$") as caught:
                store.get_workspace(name)
            assert error_code(caught) == "RESOURCE_DOES_NOT_EXIST"
        assert server.gets == []


async def test_a_guarded_worker_that_knows_nothing_yet_says_so(server: ApiServer) -> None:
    async with guarded(server, run=False) as store:
        with pytest.raises(MlflowException, match="not known yet") as caught:
            store.list_workspaces()
        assert error_code(caught) == "TEMPORARILY_UNAVAILABLE"
        with pytest.raises(MlflowException, match="not known yet") as caught:
            store.get_workspace("team-a")
        assert caught.value.get_http_status_code() == 503
