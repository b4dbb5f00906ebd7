"""The body of ``workspace-authz devplane``, in a process of its own, on both engines."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.devplane.real import require_binaries
from tests.devplane.test_kubeapiserver import alive
from workspace_authz.devplane import assets

PROGRAM = """
import argparse, sys
from workspace_authz.devplane.serve import add_arguments, run
server = {
    "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
    "metadata": {"name": "mlflow-server"},
    "rules": [{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list", "watch"]}],
}
view = {
    "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
    "metadata": {"name": "mlflow-view", "labels": {"rbac.authorization.k8s.io/aggregate-to-view": "true"}},
    "rules": [{"apiGroups": ["mlflow.kubeflow.org"], "resources": ["experiments"], "verbs": ["get", "list"]}],
}
parser = argparse.ArgumentParser()
add_arguments(parser)
sys.exit(run(parser.parse_args(), cluster_roles=[server, view]))
"""
MANIFEST = """\
apiVersion: v1
kind: Namespace
metadata: {name: team-a}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: alice, namespace: team-a}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: admin}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: alice}]
"""
both_engines = pytest.mark.parametrize("engine", ["embedded", "kube-apiserver"])


@dataclass(frozen=True, slots=True)
class Served:
    process: asyncio.subprocess.Process
    ready: dict[str, Any]
    state: Path

    async def kubectl(self, kubeconfig: str, *arguments: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            str(assets.find_binary(assets.KUBECTL)),
            f"--kubeconfig={self.state / kubeconfig}",
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        return process.returncode or 0, output.decode().strip()


async def started(state: Path, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", PROGRAM, "--state", str(state), *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@asynccontextmanager
async def served(state: Path, *arguments: str) -> AsyncIterator[Served]:
    process = await started(state, *arguments)
    try:
        assert process.stdout is not None
        line = await process.stdout.readline()
        assert line, (await process.communicate())[1].decode()
        yield Served(process, json.loads(line), state)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


@both_engines
async def test_it_fills_the_api_and_writes_kubeconfigs(engine: str, tmp_path: Path) -> None:
    require_binaries()
    manifest, users, state = tmp_path / "team.yaml", tmp_path / "users.csv", tmp_path / "state"
    manifest.write_text(MANIFEST)
    users.write_text("alice-token,alice,alice-uid\n")
    async with served(state, "--engine", engine, "-f", str(manifest), "--users", str(users)) as plane:
        assert plane.ready == {
            "url": plane.ready["url"],
            "admin_kubeconfig": str(state / "admin.kubeconfig"),
            "server_kubeconfig": str(state / "server.kubeconfig"),
            "engine": engine,
        }
        config = yaml.safe_load((state / "admin.kubeconfig").read_text())
        assert config["clusters"][0]["cluster"]["server"] == plane.ready["url"]
        for name in ("admin", "admin-cert", "server"):
            assert (state / f"{name}.kubeconfig").stat().st_mode & 0o777 == 0o600

        who = ("auth", "whoami", "-o", "jsonpath={.status.userInfo.username}")
        assert await plane.kubectl("admin.kubeconfig", *who) == (0, "admin")
        assert await plane.kubectl("admin-cert.kubeconfig", *who) == (0, "admin")
        assert await plane.kubectl("server.kubeconfig", *who) == (0, "system:serviceaccount:mlflow:mlflow")
        assert await plane.kubectl("server.kubeconfig", "get", "namespace", "team-a", "-o", "name") == (
            0,
            "namespace/team-a",
        )
        status, output = await plane.kubectl("server.kubeconfig", "get", "secrets", "-A")
        assert status != 0
        assert "secrets is forbidden" in output
        # Aggregated by the time the ready line is printed; alice is admin, and admin includes view.
        status, output = await plane.kubectl(
            "admin.kubeconfig", "auth", "can-i", "--list", "-n", "team-a", "--token", "alice-token"
        )
        assert status == 0
        assert "experiments.mlflow.kubeflow.org" in output


@both_engines
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_in_order(engine: str, number: signal.Signals, tmp_path: Path) -> None:
    require_binaries()
    async with served(tmp_path, "--engine", engine) as plane:
        plane.process.send_signal(number)
        output, errors = await plane.process.communicate()
        assert plane.process.returncode == 0
        assert output == b""
        assert ("for laptops and tests only" in errors.decode()) is (engine == "embedded")
        assert len(errors.splitlines()) == (1 if engine == "embedded" else 0)


async def test_the_death_of_the_engine_ends_it_with_one_sentence(tmp_path: Path) -> None:
    require_binaries()
    async with served(tmp_path, "--engine", "kube-apiserver") as plane:
        os.kill(alive(tmp_path)[assets.APISERVER], signal.SIGKILL)
        _, errors = await plane.process.communicate()
        assert plane.process.returncode == 1
        assert errors.decode().startswith("devplane: kube-apiserver ended with signal SIGKILL")


async def test_one_state_directory_serves_one_dev_plane(tmp_path: Path) -> None:
    async with served(tmp_path, "--engine", "embedded"):
        second = await started(tmp_path, "--engine", "embedded")
        _, errors = await second.communicate()
        assert second.returncode == 1
        assert errors.decode() == f"devplane: another dev plane runs in {tmp_path}\n"
    async with served(tmp_path, "--engine", "embedded"):
        pass


async def test_the_embedded_engine_trusts_no_issuer(tmp_path: Path) -> None:
    """Given issuers to trust, then the engine that cannot verify their tokens does not start without them."""
    process = await started(tmp_path, "--authentication-config", str(tmp_path / "issuers.yaml"))
    _, errors = await process.communicate()
    assert process.returncode == 1
    assert errors.decode() == "devplane: only the engine kube-apiserver takes --authentication-config\n"


async def test_a_broken_manifest_stops_it_before_anything_is_started(tmp_path: Path) -> None:
    process = await started(tmp_path / "state", "-f", str(tmp_path / "missing.yaml"))
    _, errors = await process.communicate()
    assert process.returncode == 1
    assert "devplane: cannot read the manifest" in errors.decode()
    assert not (tmp_path / "state").exists()


async def test_a_manifest_that_the_api_refuses_stops_it(tmp_path: Path) -> None:
    manifest = tmp_path / "bad.yaml"
    manifest.write_text(MANIFEST.replace("kind: ClusterRole", "kind: Nonsense"))
    process = await started(tmp_path / "state", "-f", str(manifest))
    _, errors = await process.communicate()
    assert process.returncode == 1
    assert "devplane: cannot apply RoleBinding alice: 422" in errors.decode()


async def test_a_state_that_is_no_directory_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    process = await started(tmp_path / "file")
    _, errors = await process.communicate()
    assert process.returncode == 1
    assert "devplane: cannot use the state directory" in errors.decode()
