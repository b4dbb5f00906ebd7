"""A reader with a cluster, and the image on its node, follows the README: five minutes, and three lines."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from itertools import dropwhile, takewhile
from pathlib import Path

import pytest

from tests.cluster import inside
from tests.cluster.installation import HERE, IMAGE, NAMESPACE, TEAM
from tests.cluster.machine import Cluster, enter
from tests.docs.markdown import BACKGROUND, README, ROOT, Block, blocks, script
from tests.harness.processes import PROGRAMS, clean_environment
from workspace_authz.devplane import assets

ENGINE = "docker build"
PORT_FORWARD = "kubectl -n mlflow port-forward"
_SECONDS = 600
_UNTIL_FORWARDED = (
    "until python -c 'import socket; socket.create_connection((\"localhost\", 5000))'; do sleep 0.5; done\n"
)


@pytest.fixture
def emptied(cluster: Cluster, tmp_path: Path) -> Cluster:
    """No MLflow and no team, and a volume that a claim can have."""
    volumes = tmp_path / "volume"
    volumes.mkdir()
    # The kubelet changes no owner in a directory of the node (fsGroup): this one is anybody's.
    volumes.chmod(0o777)
    tmp_path.chmod(0o755)
    volume = (HERE / "volume.yaml").read_text().replace("DIRECTORY", str(volumes))
    manifest = tmp_path / "volume.yaml"
    manifest.write_text(volume)
    names = (NAMESPACE, TEAM)
    cluster.kubectl.run("delete", "namespace", *names, "--ignore-not-found", "--timeout=300s")
    cluster.kubectl.run("apply", "-f", str(manifest))
    return cluster


def test_the_readers_commands_work_as_they_stand(emptied: Cluster, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    shutil.copytree(ROOT / "manifests", clone / "manifests")
    done = subprocess.run(
        [*enter(emptied.process.process.pid, mount=False), "bash", "-c", _commands()],
        cwd=clone,
        env=_environment(emptied),
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "demo-run" in _runs(emptied)


def _commands() -> str:
    """The README's, from installing to the first run; what it says to leave running runs beside the rest."""
    wanted = [block for block in _section() if ENGINE not in block.code and block.comment != BACKGROUND]
    code = script(wanted)
    assert code.count(PORT_FORWARD) == 1
    before, _, after = code.partition(PORT_FORWARD)
    line, _, after = after.partition("\n")
    return f"{before}{PORT_FORWARD}{line} &\ntrap 'kill $!' EXIT\n{_UNTIL_FORWARDED}{after}"


def _section() -> Sequence[Block]:
    text = README.read_text().splitlines(keepends=True)
    begun = dropwhile(lambda line: not line.startswith("## A cluster in five"), text)
    section = takewhile(lambda line: not line.startswith("## Read on"), begun)
    return blocks("".join(section), file="README.md")


def _environment(cluster: Cluster) -> dict[str, str]:
    kubectl = assets.find_binary(assets.KUBECTL).parent
    return {
        **clean_environment(),
        "PATH": os.pathsep.join([str(PROGRAMS), str(kubectl), os.environ["PATH"]]),
        "KUBECONFIG": str(cluster.state / inside.ADMIN_KUBECONFIG),
        "IMAGE": IMAGE,
    }


_LIST = (
    "import sqlite3; print(sqlite3.connect('/mlflow/mlflow.db').execute('select name from runs').fetchall())"
)


def _runs(cluster: Cluster) -> str:
    """What the pod's own database holds."""
    return cluster.kubectl.run("-n", NAMESPACE, "exec", "deployment/mlflow", "--", "python", "-c", _LIST)
