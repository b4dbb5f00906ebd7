"""The server's databases as ``workspace-authz database`` sees them."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from workspace_authz.cli.options import PROGRAM, backend_store_uri
from workspace_authz.database.upgrade_lock import LOCKED_KINDS
from workspace_authz.errors import ConfigurationError, ExitError
from workspace_authz.mlflow_adapter.store.engines import new_engine, without_secrets
from workspace_authz.mlflow_adapter.store.schema import Schema

UNREACHABLE: Final = 10
LOCKED: Final = 11
NEWER: Final = 12
FAILED: Final = 13
OUTDATED: Final = 14
"""Exit statuses. A Job may try again after the first two."""

_PAUSE_SECONDS: Final = 1.0
_SAY_AGAIN_SECONDS: Final = 15.0


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
    backend = backend_store_uri(options)
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


def wait_until(
    database: Database, deadline: Deadline, *, problem: Callable[[Database], ExitError | None]
) -> None:
    """Wait until the database answers and ``problem`` finds none. Raises the last one that it found.

    A schema that is newer than this release stays so: there is nothing to wait for.
    """
    while (found := _found(database, problem)) is not None:
        if found.status == NEWER or not deadline.wait(str(found)):
            raise found


def _found(database: Database, problem: Callable[[Database], ExitError | None]) -> ExitError | None:
    try:
        return problem(database)
    except SQLAlchemyError as error:
        text = without_secrets(error, database.engine.url)
        return ExitError(f"{database.name} does not answer: {text}", status=UNREACHABLE)


def newer(database: Database, schema: Schema) -> ExitError:
    """The schema is one that this release does not know."""
    return ExitError(
        f"the schema of {database.name} is newer than this release: it is at {schema.found}, and this "
        f"MLflow knows up to {schema.needed}",
        status=NEWER,
    )


def say(text: str) -> None:
    """One line about what happens, for the log of a pod."""
    sys.stderr.write(f"{PROGRAM}: {text}\n")
    sys.stderr.flush()
