"""``workspace-authz database upgrade``: MLflow's own upgrade, then our tables, by one process at a time."""

from __future__ import annotations

import argparse

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from workspace_authz.cli.database.databases import (
    FAILED,
    LOCKED,
    Database,
    Deadline,
    newer,
    open_databases,
    say,
    wait_until,
)
from workspace_authz.cli.options import OK
from workspace_authz.cli.output import print_lines
from workspace_authz.database.schema import migrate
from workspace_authz.database.upgrade_lock import upgrade_lock
from workspace_authz.errors import ExitError
from workspace_authz.mlflow_adapter.store.engines import make_directory, without_secrets
from workspace_authz.mlflow_adapter.store.schema import SchemaState, UpgradeError, read_schema, upgrade_schema


def run(options: argparse.Namespace) -> int:
    """Upgrade each database. Returns the exit status.

    Raises :class:`ConfigurationError`, and :class:`ExitError` where one cannot be upgraded.
    """
    deadline = Deadline(options.wait)
    with open_databases(options) as databases:
        for database in databases:
            make_directory(database.engine.url)
            wait_until(database, deadline, problem=_unanswered)
        for database in databases:
            _upgrade(database)
    return OK


def _unanswered(database: Database) -> None:
    """Raises ``SQLAlchemyError`` unless the database answers."""
    with database.engine.connect() as connection:
        connection.execute(select(1))


def _upgrade(database: Database) -> None:
    try:
        with upgrade_lock(database.engine) as mine:
            if not mine:
                raise ExitError(f"another upgrade of {database.name} is running", status=LOCKED)
            _upgrade_mlflow(database)
            if database.holds_ours:
                migrate(database.engine)
    except (SQLAlchemyError, OSError, UpgradeError) as error:
        text = without_secrets(error, database.engine.url)
        raise ExitError(f"the upgrade of {database.name} failed: {text}", status=FAILED) from error


def _upgrade_mlflow(database: Database) -> None:
    schema = read_schema(database.engine)
    if schema.state is SchemaState.NEWER:
        raise newer(database, schema)
    if schema.state is SchemaState.CURRENT:
        print_lines([f"{database.name} is up to date at {schema.needed}"])
        return
    begin = schema.found or ("the first one" if schema.state is SchemaState.OLDER else "nothing")
    say(f"upgrading {database.name} from {begin} to {schema.needed}")
    upgrade_schema(database.engine, schema)
    print_lines([f"{database.name} was upgraded to {schema.needed}"])
