"""The real SDK as several people: each in a process of their own, with MLflow imported once for all of them.

Importing MLflow takes seconds, so one process does it and forks (``multiprocessing``'s fork server); a child
has its own environment, memory and log from then on.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

from tests.harness.processes import ROOT

P = ParamSpec("P")
R = TypeVar("R")

FORKSERVER: Final = multiprocessing.get_context("forkserver")
_PRELOADED: Final = [
    "mlflow",
    "mlflow.cli",
    "mlflow.server.fastapi_app",
    "mlflow.genai",
    "mlflow.store.tracking.rest_store",
    "tests.scenarios.steps",
]
_STEP_SECONDS: Final = 300.0


class SdkError(Exception):
    """What the SDK raised in a child."""

    def __init__(self, kind: str, message: str, error_code: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind
        self.message = message
        self.error_code = error_code
        """MLflow's, or empty."""


@dataclass(slots=True)
class Sdk:
    """Somebody who uses the SDK."""

    log: Path
    _pipe: Connection = field(repr=False)

    def run(self, step: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
        """Call a module's function over there. Raises :class:`SdkError` when it raises."""
        self._pipe.send((step, arguments, named))
        assert self._pipe.poll(_STEP_SECONDS), f"no answer from the SDK: {self.log.read_text()}"
        outcome = self._pipe.recv()
        if isinstance(outcome, SdkFailure):
            raise SdkError(outcome.kind, outcome.message, outcome.error_code)
        result: R = outcome
        return result

    def fails(self, step: Callable[P, object], *arguments: P.args, **named: P.kwargs) -> SdkError:
        """As :meth:`run` for a step that must be refused; returns what the SDK raised."""
        try:
            result = self.run(step, *arguments, **named)
        except SdkError as error:
            return error
        raise AssertionError(f"{step.__name__} was not refused, and returned {result!r}")


@dataclass(frozen=True, slots=True)
class SdkFailure:
    """An exception as it crosses the pipe."""

    kind: str
    message: str
    error_code: str


def preload() -> None:
    """Begin to import MLflow in the fork server, in the background. Does nothing the second time."""
    path = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), path)))
    FORKSERVER.set_forkserver_preload(_PRELOADED)


@contextmanager
def sdk(
    uri: str, home: Path, *, token: str | None = None, workspace: str | None = None, **environment: str
) -> Iterator[Sdk]:
    """A person's process for as long as the block lasts. ``environment`` comes on top."""
    home.mkdir(parents=True, exist_ok=True)
    variables = {
        "HOME": str(home),
        "MLFLOW_TRACKING_URI": uri,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MLFLOW_ENABLE_ASYNC_TRACE_LOGGING": "false",
        "GIT_PYTHON_REFRESH": "quiet",
        **({"MLFLOW_TRACKING_TOKEN": token} if token else {}),
        **({"MLFLOW_WORKSPACE": workspace} if workspace else {}),
        **environment,
    }
    ours, theirs = FORKSERVER.Pipe()
    log = home / "sdk.log"
    process = FORKSERVER.Process(target=_person, args=(theirs, variables, log, home), daemon=True)
    process.start()
    theirs.close()
    try:
        yield Sdk(log, ours)
    finally:
        ours.close()
        process.join(10)
        process.kill()
        process.join()


def _person(pipe: Connection, variables: Mapping[str, str], log: Path, home: Path) -> None:
    """What runs in the child: one step after the other, until the other end closes."""
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        del os.environ[name]
    os.environ.update(variables)
    os.chdir(home)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, sys.stdout.fileno())
    os.dup2(output, sys.stderr.fileno())
    while True:
        try:
            step, arguments, named = pipe.recv()
        except EOFError:
            return
        pipe.send(_outcome(step, arguments, named))


def _outcome(step: Callable[..., Any], arguments: Any, named: Any) -> Any:
    try:
        return step(*arguments, **named)
    except Exception as error:  # noqa: BLE001 - whatever a step raises is its result
        return SdkFailure(type(error).__name__, str(error), str(getattr(error, "error_code", "")))
