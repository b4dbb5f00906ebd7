"""The server's databases as ``workspace-authz database`` sees them."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError

from workspace_authz.cli.options import PROGRAM
from workspace_authz.database.upgrade_lock import LOCKED_KINDS
from workspace_authz.errors import AuthzError, ConfigurationError
from workspace_authz.mlflow_adapter.store.engines import new_engine, without_secrets

UNREACHABLE: Final = 10
LOCKED: Final = 11
NEWER: Final = 12
FAILED: Final = 13
OUTDATED: Final = 14
"""Exit statuses. A Job may try again after the first two."""

_PAUSE_SECONDS: Final = 1.0
_SAY_AGAIN_SECONDS: Final = 15.0


class DatabaseError(AuthzError):
    """Why the command ends without success, and its exit status."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Database:
    """One database of the server."""

    engine: Engine
    holds_ours: bool
    """Whether the tables of this package are in it."""

    @property
    def name(self) -> str:
        """Where it is, for people: without user and password."""
        url = self.engine.url
        if url.host is None:
            return f"the database {url.database}"
        port = f":{url.port}" if url.port else ""
        return f"the database {url.database} at {url.host}{port}"


class Deadline:
    """How long to wait, and what was said meanwhile: each reason once, and again after a while."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._said = ""
        self._said_at = 0.0

    def wait(self, reason: str) -> bool:
        """Say why, and sleep a moment. False when the time is over."""
        now = time.monotonic()
        if now >= self._end:
            return False
        if reason != self._said or now - self._said_at >= _SAY_AGAIN_SECONDS:
            say(f"waiting: {reason}")
            self._said, self._said_at = reason, now
        time.sleep(min(_PAUSE_SECONDS, self._end - now))
        return True


@contextmanager
def open_databases(options: argparse.Namespace) -> Iterator[list[Database]]:
    """The databases, each once. Nothing is connected yet. Raises :class:`ConfigurationError`."""
    backend = options.backend_store_uri
    if not backend:
        raise ConfigurationError("Give MLflow's database: --backend-store-uri, or MLFLOW_BACKEND_STORE_URI.")
    found: list[Database] = []
    try:
        for uri in dict.fromkeys((backend, options.registry_store_uri or backend)):
            engine = new_engine(uri)
            found.append(Database(engine, holds_ours=not found))
            if engine.dialect.name not in LOCKED_KINDS:
                raise ConfigurationError(
                    f"This command knows PostgreSQL, MySQL and SQLite, not {engine.dialect.name}: "
                    "use `mlflow db upgrade`."
                )
        yield found
    finally:
        for database in found:
            database.engine.dispose()


def wait_for(database: Database, deadline: Deadline) -> None:
    """Wait until the database answers. Raises :class:`DatabaseError`."""
    while (reason := no_answer(database)) is not None:
        if not deadline.wait(reason):
            raise DatabaseError(reason, status=UNREACHABLE)


def no_answer(database: Database) -> str | None:
    """Why the database does not answer, as a sentence; None if it does."""
    try:
        with database.engine.connect() as connection:
            connection.execute(select(1))
    except SQLAlchemyError as error:
        return f"{database.name} does not answer: {without_secrets(error, database.engine.url)}"
    return None


def say(text: str) -> None:
    """One line about what happens, for the log of a pod."""
    sys.stderr.write(f"{PROGRAM}: {text}\n")
    sys.stderr.flush()
