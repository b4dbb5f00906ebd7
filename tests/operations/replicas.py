"""Three replicas, one of them with four workers, on a real kube-apiserver, and real kubectl beside them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.harness.http import Http
from tests.harness.plane import REAL, Plane, User, devplane
from tests.harness.server import MlflowServer, ServerOptions, starting, wait_until_ready
from tests.operations.workers import PATIENT, only, workers
from workspace_authz.devplane import assets

SETTLING_SECONDS: Final = 2.0
"""After a change the servers keep decisions for a moment only; then for a minute."""

_WORKERS: Final = (4, 1, 1)


@dataclass(frozen=True, slots=True)
class Replicas:
    """Servers of one cluster."""

    plane: Plane
    servers: tuple[MlflowServer, ...]
    dora: User
    """Holds nothing, until a test gives her something."""

    def kubectl(self, arguments: str) -> None:
        """Run kubectl as administrator. Raises ``CalledProcessError`` when it fails."""
        program = assets.find_binary(assets.KUBECTL)
        command = [str(program), "--kubeconfig", str(self.plane.admin_kubeconfig), *arguments.split()]
        home = {"HOME": str(self.plane.state)}
        subprocess.run(command, check=True, capture_output=True, env=home, timeout=120)


@contextmanager
def connections(server: MlflowServer) -> Iterator[list[Http]]:
    """One kept-alive connection to each worker."""
    with ExitStack() as stack:
        found = [stack.enter_context(closing(Http(server.url))) for _ in range(server.options.workers)]
        for http, worker in zip(found, workers(server), strict=False):  # a single one is no child process
            with only(server, worker):
                assert http.request("GET", "/livez").status == 200
        yield found


@contextmanager
def three_replicas(state: Path, *, database: Path) -> Iterator[Replicas]:
    """They start side by side, each with a database of its own."""
    dora = User("dora")
    with devplane(REAL, state / "plane", users=[dora]) as plane, ExitStack() as stack:
        servers = tuple(
            stack.enter_context(
                starting(
                    state / f"replica-{number}",
                    ServerOptions(
                        kubeconfig=plane.server_kubeconfig,
                        database=database,
                        workers=workers,
                        uvicorn=("--timeout-keep-alive 600", PATIENT),
                        environment={"WORKSPACE_AUTHZ_SETTLING_SECONDS": str(SETTLING_SECONDS)},
                    ),
                )
            )
            for number, workers in enumerate(_WORKERS)
        )
        for server in servers:
            wait_until_ready(server)
        yield Replicas(plane, servers, dora)
