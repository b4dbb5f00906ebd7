"""The lock in a database that only one upgrade holds at a time."""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, func, select

_NUMBER: Final = 0x77737A75
_NAME: Final = "workspace_authz_upgrade"
LOCKED_KINDS: Final = ("postgresql", "mysql", "mariadb", "sqlite")
"""The dialects of databases in which there is such a lock."""


@contextmanager
def upgrade_lock(engine: Engine) -> Iterator[bool]:
    """Whether this process has the lock now; it is released at the end, or when the process ends.

    Raises ``SQLAlchemyError``, or ``OSError`` beside a SQLite file.
    """
    if engine.dialect.name == "sqlite":
        with _file_lock(engine) as mine:
            yield mine
        return
    # One transaction from begin to end, so that a pooler (PgBouncer) keeps the session.
    with engine.connect() as connection, connection.begin():
        mine = _take(connection)
        try:
            yield mine
        finally:
            _release(connection, mine=mine)


def _take(connection: Connection) -> bool:
    if connection.dialect.name == "postgresql":
        # The transaction is idle while another connection migrates.
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        return bool(connection.execute(select(func.pg_try_advisory_xact_lock(_NUMBER))).scalar_one())
    return bool(connection.execute(select(func.get_lock(_name_of(connection), 0))).scalar_one())


def _release(connection: Connection, *, mine: bool) -> None:
    if mine and connection.dialect.name != "postgresql":
        connection.execute(select(func.release_lock(_name_of(connection))))


def _name_of(connection: Connection) -> str:
    """MySQL's locks are the whole server's, and their names short."""
    database = connection.engine.url.database or ""
    return f"{_NAME}_{hashlib.sha256(database.encode()).hexdigest()[:16]}"


@contextmanager
def _file_lock(engine: Engine) -> Iterator[bool]:
    """A lock on a file beside SQLite's: one in the database would keep MLflow's second connection out.

    The file stays: deleting it would let two processes lock two files of one name.
    """
    database = engine.url.database
    if database in (None, "", ":memory:"):
        yield True
        return
    with Path(f"{database}.upgrade-lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
