"""What a production installation is made of, as real processes: PostgreSQL, an S3, replicas and nginx."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Final

from tests.harness.bucket import S3
from tests.harness.forward_auth import find_program
from tests.harness.http import Http
from tests.harness.postgres import Postgres
from tests.harness.processes import free_port, running
from tests.harness.server import MlflowServer, ServerOptions, starting, wait_until_ready
from tests.scenarios.people import Cluster
from tests.scenarios.waiting import until

ARTIFACTS: Final = "s3://mlflow/artifacts"
_START_SECONDS: Final = 120.0
_GATEWAY_SECONDS: Final = 20
"""How long nginx waits for an answer of MLflow's: less than its own 60 s, so that the tests are quick."""
# Connections to servers are kept for less than uvicorn keeps them (5 s): who sends on one that the other end
# closes in that moment gets no answer, and what changes something is not sent again.
_NGINX: Final = """\
pid PID; worker_processes 1; error_log stderr warn;
events { worker_connections 256; }
http {
  access_log off;
  client_max_body_size 0; client_body_temp_path TEMP; proxy_temp_path TEMP;
  fastcgi_temp_path TEMP; uwsgi_temp_path TEMP; scgi_temp_path TEMP;
  upstream mlflow { SERVERS keepalive 8; keepalive_timeout 2s; }
  server {
    listen 127.0.0.1:PORT;
    location / {
      proxy_pass http://mlflow; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host $http_host; proxy_request_buffering off; proxy_buffering off;
      proxy_connect_timeout 5s; proxy_read_timeout SECONDSs;
    }
  }
}
"""


@dataclass(slots=True)
class Replica:
    """A server with a port of its own, where it can be started again."""

    options: ServerOptions
    state: Path
    server: MlflowServer | None = None
    _stack: ExitStack = field(default_factory=ExitStack, repr=False)
    _starts: int = 0

    def start(self, **changes: object) -> None:
        """Start it, with other options where some are given. It may not answer yet."""
        self.options = replace(self.options, **changes)  # type: ignore[arg-type]
        self._starts += 1
        state = self.state / str(self._starts)
        self.server = self._stack.enter_context(starting(state, self.options))

    def wait(self) -> None:
        """Return once it is ready."""
        assert self.server is not None
        wait_until_ready(self.server)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it by a signal to all its processes: SIGKILL is what a node does that loses power."""
        if self.server is not None and number == signal.SIGKILL:
            self.server.process.signal_group(number)
        self.server = None
        self._stack.close()


@dataclass(frozen=True, slots=True)
class Stand:
    """One installation."""

    cluster: Cluster
    database: str
    s3: S3
    replicas: Sequence[Replica]
    url: str
    """nginx's."""

    @property
    def ready(self) -> Sequence[MlflowServer]:
        """The servers that run."""
        return [each.server for each in self.replicas if each.server is not None]

    def wait_for_workspace(self, name: str) -> None:
        """Return once every server knows the namespace: they follow them."""
        for server in self.ready:
            for _ in range(8):  # of each worker, most likely: each connection is taken by another one
                server.close()
                until(partial(self._knows, server, name))

    def _knows(self, server: MlflowServer, workspace: str) -> bool:
        path = "/api/2.0/mlflow/experiments/search?max_results=1"
        return (
            server.ask("GET", path, token=self.cluster.people.root.token, workspace=workspace).status == 200
        )


def production(cluster: Cluster, s3: S3, database: str, **changes: object) -> ServerOptions:
    """How the overlay ``production`` starts a server."""
    options = ServerOptions(
        kubeconfig=cluster.plane.server_kubeconfig,
        backend=database,
        workers=2,
        environment=s3.environment,
        arguments=("--artifacts-destination", ARTIFACTS),
    )
    return replace(options, **changes)  # type: ignore[arg-type]


@contextmanager
def standing(
    state: Path, *, cluster: Cluster, s3: S3, options: ServerOptions, replicas: int = 2
) -> Iterator[Stand]:
    """Replicas that are ready, and nginx before them."""
    with ExitStack() as stack:
        made = [
            Replica(replace(options, port=free_port()), state / f"replica-{number}")
            for number in range(replicas)
        ]
        for each in made:
            stack.callback(each.stop)
            each.start()
        for each in made:
            each.wait()
        url = stack.enter_context(nginx(state / "nginx", [f"127.0.0.1:{each.options.port}" for each in made]))
        yield Stand(cluster, options.backend, s3, made, url)


@contextmanager
def nginx(state: Path, upstreams: Sequence[str]) -> Iterator[str]:
    """nginx before servers. Yields its URL."""
    (state / "temp").mkdir(parents=True)
    port = free_port()
    servers = "".join(f"server {each} max_fails=1 fail_timeout=2s; " for each in upstreams)
    changes: Mapping[str, str] = {
        "PID": str(state / "nginx.pid"),
        "TEMP": str(state / "temp"),
        "SERVERS": servers,
        "PORT": str(port),
        "SECONDS": str(_GATEWAY_SECONDS),
    }
    text = _NGINX
    for old, new in changes.items():
        text = text.replace(old, new)
    (state / "nginx.conf").write_text(text)
    program = find_program("nginx", "/usr/sbin/nginx")
    command: list[str | Path] = [
        program,
        "-p",
        state,
        "-c",
        state / "nginx.conf",
        "-e",
        "stderr",
        "-g",
        "daemon off;",
    ]
    with running(command, log=state / "nginx.log") as process:
        url = f"http://127.0.0.1:{port}"
        with closing(Http(url)) as http:

            def passes() -> bool:
                with suppress(OSError, HTTPException):
                    return http.request("GET", "/health").status == 200
                return False

            process.wait_until(passes, seconds=_START_SECONDS)
        yield url


def new_database(postgres: Postgres, template: str) -> str:
    """The address of a new database, a copy of ``template``, as the overlay's Secret has it."""
    return postgres.url(postgres.database(template=template)).replace("+psycopg", "")
