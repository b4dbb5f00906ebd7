"""``mlflow server`` as a real process, guarded or not."""

from __future__ import annotations

import json
import shutil
import ssl
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.harness.http import Answer, Headers, Http, bearer
from tests.harness.processes import PROGRAMS, Running, free_port, running

WORKSPACE = "X-MLFLOW-WORKSPACE"
_START_SECONDS = 240.0
_RECORD_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How ``mlflow server`` is started."""

    kubeconfig: Path | None = None
    """The guarded server's own; None starts stock MLflow."""
    prefix: str = ""
    """``--static-prefix``."""
    root_path: str = ""
    """uvicorn's ``--root-path``."""
    uvicorn: Sequence[str] = ()
    """More options of uvicorn's."""
    workers: int = 1
    workspaces: bool = True
    app_name: str = "workspace-authz"
    workspace_store: str = "kubernetes://"
    backend_store: bool = True
    """False leaves the option out."""
    backend: str = ""
    """The database's address; empty for SQLite in the server's directory."""
    database: Path | None = None
    """A SQLite file to start with: making MLflow's tables takes seconds."""
    audit: str = "file"
    """``file`` for one beside the log, else a value of the setting."""
    programs: Path = PROGRAMS
    """Where ``mlflow`` is: another environment has another release of it."""
    certificate: tuple[Path, Path] | None = None
    """The files of a serving certificate and its key; None serves plain HTTP."""
    port: int | None = None
    """The port, where others must know it before; None takes a free one."""
    arguments: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    def prepare(self, state: Path) -> None:
        """Put what the server starts with into its directory."""
        if self.database is not None:
            shutil.copyfile(self.database, state / "mlflow.db")

    def address(self, state: Path) -> str:
        """Where MLflow keeps its data."""
        return self.backend or f"sqlite:///{state / 'mlflow.db'}"

    def command(self, state: Path, port: int) -> list[str | Path]:
        """The command line."""
        command: list[str | Path] = [self.programs / "mlflow", "server"]
        if self.kubeconfig is not None:
            command += ["--app-name", self.app_name]
        if self.workspaces:
            command.append("--enable-workspaces")
            if self.kubeconfig is not None:
                command += ["--workspace-store-uri", self.workspace_store]
        if self.backend_store:
            command += ["--backend-store-uri", self.address(state)]
        command += ["--artifacts-destination", state / "artifacts"]
        command += ["--host", "127.0.0.1", "--port", str(port), "--workers", str(self.workers)]
        if self.prefix:
            command += ["--static-prefix", self.prefix]
        uvicorn = [*self.uvicorn]
        if self.root_path:
            uvicorn.append(f"--root-path {self.root_path}")
        if self.certificate:
            uvicorn.append("--ssl-certfile {} --ssl-keyfile {}".format(*self.certificate))
        if uvicorn:
            command += ["--uvicorn-opts", " ".join(uvicorn)]
        return [*command, *self.arguments]

    def variables(self, state: Path) -> dict[str, str]:
        """The environment beside the machine's own."""
        variables = {
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "HOME": str(state),
        }
        if self.kubeconfig is not None:
            variables["KUBECONFIG"] = str(self.kubeconfig)
            sink = str(state / "audit.jsonl") if self.audit == "file" else self.audit
            variables["WORKSPACE_AUTHZ_AUDIT_SINK"] = sink
        return {**variables, **self.environment}


@dataclass(slots=True)
class MlflowServer:
    """A server that runs."""

    url: str
    """Without the static prefix."""
    options: ServerOptions
    state: Path
    process: Running
    _http: Http = field(init=False, repr=False)
    _read: int = 0

    def __post_init__(self) -> None:
        self._http = Http(self.url, tls=trusting() if self.options.certificate else None)

    @property
    def uri(self) -> str:
        """What a client sets as ``MLFLOW_TRACKING_URI``."""
        return self.url + self.options.prefix

    @property
    def database(self) -> str:
        """The address of MLflow's database, for SQLAlchemy."""
        return self.options.address(self.state)

    @property
    def audit_file(self) -> Path:
        """Where audit records go."""
        return self.state / "audit.jsonl"

    def ask(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        workspace: str | None = None,
        headers: Headers = (),
        json_body: object = None,
        body: bytes | None = None,
    ) -> Answer:
        """One request; ``path`` is below the static prefix."""
        path = self.options.prefix + path
        return self.ask_root(
            method,
            path,
            token=token,
            workspace=workspace,
            headers=headers,
            json_body=json_body,
            body=body,
        )

    def ask_root(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        workspace: str | None = None,
        headers: Headers = (),
        json_body: object = None,
        body: bytes | None = None,
    ) -> Answer:
        """One request; ``path`` is the whole path."""
        given: list[tuple[str, str]] = list(headers.items() if isinstance(headers, Mapping) else headers)
        if token is not None:
            given += bearer(token).items()
        if workspace is not None:
            given.append((WORKSPACE, workspace))
        if json_body is not None:
            body = json.dumps(json_body).encode()
            given.append(("Content-Type", "application/json"))
        return self._http.request(method, path, headers=given, body=body)

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def skip_records(self) -> None:
        """Forget the audit records of all requests so far, whoever made them."""
        marker = f"/marker-{uuid.uuid4().hex}"
        self.ask("GET", marker)
        while marker not in str(self.records(1)):
            continue

    def records(self, count: int) -> list[dict[str, Any]]:
        """The audit records since the last call, once there are ``count``. Raises ``AssertionError``."""
        deadline = time.monotonic() + _RECORD_SECONDS
        while True:
            lines = self.audit_file.read_bytes().splitlines(keepends=True)
            fresh = [line for line in lines[self._read :] if line.endswith(b"\n")]
            if len(fresh) >= count:
                break
            assert time.monotonic() < deadline, f"{len(fresh)} of {count} audit records came"
            time.sleep(0.02)
        self._read += len(fresh)
        return [json.loads(line) for line in fresh]


def trusting() -> ssl.SSLContext:
    """A client's context that takes any certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@contextmanager
def mlflow_server(state: Path, options: ServerOptions) -> Iterator[MlflowServer]:
    """A server that answers, for as long as the block lasts."""
    with starting(state, options) as server:
        wait_until_ready(server)
        yield server


@contextmanager
def starting(state: Path, options: ServerOptions) -> Iterator[MlflowServer]:
    """A server that may not answer yet: several can start side by side."""
    state.mkdir(parents=True, exist_ok=True)
    options.prepare(state)
    port = options.port or free_port()
    with running(
        options.command(state, port), log=state / "mlflow.log", environment=options.variables(state)
    ) as process:
        scheme = "https" if options.certificate else "http"
        server = MlflowServer(f"{scheme}://127.0.0.1:{port}", options, state, process)
        with closing(server):
            yield server


def wait_until_ready(server: MlflowServer) -> None:
    """Return once the server is ready to serve."""
    path = "/readyz" if server.options.kubeconfig is not None else "/health"

    def ready() -> bool:
        with suppress(OSError):
            return server.ask("GET", path).status == 200
        return False

    server.process.wait_until(ready, seconds=_START_SECONDS)
