"""Our tables in MLflow's database: what they are, their migrations, and inserting into them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    func,
    insert,
    select,
)
from sqlalchemy.exc import IntegrityError

VERSION_TABLE: Final = "alembic_version_workspace_authz"
"""Begins like MLflow's own: ``mlflow.store.db.utils`` takes no table of that kind for data."""

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_LOCK_NUMBER: Final = 0x77737A61
_LOCK_NAME: Final = "workspace_authz_migrations"
_LOCK_SECONDS: Final = 60

METADATA: Final = MetaData()

CLAIMS: Final = Table(
    "workspace_authz_tenancy",
    METADATA,
    Column("workspace", String(63), primary_key=True),
    # Empty: there was no such namespace when the data were found.
    Column("namespace_uid", String(64), nullable=False),
    Column("reason", String(16), nullable=False),
    # The Kubernetes user who adopted; empty where the server made the claim by itself.
    Column("claimed_by", String(255), nullable=False),
    # Milliseconds since the epoch, the unit of MLflow's own times.
    Column("claimed_at", BigInteger, nullable=False),
)

KEYS: Final = Table(
    "workspace_authz_keys",
    METADATA,
    Column("purpose", String(64), primary_key=True),
    Column("value", LargeBinary(64), nullable=False),
    Column("made_at", BigInteger, nullable=False),
)

SESSIONS: Final = Table(
    "workspace_authz_sessions",
    METADATA,
    # The SHA-256 of the session's id in hexadecimal digits. Who reads the table cannot make a cookie.
    Column("digest", String(64), primary_key=True),
    # The SHA-256 of the user's name, likewise.
    Column("owner", String(64), nullable=False),
    # Encrypted with a key that the database does not hold.
    Column("sealed", LargeBinary(2**24 - 1), nullable=False),
    # All times in milliseconds since the epoch.
    Column("created_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("ends_at", BigInteger, nullable=False),
    # Until then one worker of all replicas renews the session.
    Column("renewing_until", BigInteger, nullable=False),
    # Indexes, in effect. As constraints they come with the table: MySQL has no CREATE INDEX IF NOT EXISTS.
    UniqueConstraint("owner", "digest", name="uq_workspace_authz_sessions_owner"),
    UniqueConstraint("ends_at", "digest", name="uq_workspace_authz_sessions_ends_at"),
)

AUDIT: Final = Table(
    "workspace_authz_audit",
    METADATA,
    # When the row was made, in milliseconds since the epoch, times 2**20, and a number: in order of time.
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    # Empty on a server without workspaces.
    Column("namespace_uid", String(64), nullable=False),
    # The SHA-256 of the user's name in hexadecimal digits: names have any length.
    Column("owner", String(64), nullable=False),
    Column("username", String(255), nullable=False),
    Column("method", String(16), nullable=False),
    Column("operation", String(128), nullable=False),
    # What a request of ours was to change in Kubernetes, in words.
    Column("changed", String(255), nullable=False),
    Column("decision", String(8), nullable=False),
    # 0 where no answer was sent.
    Column("status", Integer, nullable=False),
    Column("code", String(64), nullable=False),
    # JSON in ASCII.
    Column("checks", Text, nullable=False),
    # All times in milliseconds since the epoch.
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("times", Integer, nullable=False),
    # Indexes, in effect, as above.
    UniqueConstraint("namespace_uid", "id", name="uq_workspace_authz_audit_namespace"),
    UniqueConstraint("namespace_uid", "owner", "id", name="uq_workspace_authz_audit_owner"),
)


def migrate(engine: Engine) -> None:
    """Create our tables, or bring older ones up to date. Several processes may do it at the same time.

    A release only ever adds to the tables. So the tables of a newer release are left as they are, and
    replicas of two releases may run side by side. Raises ``SQLAlchemyError``.
    """
    if is_current(engine):
        return
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    with engine.begin() as connection, _migration_lock(connection):
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def is_current(engine: Engine) -> bool:
    """Whether our tables are those of this release, or of a newer one. Raises ``SQLAlchemyError``."""
    known = [revision.revision for revision in ScriptDirectory(str(_MIGRATIONS)).walk_revisions()]
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        current = context.get_current_revision()
    return current == known[0] or (current is not None and current not in known)


def insert_if_absent(engine: Engine, table: Table, *, values: Mapping[str, Any]) -> None:
    """Insert a row unless there is one with its key. Several processes may do it at the same time.

    Whoever reads the row afterwards reads the same one. Raises ``SQLAlchemyError``.
    """
    try:
        with engine.begin() as connection:
            connection.execute(insert(table).values(**values))
    except IntegrityError:
        # Another process was first. It has committed, or this insert would still wait.
        return


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


@contextmanager
def _migration_lock(connection: Connection) -> Iterator[None]:
    """Make other workers and replicas wait until this migration is done.

    Where a database has no lock, the later process fails and tries again. Each step of a migration is
    skipped if it was done already.
    """
    dialect = connection.dialect.name
    if dialect in ("mysql", "mariadb"):
        # MySQL commits before each change of a table, so the lock must not belong to a transaction.
        connection.execute(select(func.get_lock(_LOCK_NAME, _LOCK_SECONDS)))
        try:
            yield
        finally:
            connection.execute(select(func.release_lock(_LOCK_NAME)))
        return
    if dialect == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK_NUMBER)))
    elif dialect == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    yield
