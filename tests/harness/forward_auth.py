"""``workspace-authz serve`` as a process, and real proxies that ask it, by the examples that are shipped.

A missing proxy skips the test (in CI fails it). Traefik takes minutes to build: ``make traefik`` names it in
``TRAEFIK``, and without it Traefik is left out.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Final

from tests.harness.http import Http
from tests.harness.missing import missing
from tests.harness.processes import PROGRAMS, ROOT, free_port, running
from tests.harness.server import MlflowServer, ServerOptions

EXAMPLES: Final = ROOT / "manifests/examples/forward-auth"
NGINX, ENVOY, TRAEFIK = "nginx", "envoy", "traefik"
_SECRET: Final = "replace-this-with-a-secret-of-32-characters"
_START_SECONDS: Final = 120.0
_TRAEFIK_STATIC: Final = """\
entryPoints: {web: {address: "127.0.0.1:PORT"}}
providers: {file: {filename: DYNAMIC}}
global: {checkNewVersion: false, sendAnonymousUsage: false}
"""


@dataclass(frozen=True, slots=True)
class DoorOptions:
    """How ``workspace-authz serve`` is started."""

    kubeconfig: Path
    mlflow: str
    """Where MLflow is."""
    environment: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()


@dataclass(slots=True)
class Door(MlflowServer):
    """The process. What a :class:`MlflowServer` says of audit records holds for it, too."""

    secret: str = field(default="", repr=False)

    @property
    def address(self) -> str:
        """Host and port."""
        return self.url.removeprefix("http://")


@contextmanager
def starting_door(state: Path, options: DoorOptions) -> Iterator[Door]:
    """A door that may not be ready yet: it can start beside its MLflow."""
    state.mkdir(parents=True, exist_ok=True)
    secret, port = secrets.token_hex(32), free_port()
    file = state / "secret"
    file.write_text(f"{secret}\n")
    environment = {
        "KUBECONFIG": str(options.kubeconfig),
        "HOME": str(state),
        "WORKSPACE_AUTHZ_AUDIT_SINK": str(state / "audit.jsonl"),
        "WORKSPACE_AUTHZ_MLFLOW_URL": options.mlflow,
        "WORKSPACE_AUTHZ_FORWARD_AUTH_SECRET_FILE": str(file),
        **options.environment,
    }
    command: list[str | Path] = [
        PROGRAMS / "workspace-authz",
        "serve",
        "--port",
        str(port),
        *options.arguments,
    ]
    with running(command, log=state / "serve.log", environment=environment) as process:
        door = Door(
            f"http://127.0.0.1:{port}", ServerOptions(options.kubeconfig), state, process, secret=secret
        )
        with closing(door):
            yield door


@contextmanager
def proxy(name: str, state: Path, *, upstream: str, door: Door, prefix: str = "") -> Iterator[str]:
    """A proxy in front of ``upstream`` that asks ``door``. Yields its URL, without MLflow's ``prefix``."""
    state.mkdir(parents=True, exist_ok=True)
    port = free_port()
    start: Mapping[str, Callable[[Path, int, Mapping[str, str]], list[str | Path]]] = {
        NGINX: _nginx,
        ENVOY: _envoy,
        TRAEFIK: _traefik,
    }
    changes = {
        "mlflow.mlflow.svc:5000": upstream.removeprefix("http://"),
        "workspace-authz.mlflow.svc:5001": door.address,
        _SECRET: door.secret,
    }
    command = start[name](state, port, changes)
    with ExitStack() as stack:
        process = stack.enter_context(running(command, log=state / f"{name}.log"))
        url = f"http://127.0.0.1:{port}"
        with closing(Http(url)) as http:
            process.wait_until(lambda: _passes(http, f"{prefix}/health"), seconds=_START_SECONDS)
        yield url


def _passes(http: Http, path: str) -> bool:
    """Whether a public route answers through the proxy: its port is open before it has read all it needs."""
    with suppress(OSError, HTTPException):
        return http.request("GET", path).status == 200
    return False


def changed(text: str, changes: Mapping[str, str]) -> str:
    """``text`` with addresses of this machine. Each must stand in it."""
    for old, new in changes.items():
        assert old in text, f"{old} is not in the example"
        text = text.replace(old, new)
    return text


def _nginx(state: Path, port: int, changes: Mapping[str, str]) -> list[str | Path]:
    program = find_program("nginx", "/usr/sbin/nginx")
    text = changed(
        (EXAMPLES / "nginx.conf").read_text(),
        {**changes, "8080": f"127.0.0.1:{port}", "/tmp/nginx.pid": str(state / "nginx.pid")},
    )
    (state / "nginx.conf").write_text(text)
    return [program, "-p", state, "-c", state / "nginx.conf", "-e", "stderr", "-g", "daemon off;"]


def _envoy(state: Path, port: int, changes: Mapping[str, str]) -> list[str | Path]:
    program = find_program("envoy", str(PROGRAMS / "envoy"))
    text = (EXAMPLES / "envoy.yaml").read_text()
    for old, new in changes.items():
        host, _, number = old.partition(":")
        new_host, _, new_number = new.partition(":")
        if number:
            text = changed(
                text,
                {f"address: {host}, port_value: {number}": f"address: {new_host}, port_value: {new_number}"},
            )
        else:
            text = changed(text, {old: new})
    text = changed(text, {"address: 0.0.0.0, port_value: 8080": f"address: 127.0.0.1, port_value: {port}"})
    (state / "envoy.yaml").write_text(text)
    return [
        program,
        "-c",
        state / "envoy.yaml",
        "--concurrency",
        "1",
        "--log-level",
        "warn",
        "--use-dynamic-base-id",
    ]


def _traefik(state: Path, port: int, changes: Mapping[str, str]) -> list[str | Path]:
    program = find_program("traefik", os.environ.get("TRAEFIK"))
    dynamic = state / "dynamic.yaml"
    dynamic.write_text(changed((EXAMPLES / "traefik.yaml").read_text(), changes))
    static = state / "traefik.yaml"
    static.write_text(changed(_TRAEFIK_STATIC, {"PORT": str(port), "DYNAMIC": str(dynamic)}))
    return [program, f"--configfile={static}"]


def find_program(name: str, named: str | None) -> str:
    """Where a program is. Skips the test (in CI fails it) when it is nowhere."""
    found = (named and shutil.which(named)) or shutil.which(name)
    if found is None:
        message = f"There is no {name} here."
        missing(message)
    return found


def proxies() -> tuple[str, ...]:
    """The proxies that tests use on this machine."""
    return (NGINX, ENVOY, *((TRAEFIK,) if os.environ.get("TRAEFIK") else ()))
