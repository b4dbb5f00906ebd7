"""Clients that know only a URL and a key, as real processes: an old SDK, MLflow's Java client, and others."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.harness.processes import ROOT, clean_environment

PROGRAMS: Final = ROOT / "tests" / "scenarios" / "clients"
_SECONDS: Final = 180.0


def clients_programs() -> Path:
    """The programs of their environment, which is made when it is missing or stale."""
    subprocess.run([ROOT / "scripts" / "setup", "clients"], check=True)
    return ROOT / ".venv-clients" / "bin"


def oldest_sdk_programs() -> Path:
    """The programs of the oldest SDK that knows workspaces, with this project's base install."""
    subprocess.run([ROOT / "scripts" / "setup", "sdk-3.10"], check=True)
    return ROOT / ".venv-sdk-3.10" / "bin"


def java_command(program: str) -> tuple[str, ...]:
    """The command that runs a program of ours with MLflow's Java client.

    Skips the test (in CI fails it) where there is no Maven to fetch that.
    """
    fetched = subprocess.run([ROOT / "scripts" / "java-client"], stdout=subprocess.PIPE, check=False)
    if fetched.returncode == os.EX_UNAVAILABLE and os.environ.get("CI") != "true":
        pytest.skip("Maven is not installed: apt-get install maven")
    assert fetched.returncode == 0, "Maven did not bring MLflow's Java client"
    return "java", "-cp", f"{fetched.stdout.decode().strip()}/*", str(PROGRAMS / program)


def outcome(
    *command: str | Path, environment: Mapping[str, str], home: Path
) -> subprocess.CompletedProcess[str]:
    """What a client makes of it, with nothing in its environment but what is given."""
    inherited = {key: value for key, value in clean_environment().items() if key != "PYTHONPATH"}
    return subprocess.run(
        list(map(str, command)),
        cwd=home,
        env={**inherited, "HOME": str(home), "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", **environment},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
