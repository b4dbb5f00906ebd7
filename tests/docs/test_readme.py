"""Every command of README.md works, against a real API server, with real kubectl, MLflow and SDK."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tests.devplane.real import require_binaries
from tests.docs.readme import (
    BACKGROUND,
    COMMANDS,
    NOT_RUN,
    README,
    ROOT,
    RUN_BY,
    SAMPLES,
    Block,
    blocks,
    script,
)
from workspace_authz.apps.demo import servers
from workspace_authz.apps.demo.processes import child
from workspace_authz.devplane import assets

BLOCKS = blocks(README.read_text())
PORT = "5000"  # of the server in the README

pytestmark = pytest.mark.xdist_group("readme")


@dataclass(frozen=True, slots=True)
class Shell:
    """Where a reader of the README sits: in a clone, with kubectl and the virtual environment."""

    directory: Path
    environment: dict[str, str]
    port: int

    def adapted(self, code: str) -> str:
        """The code with the port on which the server is here."""
        return code.replace(f"localhost:{PORT}", f"localhost:{self.port}").replace(
            f"--port {PORT}", f"--port {self.port}"
        )

    async def run(self, code: str) -> subprocess.CompletedProcess[str]:
        """Run a bash script to its end."""
        return await asyncio.to_thread(
            subprocess.run,
            ["bash", "-c", self.adapted(code)],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )


@pytest_asyncio.fixture
async def shell(tmp_path: Path) -> AsyncIterator[Shell]:
    """A clone beside a real, empty cluster of which the reader is the administrator."""
    require_binaries()
    users = tmp_path / "users.csv"
    users.touch()
    clone = tmp_path / "clone"
    for part in ("manifests", "kustomize", "rbac"):
        shutil.copytree(ROOT / part, clone / part)
    async with servers.devplane(tmp_path / "plane", users=users, engine="kube-apiserver") as (_, files):
        kubectl = assets.find_binary(assets.KUBECTL).parent
        path = f"{Path(sys.executable).parent}:{kubectl}:{os.environ['PATH']}"
        home = tmp_path / "home"
        home.mkdir()
        environment = {
            "PATH": path,
            "HOME": str(home),
            "KUBECONFIG": files["admin_kubeconfig"],
            # On a busy machine importing MLflow takes longer than uvicorn's patience with a worker, 5 s.
            "UVICORN_TIMEOUT_WORKER_HEALTHCHECK": "120",
        }
        for name in ("KUBEBUILDER_ASSETS", "XDG_CACHE_HOME"):
            if name in os.environ:
                environment[name] = os.environ[name]
        yield Shell(clone, environment, servers.choose_port(0))


def before_and_after(server: Block) -> tuple[list[Block], list[Block]]:
    """The blocks to run before the server is there, and with it."""
    run = [block for block in BLOCKS if block.runs]
    return [b for b in run if b.line < server.line], [b for b in run if b.line > server.line]


async def test_every_command_works(shell: Shell, tmp_path: Path) -> None:
    (server,) = [block for block in BLOCKS if block.comment == BACKGROUND]
    before, after = before_and_after(server)

    prepared = await shell.run(script(before))
    assert prepared.returncode == 0, prepared.stdout + prepared.stderr

    command = ("bash", "-c", f"cd {shell.directory} && {shell.adapted(server.code)}")
    async with child(
        "the server", command, environment=shell.environment, log=tmp_path / "server.log"
    ) as mlflow:
        await servers.ready(mlflow, servers.url_of(shell.port))
        done = await shell.run(script(after))

    assert done.returncode == 0, done.stdout + done.stderr
    assert "system:serviceaccount:team-a:trainer" in done.stdout  # whoami
    assert "demo-experiment" in done.stdout  # curl


def test_the_script_stops_at_the_line_that_fails() -> None:
    text = "# A\n\n```sh\necho fine\n```\n\n```sh\nfalse\necho never\n```\n"

    done = subprocess.run(["bash", "-c", script(blocks(text))], capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert done.stdout == "fine\n"
    assert done.stderr == "failed: README.md, line 7\n"


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"line-{block.line}")
def test_a_block_is_run_or_says_why_not(block: Block) -> None:
    assert block.language in COMMANDS | SAMPLES
    if block.comment.startswith(RUN_BY):
        assert (ROOT / block.comment.removeprefix(RUN_BY)).is_file()
    elif block.comment.startswith(NOT_RUN):
        assert len(block.comment.removeprefix(NOT_RUN)) > 10
    else:
        assert block.comment in ("", BACKGROUND)


def test_no_fence_is_overlooked() -> None:
    assert README.read_text().count("\n```") == 2 * len(BLOCKS)


def test_every_link_within_it_leads_somewhere() -> None:
    text = README.read_text()
    headings = {
        line.lstrip("# ").lower().replace(",", "").replace(" ", "-")
        for line in text.splitlines()
        if line.startswith(("## ", "### "))
    }
    links = {part.split(")")[0] for part in text.split("](#")[1:]}

    assert links <= headings


def test_the_settings_are_those_of_the_code() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "settings_table.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
