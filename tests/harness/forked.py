"""MLflow's command line, and ours, without the seconds that importing MLflow takes: in a fork that has it.

What runs there is the command itself, from its arguments to its exit status.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mlflow.cli import cli

from tests.harness.sdk import FORKSERVER
from workspace_authz.cli.main import main

_SECONDS = 120.0

Target = Callable[[list[str], Mapping[str, str], Path, Path], None]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended and what it said."""

    status: int | None
    """None: it had to be killed, because it did not end."""
    output: str


def mlflow_command(arguments: Sequence[str], *, environment: Mapping[str, str], directory: Path) -> Ended:
    """Run ``mlflow`` with ``arguments`` until it ends."""
    return _run(_mlflow, arguments, environment=environment, directory=directory)


def own_command(arguments: Sequence[str], *, environment: Mapping[str, str], directory: Path) -> Ended:
    """Run ``workspace-authz`` with ``arguments`` until it ends."""
    return _run(_own, arguments, environment=environment, directory=directory)


def _run(
    target: Target, arguments: Sequence[str], *, environment: Mapping[str, str], directory: Path
) -> Ended:
    log = directory / "forked.log"
    process = FORKSERVER.Process(target=target, args=(list(arguments), dict(environment), log, directory))
    process.start()
    process.join(_SECONDS)
    status = process.exitcode
    with suppress(ProcessLookupError):
        os.killpg(process.pid or 0, signal.SIGKILL)
    process.join()
    return Ended(status, log.read_text(errors="replace"))


def _mlflow(arguments: list[str], environment: Mapping[str, str], log: Path, directory: Path) -> None:
    _become("mlflow", arguments, environment, log, directory)
    cli(arguments, prog_name="mlflow")


def _own(arguments: list[str], environment: Mapping[str, str], log: Path, directory: Path) -> None:
    _become("workspace-authz", arguments, environment, log, directory)
    sys.exit(main(arguments))


def _become(
    program: str, arguments: list[str], environment: Mapping[str, str], log: Path, directory: Path
) -> None:
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.argv = [program, *arguments]
