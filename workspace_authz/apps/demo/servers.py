"""The two servers of the demo: a Kubernetes API in memory, and MLflow with the guard."""

from __future__ import annotations

import asyncio
import errno
import json
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import aiohttp

from workspace_authz.apps.demo.processes import Child, DemoError, child

PROGRAM: Final = Path(sys.executable).with_name("workspace-authz")

_HOST: Final = "127.0.0.1"
_USUAL_PORT: Final = 5000
_DEVPLANE_SECONDS: Final = 60.0
_MLFLOW_SECONDS: Final = 180.0
_POLL_SECONDS: Final = 0.2


@asynccontextmanager
async def devplane(
    state: Path, *, users: Path, engine: str = "embedded"
) -> AsyncIterator[tuple[Child, dict[str, str]]]:
    """A dev plane and the JSON line with which it says that it is ready."""
    command = (str(PROGRAM), "devplane", "--engine", engine, "--state", str(state), "--users", str(users))
    log = state.with_name("devplane.log")
    async with child("the dev plane", command, environment={}, log=log, talks=True) as process:
        yield process, json.loads(await process.line(seconds=_DEVPLANE_SECONDS))


@asynccontextmanager
async def mlflow(
    state: Path, *, environment: Mapping[str, str], port: int, static_prefix: str
) -> AsyncIterator[Child]:
    """A guarded MLflow that is being started; see :func:`ready`."""
    command = (
        *(sys.executable, "-m", "mlflow", "server", "--app-name", "workspace-authz"),
        *("--enable-workspaces", "--workspace-store-uri", "kubernetes://"),
        *("--backend-store-uri", f"sqlite:///{state / 'mlflow.db'}"),
        *("--artifacts-destination", str(state / "artifacts")),
        *("--host", _HOST, "--port", str(port), "--workers", "1"),
        *(("--static-prefix", static_prefix) if static_prefix else ()),
    )
    environment = {
        **environment,
        "WORKSPACE_AUTHZ_AUDIT_SINK": str(state / "audit.jsonl"),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    async with child("MLflow", command, environment=environment, log=state / "mlflow.log") as process:
        yield process


async def ready(process: Child, url: str) -> None:
    """Return when MLflow serves and its guard is ready. Raises :class:`DemoError` when it ends or is slow."""
    death = asyncio.create_task(process.death())
    try:
        async with asyncio.timeout(_MLFLOW_SECONDS), aiohttp.ClientSession() as session:
            while not await _answers(session, f"{url}/readyz"):
                if death.done():
                    raise death.result()
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        raise DemoError(
            f"MLflow was not ready after {_MLFLOW_SECONDS:.0f} s; its log is {process.log}"
        ) from None
    finally:
        death.cancel()


async def _answers(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


def choose_port(wanted: int | None) -> int:
    """The port that is wanted, else MLflow's usual one, else any that is free. Raises :class:`DemoError`."""
    for candidate in (wanted,) if wanted is not None else (_USUAL_PORT, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((_HOST, candidate))
            except OSError as error:
                if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                    raise
                continue
            port: int = probe.getsockname()[1]
            return port
    raise DemoError(f"Port {wanted} cannot be used; choose another one with --port, or leave it out.")


def url_of(port: int) -> str:
    """Where MLflow listens."""
    return f"http://{_HOST}:{port}"
