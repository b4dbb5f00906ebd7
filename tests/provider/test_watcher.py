"""The provider in processes that are no guarded workers."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from tests.kubernetes.informer_server import ApiServer, until
from workspace_authz.errors import ConfigurationError
from workspace_authz.provider.store import KubernetesWorkspaceStore
from workspace_authz.provider.watcher import NamespaceWatcher
from workspace_authz.workspaces.policy import NamespacePolicy

THREAD = "workspace-authz-namespaces"
POLICY = NamespacePolicy()

BUILD_THEN_USE = """
import os, sys, threading
import mlflow
from mlflow.tracking._workspace.registry import get_workspace_store
from mlflow.store.workspace.utils import get_default_workspace_optional

get_workspace_store("http://127.0.0.1:1")  # the registry and every provider are loaded
seen = set()

def watch(event, arguments):
    if event in ("socket.connect", "subprocess.Popen", "os.fork"):
        seen.add(event)
    if event == "open" and arguments[0] == os.environ["KUBECONFIG"]:
        seen.add("kubeconfig")

sys.addaudithook(watch)
store = get_workspace_store("kubernetes://?default_workspace=team-a")
assert get_default_workspace_optional(store)[0].name == "team-a"
assert store.resolve_artifact_root("s3://bucket", "team-a") == ("s3://bucket", True)
print("built:", *sorted(seen), len(threading.enumerate()))
names = [workspace.name for workspace in store.list_workspaces()]
print("used:", *sorted(seen), len(threading.enumerate()), names)
"""


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == THREAD]


async def run(program: str, *arguments: str, **environ: str) -> tuple[int, str]:
    """Run a process and return its status and everything that it wrote."""
    process = await asyncio.create_subprocess_exec(
        program,
        *arguments,
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 120)
    return process.returncode or 0, output.decode()


@pytest.fixture
async def watcher(kubeconfig: Path) -> AsyncIterator[NamespaceWatcher]:
    watcher = NamespaceWatcher(POLICY, kubeconfig=str(kubeconfig), sync_seconds=5)
    yield watcher
    await asyncio.to_thread(watcher.close)
    assert not threads()


async def test_building_starts_nothing(server: ApiServer, watcher: NamespaceWatcher) -> None:
    KubernetesWorkspaceStore(POLICY, watcher=watcher)
    assert not threads()
    assert not server.lists


async def test_the_first_use_lists_everything_and_follows(
    server: ApiServer, watcher: NamespaceWatcher
) -> None:
    server.put("team-a")
    server.put("kube-system")
    store = KubernetesWorkspaceStore(POLICY, watcher=watcher, guarded=lambda: None)
    [workspace] = await asyncio.to_thread(store.list_workspaces)
    assert workspace.name == "team-a"
    [thread] = threads()
    assert thread.daemon
    watch = await server.next_watch()
    watch.send("ADDED", server.put("team-b"))
    directory = await asyncio.to_thread(watcher.directory)
    await until(lambda: directory.get("team-b"))
    assert [workspace.name for workspace in store.list_workspaces()] == ["team-a", "team-b"]
    assert len(server.lists) == 1
    assert threads() == [thread]


async def test_a_miss_is_looked_up(server: ApiServer, watcher: NamespaceWatcher) -> None:
    store = KubernetesWorkspaceStore(POLICY, watcher=watcher, guarded=lambda: None)
    await asyncio.to_thread(watcher.directory)
    server.put("team-a")
    assert (await asyncio.to_thread(store.get_workspace, "team-a")).name == "team-a"
    with pytest.raises(MlflowException, match="not found") as caught:
        await asyncio.to_thread(store.get_workspace, "nowhere")
    assert caught.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    assert server.gets == ["team-a", "nowhere"]


async def test_an_api_server_that_does_not_answer_is_said_in_time(
    server: ApiServer, kubeconfig: Path
) -> None:
    await server.stop()
    watcher = NamespaceWatcher(POLICY, kubeconfig=str(kubeconfig), sync_seconds=0.5)
    store = KubernetesWorkspaceStore(POLICY, watcher=watcher, guarded=lambda: None)
    try:
        with pytest.raises(MlflowException, match=r"are not known: .* no connection: ") as caught:
            await asyncio.to_thread(store.list_workspaces)
        assert caught.value.error_code == "TEMPORARILY_UNAVAILABLE"
        server.put("team-a")
        await server.start()
        await server.next_watch()
        assert [workspace.name for workspace in await asyncio.to_thread(store.list_workspaces)] == ["team-a"]
    finally:
        await asyncio.to_thread(watcher.close)


async def test_no_api_server_at_all_is_said_and_a_later_use_tries_again(
    server: ApiServer, kubeconfig: Path
) -> None:
    missing = kubeconfig.with_name("later")
    watcher = NamespaceWatcher(POLICY, kubeconfig=str(missing), sync_seconds=5)
    with pytest.raises(ConfigurationError, match="configuration cannot be used"):
        await asyncio.to_thread(watcher.directory)
    await until(lambda: not threads())
    await asyncio.to_thread(kubeconfig.rename, missing)
    assert (await asyncio.to_thread(watcher.directory)).synced
    await asyncio.to_thread(watcher.close)


async def test_a_certificate_that_cannot_be_read_is_no_hang(broken_kubeconfig: Path) -> None:
    watcher = NamespaceWatcher(POLICY, kubeconfig=str(broken_kubeconfig), sync_seconds=30)
    with pytest.raises(ConfigurationError):
        await asyncio.wait_for(asyncio.to_thread(watcher.directory), 10)
    watcher.close()


async def test_a_closed_follower_starts_again(server: ApiServer, watcher: NamespaceWatcher) -> None:
    await asyncio.to_thread(watcher.directory)
    await asyncio.to_thread(watcher.close)
    assert not threads()
    assert (await asyncio.to_thread(watcher.directory)).synced


async def test_a_process_opens_nothing_before_the_first_use_and_ends_quietly(
    server: ApiServer, kubeconfig: Path
) -> None:
    server.put("team-a")
    status, output = await run(
        *(sys.executable, "-W", "default::ResourceWarning", "-c", BUILD_THEN_USE), KUBECONFIG=str(kubeconfig)
    )
    assert status == 0, output
    assert output.splitlines() == [
        "built: 1",
        # Threads: the main one, the watcher's, and one that read the kubeconfig for it.
        "used: kubeconfig socket.connect 3 ['team-a']",
    ]


async def test_mlflow_gc_visits_every_namespace(server: ApiServer, kubeconfig: Path, tmp_path: Path) -> None:
    server.put("team-a")
    status, output = await run(
        *(sys.executable, "-m", "mlflow", "gc", "--all-workspaces"),
        *("--backend-store-uri", f"sqlite:///{tmp_path}/mlflow.db"),
        KUBECONFIG=str(kubeconfig),
        MLFLOW_ENABLE_WORKSPACES="true",
        MLFLOW_TRACKING_URI=f"sqlite:///{tmp_path}/mlflow.db",
        MLFLOW_WORKSPACE_STORE_URI="kubernetes://",
    )
    assert status == 0, output
    assert len(server.lists) == 1
