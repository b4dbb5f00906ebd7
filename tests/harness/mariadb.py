"""A real MariaDB for as long as a test session lasts: Debian has no MySQL, and MLflow's address is the same.

Skips the test (in CI fails it) when MariaDB is not installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tests.harness.processes import free_port, running

_SYSTEM_USER = "mysql"
_START_SECONDS = 60.0
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
        engine = create_engine(self.url(""), isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as connection:
                connection.execute(text(f"CREATE DATABASE {name} CHARACTER SET utf8mb4"))
        finally:
            engine.dispose()
        return name


@contextmanager
def running_mariadb() -> Iterator[MariaDb]:
    """Start one, and remove it with all its data."""
    install, program = _require("mariadb-install-db"), _require("mariadbd")
    home = Path(tempfile.mkdtemp(prefix="workspace-authz-mariadb-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(home, _SYSTEM_USER, _SYSTEM_USER)
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
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _as_user(program: str, *arguments: str) -> list[str]:
    """MariaDB refuses to be root."""
    if os.geteuid() != 0:
        return [program, *arguments]
    given = [f"--reuid={_SYSTEM_USER}", f"--regid={_SYSTEM_USER}", "--clear-groups"]
    return ["setpriv", *given, program, *arguments]


def _require(program: str) -> str:
    found = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        reason = "MariaDB is not installed: apt-get install mariadb-server"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found
