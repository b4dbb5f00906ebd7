"""The acceptance: the whole demo, as a newcomer runs it. The servers, the SDK and the cluster are real."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from workspace_authz.apps.demo import servers
from workspace_authz.apps.demo.browser import find_chromium
from workspace_authz.apps.demo.tour import IN_A_BROWSER, STAGES

ROOT = Path(__file__).parents[3]
STEPS = sum(len(stage.steps) for stage in (*STAGES, *((IN_A_BROWSER,) if find_chromium() else ())))

pytestmark = pytest.mark.xdist_group("demo")


def left_over(state: Path) -> Mapping[int, str]:
    """Processes whose command line or working directory still has to do with the demo."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = process.joinpath("cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if str(state) in command or Path(os.readlink(process / "cwd")).is_relative_to(state):
                found[int(process.name)] = command
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it ended while we looked, or is none of ours
    return found


def test_make_demo_is_the_demo() -> None:
    # Under `make test` an outer make would speak through these.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    plan = subprocess.run(
        ["make", "--dry-run", "demo", "ARGS=--once"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )

    assert plan.stdout.splitlines() == ["scripts/setup demo", ".venv/bin/workspace-authz demo --once"]


async def test_everything_is_as_expected_and_nothing_stays(tmp_path: Path) -> None:
    demo = await asyncio.create_subprocess_exec(
        servers.PROGRAM,
        *("demo", "--once", "--state", str(tmp_path / "state"), "--port", str(servers.choose_port(0))),
        *("--static-prefix", "/mlflow"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )

    output, progress = (text.decode() for text in await demo.communicate())

    assert demo.returncode == 0, output + progress
    assert f"{STEPS} of {STEPS} as expected." in output
    assert "pod's files, " in output
    assert left_over(tmp_path) == {}


async def test_a_signal_while_it_starts_ends_it_in_order(tmp_path: Path) -> None:
    demo = await asyncio.create_subprocess_exec(
        servers.PROGRAM,
        *("demo", "--state", str(tmp_path / "state")),
        stderr=asyncio.subprocess.PIPE,
    )
    assert demo.stderr is not None
    while b"making namespaces" not in await demo.stderr.readline():
        assert not demo.stderr.at_eof()
    assert left_over(tmp_path) != {}

    demo.send_signal(signal.SIGTERM)

    assert (await demo.stderr.read()).endswith(b"demo: ended before the tour was over\n")
    assert await demo.wait() == 130
    assert left_over(tmp_path) == {}


def test_a_wrong_option_is_one_sentence() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "workspace_authz.cli.main", "demo", "--twice"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert "unrecognized arguments: --twice" in done.stderr


def test_the_demos_provider_starts_nowhere_else() -> None:
    """Anybody is whoever they choose to be there."""
    done = subprocess.run(
        [sys.executable, "-m", "workspace_authz.apps.demo.issuer"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "belongs to the demo" in done.stderr
