"""A real PostgreSQL for as long as a test session lasts; a fresh database is cheap.

Skips the test (in CI fails it) when PostgreSQL is not installed.
"""

from __future__ import annotations

import shutil
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.harness.database_server import as_user, execute, own_directory
from tests.harness.missing import missing
from tests.harness.processes import free_port, running

_USER = "mlflow"
_SYSTEM_USER = "postgres"
_as_user = partial(as_user, _SYSTEM_USER)
_START_SECONDS = 240.0
_QUICK = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
"""Nothing has to survive a power failure."""


@dataclass(frozen=True, slots=True)
class Postgres:
    """A server that runs, on loopback, for the user ``mlflow`` without a password."""

    port: int
    home: Path

    def url(self, database: str) -> str:
        """For SQLAlchemy and for MLflow's ``--backend-store-uri``."""
        return f"postgresql+psycopg://{_USER}@127.0.0.1:{self.port}/{database}"

    def database(self, *, template: str = "template0") -> str:
        """The name of a new database, a copy of ``template`` (to which nobody may be connected)."""
        name = f"test_{uuid.uuid4().hex}"
        execute(self.url("postgres"), f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    @contextmanager
    def away(self) -> Iterator[None]:
        """Shut it down as an operator does, for as long as the block lasts: connections are cut."""
        self._control("stop", "--mode=fast")
        try:
            yield
        finally:
            self._control("start", f"--log={self.home / 'restarted.log'}")

    def stop(self) -> None:
        """End it, should it have been started again."""
        self._control("stop", "--mode=immediate", check=False)

    @property
    def binaries(self) -> Path:
        """Where its programs are, those of clients, too."""
        return _require_binaries()

    def _control(self, action: str, *arguments: str, check: bool = True) -> None:
        program = self.binaries / "pg_ctl"
        command = _as_user(program, action, f"--pgdata={self.home / 'data'}", "--wait", *arguments)
        subprocess.run(command, check=check, cwd=self.home, stdout=subprocess.DEVNULL)


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Start one, and remove it with all its data."""
    binaries = _require_binaries()
    with own_directory("postgres", _SYSTEM_USER) as home:
        data, port = home / "data", free_port()
        made = _as_user(binaries / "initdb", f"--pgdata={data}", f"--username={_USER}", "--auth=trust")
        subprocess.run(
            [*made, "--no-sync", "--locale=C", "--encoding=UTF8"], check=True, cwd=home, capture_output=True
        )
        options = ["listen_addresses='127.0.0.1'", f"port={port}", "unix_socket_directories=''", *_QUICK]
        (data / "postgresql.auto.conf").write_text("\n".join(options) + "\n")
        command = _as_user(binaries / "postgres", "-D", str(data))
        with running(command, log=home / "postgres.log") as process:
            ready = "database system is ready to accept connections"
            process.wait_until(lambda: ready in process.output, seconds=_START_SECONDS)
            server = Postgres(port, home)
            try:
                yield server
            finally:
                server.stop()


def _require_binaries() -> Path:
    return _binaries() or missing("PostgreSQL is not installed: apt-get install postgresql")


def _binaries() -> Path | None:
    """Where ``initdb`` and ``postgres`` are: on the PATH, or where Debian keeps each version apart."""
    on_path = shutil.which("initdb")
    versions: Sequence[Path] = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version)
    if on_path:
        return Path(on_path).resolve().parent
    return versions[-1] if versions else None


def _version(directory: Path) -> float:
    return float(directory.parent.name)
