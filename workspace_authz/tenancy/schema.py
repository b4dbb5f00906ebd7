"""Our tables in MLflow's database, and bringing them up to date."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    LargeBinary,
    MetaData,
    String,
    Table,
    func,
    select,
)

VERSION_TABLE: Final = "alembic_version_workspace_authz"
"""Begins like MLflow's own: ``mlflow.store.db.utils`` takes no table of that kind for data."""

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_LOCK_NUMBER: Final = 0x77737A61
_LOCK_NAME: Final = "workspace_authz_migrations"
_LOCK_SECONDS: Final = 60

METADATA: Final = MetaData()

BINDINGS: Final = Table(
    "workspace_authz_bindings",
    METADATA,
    Column("workspace", String(63), primary_key=True),
    # Empty: there was no such namespace when its data were found.
    Column("namespace_uid", String(64), nullable=False),
    Column("reason", String(16), nullable=False),
    # The Kubernetes user who adopted; empty where the server bound by itself.
    Column("bound_by", String(255), nullable=False),
    # Milliseconds since the epoch, as MLflow has its times.
    Column("bound_at", BigInteger, nullable=False),
)

KEYS: Final = Table(
    "workspace_authz_keys",
    METADATA,
    Column("purpose", String(64), primary_key=True),
    Column("value", LargeBinary(64), nullable=False),
    Column("made_at", BigInteger, nullable=False),
)


def migrate(engine: Engine) -> None:
    """Make or change our tables if they are older than this release; safe when several processes do it.

    A newer release only adds to the tables, so those of a newer one are left alone: replicas of two
    releases may run side by side. Raises ``SQLAlchemyError``.
    """
    script = ScriptDirectory(str(_MIGRATIONS))
    known = [revision.revision for revision in script.walk_revisions()]
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        current = context.get_current_revision()
    if current == known[0] or (current is not None and current not in known):
        return
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    with engine.begin() as connection, _alone(connection):
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """Keep other workers and replicas waiting. Where a database has no lock, the later one fails and is
    tried again: each step of a migration is skipped if it was done already."""
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
