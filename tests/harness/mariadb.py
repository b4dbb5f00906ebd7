"""A real MariaDB for as long as a test session lasts: Debian has no MySQL, and MLflow's address is the same.

Skips the test (in CI fails it) when MariaDB is not installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from tests.harness.database_server import as_user, execute, own_directory
from tests.harness.missing import missing
from tests.harness.processes import free_port, running

_SYSTEM_USER = "mysql"
_as_user = partial(as_user, _SYSTEM_USER)
_START_SECONDS = 240.0
_QUICK = ("--innodb-flush-log-at-trx-commit=0", "--skip-log-bin")
"""Nothing has to survive a power failure."""


@dataclass(frozen=True, slots=True)
class MariaDb:
    """A server that runs, on loopback, for root without a password."""

    port: int

    def url(self, database: str) -> str:
        """For SQLAlchemy and for MLflow's ``--backend-store-uri``."""
        return f"mysql+pymysql://root@127.0.0.1:{self.port}/{database}"

    def database(self) -> str:
        """The name of a new database."""
        name = f"test_{uuid.uuid4().hex}"
        execute(self.url(""), f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        return name


@contextmanager
def running_mariadb() -> Iterator[MariaDb]:
    """Start one, and remove it with all its data."""
    install, program = _require("mariadb-install-db"), _require("mariadbd")
    with own_directory("mariadb", _SYSTEM_USER) as home:
        data, port = f"--datadir={home / 'data'}", free_port()
        subprocess.run(
            _as_user(install, "--no-defaults", data, "--auth-root-authentication-method=normal"),
            check=True,
            cwd=home,
            capture_output=True,
        )
        where = (f"--socket={home / 'socket'}", f"--port={port}", "--bind-address=127.0.0.1")
        command = _as_user(program, "--no-defaults", data, *where, *_QUICK)
        with running(command, log=home / "mariadb.log") as process:
            process.wait_until(lambda: "ready for connections" in process.output, seconds=_START_SECONDS)
            yield MariaDb(port)


def _require(program: str) -> str:
    found = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin")
    return found or missing("MariaDB is not installed: apt-get install mariadb-server")
