"""Commands in the comments of manifests work as they stand there, on a real API server."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.manifests.kube import ROOT, Kubectl

FOLDERS = ("kustomize", "manifests/examples")
NOT_RUN = "(not run: "
"""How a comment says why its command is not run here."""
_COMMAND = re.compile(r"^\s*#\s+((?:kubectl|oc|head|openssl|workspace-authz) .*)$")


def commands(text: str) -> list[str]:
    """Comment lines that are commands. Those that say why they are not run are left out."""
    return [
        match[1] for line in text.splitlines() if (match := _COMMAND.match(line)) and NOT_RUN not in match[1]
    ]


COMMANDED = {
    str(file.relative_to(ROOT)): found
    for folder in FOLDERS
    for file in sorted((ROOT / folder).rglob("*"))
    if file.is_file() and (found := commands(file.read_text()))
}


@pytest.fixture
def mine(cluster: Kubectl) -> Iterator[Kubectl]:
    """The cluster, without the Secrets and ConfigMaps that a test made."""
    before = kept(cluster)
    yield cluster
    for each in kept(cluster) - before:
        cluster.run("delete", "-n", "mlflow", each)


def kept(kubectl: Kubectl) -> set[str]:
    """The names of what commands make."""
    return set(kubectl.run("get", "secrets,configmaps", "-n", "mlflow", "-o", "name").split())


@pytest.mark.parametrize("file", COMMANDED)
def test_the_commands_of_a_comment_work(file: str, mine: Kubectl, tmp_path: Path) -> None:
    for name in set(re.findall(r"--from-file=(?:[\w.-]+=)?([\w.-]+)", "\n".join(COMMANDED[file]))):
        (tmp_path / name).touch()  # the reader's own files
    environment = {
        "PATH": f"{mine.program.parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "KUBECONFIG": str(mine.kubeconfig),
    }
    script = "set -euo pipefail\n" + "\n".join(COMMANDED[file])

    done = subprocess.run(
        ["bash", "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr


SAME = {
    str(file.relative_to(ROOT)): match[1]
    for file in sorted((ROOT / "manifests" / "examples").rglob("*.yaml"))
    if (match := re.search(r"^# The same as: kubectl (.*)$", file.read_text(), re.MULTILINE))
}


@pytest.mark.parametrize("file", SAME)
def test_a_command_that_is_said_to_be_the_same_makes_the_same(file: str, cluster: Kubectl) -> None:
    made = cluster.json(*SAME[file].split(), "--dry-run=client")
    shown = yaml.safe_load((ROOT / file).read_text())
    assert (made["kind"], made["metadata"]["namespace"], made["metadata"]["name"]) == (
        shown["kind"],
        shown["metadata"]["namespace"],
        shown["metadata"]["name"],
    )
    assert made["roleRef"] == shown["roleRef"]
    assert made["subjects"] == shown["subjects"]


def test_comments_have_commands() -> None:
    assert len(COMMANDED) > 4
    assert len(SAME) > 2
    assert commands(
        "# Make it first:\n    # kubectl create x\n# kubectl logs y (not run: needs nodes)\n"
    ) == ["kubectl create x"]
