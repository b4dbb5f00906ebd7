"""Every command of the documents works, against a real API server, with real kubectl, MLflow and SDK."""

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
from tests.docs.markdown import (
    BACKGROUND,
    COMMANDED,
    COMMANDS,
    NOT_RUN,
    README,
    REASONS,
    REFUSED,
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

BLOCKS = [block for file in COMMANDED for block in blocks((ROOT / file).read_text(), file=file)]
PORT = "5000"  # of the server in the README


@dataclass(frozen=True, slots=True)
class Shell:
    """Where a reader sits: in a clone, with kubectl and the virtual environment."""

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
    shutil.copy(ROOT / "Makefile", clone)
    async with servers.devplane(tmp_path / "plane", users=users, engine="kube-apiserver") as (_, files):
        kubectl = assets.find_binary(assets.KUBECTL).parent
        path = f"{Path(sys.executable).parent}:{kubectl}:{os.environ['PATH']}"
        home = tmp_path / "home"
        home.mkdir()
        environment = {
            "PATH": path,
            "HOME": str(home),
            "KUBECONFIG": files["admin_kubeconfig"],
            # On a busy machine importing MLflow takes longer than uvicorn waits for a worker, 5 s.
            "UVICORN_TIMEOUT_WORKER_HEALTHCHECK": "120",
        }
        for name in ("KUBEBUILDER_ASSETS", "XDG_CACHE_HOME"):
            if name in os.environ:
                environment[name] = os.environ[name]
        yield Shell(clone, environment, servers.choose_port(0))


async def test_every_command_works(shell: Shell, tmp_path: Path) -> None:
    (server,) = [block for block in BLOCKS if block.comment == BACKGROUND]
    place = BLOCKS.index(server)
    before = [block for block in BLOCKS[:place] if block.runs]
    after = [block for block in BLOCKS[place:] if block.runs]

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


def ran(text: str) -> subprocess.CompletedProcess[str]:
    """Run the commands of a text."""
    code = script(blocks(text, file="x.md"))
    return subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=False)


def test_the_script_stops_at_the_line_that_fails() -> None:
    done = ran("# A\n\n```sh\necho fine\n```\n\n```sh\nfalse\necho never\n```\n")

    assert done.returncode == 1
    assert done.stdout == "fine\n"
    assert done.stderr == "failed: x.md, line 8\n"


@pytest.mark.parametrize(
    ("code", "status"), [("echo no way; exit 3", 0), ("echo another way; exit 3", 1), ("echo no way", 1)]
)
def test_a_command_that_must_be_refused_has_to_fail_and_to_say_so(code: str, status: int) -> None:
    done = ran(f"<!-- refused: no way -->\n```sh\n{code}\n```\n")

    assert done.returncode == status


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.file}-{block.line}")
def test_a_block_is_run_or_says_why_not(block: Block) -> None:
    assert block.language in COMMANDS | SAMPLES
    if block.comment.startswith(RUN_BY):
        assert (ROOT / block.comment.removeprefix(RUN_BY)).is_file()
    elif block.comment.startswith(NOT_RUN):
        assert block.comment.removeprefix(NOT_RUN) in REASONS
    elif block.comment.startswith(REFUSED):
        assert block.language in COMMANDS
    else:
        assert block.comment in ("", BACKGROUND)


@pytest.mark.parametrize("file", COMMANDED)
def test_no_fence_is_overlooked(file: str) -> None:
    text = (ROOT / file).read_text()
    assert f"\n{text}".count("\n```") == 2 * len(blocks(text, file=file))


def test_every_reason_is_used() -> None:
    given = {block.comment.removeprefix(NOT_RUN) for block in BLOCKS if block.comment.startswith(NOT_RUN)}
    assert given == REASONS


def test_every_document_is_looked_at() -> None:
    documents = {str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("**/*.md")}
    assert documents == {file for file in COMMANDED if file.startswith("docs/")}


def test_the_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) <= 170
