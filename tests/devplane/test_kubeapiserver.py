"""The engine kube-apiserver: real processes, real kubectl."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from tests.devplane.real import require_binaries
from tests.harness.processes import free_port
from workspace_authz.devplane import assets
from workspace_authz.devplane.api import Api, connect, until
from workspace_authz.devplane.engine import Endpoint, EngineOptions
from workspace_authz.devplane.kubeapiserver import KubeApiserverEngine
from workspace_authz.devplane.kubeconfig import certificate_kubeconfig, token_kubeconfig
from workspace_authz.devplane.pki import create_pki
from workspace_authz.devplane.process import EngineDiedError
from workspace_authz.errors import ConfigurationError

pytestmark = pytest.mark.asyncio(loop_scope="module")

USERS = 'alice-token,alice,alice-uid,"team-a,ml"\nbob-token,bob,bob-uid\n'
PROCESSES = {assets.ETCD, assets.APISERVER, assets.CONTROLLER_MANAGER}
RBAC = "/apis/rbac.authorization.k8s.io/v1"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def endpoint(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Endpoint]:
    require_binaries()
    state = tmp_path_factory.mktemp("kube")
    users = state / "users.csv"
    users.write_text(USERS)
    engine = KubeApiserverEngine(EngineOptions(state=state, users=users))
    yield await engine.start()
    await engine.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def api(endpoint: Endpoint) -> AsyncIterator[Api]:
    async with connect(endpoint.url, ca_file=endpoint.ca_file, token=endpoint.admin_token) as api:
        yield api


async def kubectl(kubeconfig: Path, *arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        str(assets.find_binary(assets.KUBECTL)),
        f"--kubeconfig={kubeconfig}",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


def alive(state: Path) -> dict[str, int]:
    """Processes that run in the state directory, as all of an engine do: name and id."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if Path(os.readlink(process / "cwd")) == state:
                command = (process / "cmdline").read_bytes().split(b"\0")
                found[Path(os.fsdecode(command[0])).name] = int(process.name)
        except OSError:
            continue  # it has just ended
    return found


async def test_kubectl_is_the_admin_by_token_and_by_certificate(endpoint: Endpoint, tmp_path: Path) -> None:
    pki = create_pki(endpoint.ca_file.parent)
    by_token, by_certificate = tmp_path / "token", tmp_path / "certificate"
    by_token.write_text(token_kubeconfig(endpoint, endpoint.admin_token))
    by_certificate.write_text(certificate_kubeconfig(endpoint, cert=pki.admin_cert, key=pki.admin_key))
    for kubeconfig in (by_token, by_certificate):
        assert await kubectl(kubeconfig, "auth", "can-i", "*", "*", "-A") == (0, "yes\n")
        status, output = await kubectl(
            kubeconfig, "auth", "whoami", "-o", "jsonpath={.status.userInfo.groups}"
        )
        assert status == 0
        assert "system:masters" in output
    status, output = await kubectl(by_token, "version", "-o", "yaml")
    assert output.count("gitVersion: v1.36.3") == 2  # client and server


async def test_the_users_file_says_who_a_token_is(api: Api) -> None:
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    alice = (await api.with_token("alice-token").post(path, review)).body["status"]["userInfo"]
    assert (alice["username"], alice["uid"]) == ("alice", "alice-uid")
    assert alice["groups"] == ["team-a", "ml", "system:authenticated"]
    bob = (await api.with_token("bob-token").post(path, review)).body["status"]["userInfo"]
    assert (bob["username"], bob["groups"]) == ("bob", ["system:authenticated"])
    assert (await api.with_token("wrong").post(path, review)).status == 401


async def test_rbac_decides(api: Api) -> None:
    alice = api.with_token("alice-token")
    answer = await alice.get("/api/v1/namespaces")
    assert (answer.status, answer.reason) == (403, "Forbidden")


async def test_no_token_is_logged(api: Api, endpoint: Endpoint) -> None:
    await api.with_token("alice-token").get("/api/v1/namespaces")
    await api.with_token("unknown-token").get("/api/v1/namespaces")
    logs = list(endpoint.ca_file.parent.parent.glob("*.log"))
    assert {log.stem for log in logs} == PROCESSES
    for token in (endpoint.admin_token, "alice-token", "unknown-token"):
        assert not [log for log in logs if token in log.read_text()]


async def test_the_controllers_work(api: Api) -> None:
    """Aggregation, the default service account of a namespace, and the end of a namespace's deletion."""
    rule = {"apiGroups": ["example.test"], "resources": ["things"], "verbs": ["get"]}
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "more", "labels": {"rbac.authorization.k8s.io/aggregate-to-view": "true"}},
        "rules": [rule],
    }
    assert (await api.post(f"{RBAC}/clusterroles", role)).ok
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "short-lived"}}
    assert (await api.post("/api/v1/namespaces", namespace)).ok

    async def aggregated() -> bool:
        return rule in (await api.get(f"{RBAC}/clusterroles/admin")).body["rules"]

    async def has_account() -> bool:
        return (await api.get("/api/v1/namespaces/short-lived/serviceaccounts/default")).ok

    async def gone() -> bool:
        return (await api.get("/api/v1/namespaces/short-lived")).status == 404

    async with asyncio.timeout(240):
        await until(aggregated)
        await until(has_account)
        assert (await api.request("DELETE", "/api/v1/namespaces/short-lived")).ok
        await until(gone)


async def test_nothing_is_left_after_stop_and_a_restart_finds_cluster_and_credentials(tmp_path: Path) -> None:
    require_binaries()
    options = EngineOptions(state=tmp_path)
    first = KubeApiserverEngine(options)
    endpoint = await first.start()
    async with connect(endpoint.url, ca_file=endpoint.ca_file, token=endpoint.admin_token) as api:
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kept"}}
        assert (await api.post("/api/v1/namespaces", namespace)).ok
    waiting = asyncio.create_task(first.wait())
    assert alive(tmp_path).keys() == PROCESSES
    await first.stop()
    await first.stop()
    await waiting  # it was stopped, it did not die
    assert not alive(tmp_path)

    second = KubeApiserverEngine(options)
    try:
        again = await second.start()
        async with connect(again.url, ca_file=endpoint.ca_file, token=endpoint.admin_token) as api:
            assert (await api.get("/api/v1/namespaces/kept")).ok
    finally:
        await second.stop()


async def test_a_killed_parent_takes_everything_with_it(tmp_path: Path) -> None:
    require_binaries()
    program = (
        "import asyncio, pathlib, sys\n"
        "from workspace_authz.devplane.engine import EngineOptions\n"
        "from workspace_authz.devplane.kubeapiserver import KubeApiserverEngine\n"
        "async def main():\n"
        "    await KubeApiserverEngine(EngineOptions(state=pathlib.Path(sys.argv[1]))).start()\n"
        "    print('ready', flush=True)\n"
        "    await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    assert alive(tmp_path).keys() == PROCESSES
    process.kill()
    await process.wait()

    async def none_alive() -> bool:
        return not alive(tmp_path)

    async with asyncio.timeout(120):
        await until(none_alive)


async def test_a_process_that_dies_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    require_binaries()
    engine = KubeApiserverEngine(EngineOptions(state=tmp_path))
    try:
        await engine.start()
        os.kill(alive(tmp_path)[assets.ETCD], signal.SIGKILL)
        with pytest.raises(EngineDiedError, match=r"^etcd ended with signal SIGKILL \(log: .*etcd.log\): .+"):
            await engine.wait()
    finally:
        await engine.stop()
    assert not alive(tmp_path)


async def test_a_taken_port_is_a_clear_error(tmp_path: Path) -> None:
    require_binaries()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        engine = KubeApiserverEngine(EngineOptions(state=tmp_path, port=taken.getsockname()[1]))
        with pytest.raises(ConfigurationError, match="address already in use"):
            await engine.start()
    assert not alive(tmp_path)


async def test_a_given_port_is_used(tmp_path: Path) -> None:
    require_binaries()
    port = free_port()
    engine = KubeApiserverEngine(EngineOptions(state=tmp_path, port=port))
    try:
        assert (await engine.start()).url == f"https://127.0.0.1:{port}"
    finally:
        await engine.stop()


async def test_a_users_file_that_is_missing_or_broken_is_a_clear_error(tmp_path: Path) -> None:
    require_binaries()
    users = tmp_path / "users.csv"
    start = partial(EngineOptions, users=users)
    with pytest.raises(ConfigurationError, match=r"cannot read the users file: .*users\.csv"):
        await KubeApiserverEngine(start(state=tmp_path / "missing")).start()
    users.write_text("secret-token\n")
    with pytest.raises(ConfigurationError, match="kube-apiserver") as caught:
        await KubeApiserverEngine(start(state=tmp_path / "broken")).start()
    assert "secret-token" not in str(caught.value)


async def test_missing_binaries_are_a_clear_error_and_stop_needs_no_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setenv("WORKSPACE_AUTHZ_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    engine = KubeApiserverEngine(EngineOptions(state=tmp_path / "state"))
    with pytest.raises(ConfigurationError, match=r"etcd is neither in .* run `make kube`"):
        await engine.start()
    await engine.stop()
