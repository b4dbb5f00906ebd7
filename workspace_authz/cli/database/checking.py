"""``workspace-authz database check``: for an init container. Changes nothing."""

from __future__ import annotations

import argparse

from sqlalchemy.exc import SQLAlchemyError

from workspace_authz.cli.database.databases import (
    NEWER,
    OUTDATED,
    UNREACHABLE,
    Database,
    DatabaseError,
    Deadline,
    open_databases,
    say,
)
from workspace_authz.cli.options import OK
from workspace_authz.cli.output import print_lines
from workspace_authz.database.schema import is_current
from workspace_authz.mlflow_adapter.store.engines import without_secrets
from workspace_authz.mlflow_adapter.store.schema import Schema, SchemaState, read_schema

_REMEDY = "run `workspace-authz database upgrade`"


def run(options: argparse.Namespace) -> int:
    """Wait for the schema of each database. Returns the exit status. Raises :class:`ConfigurationError`."""
    deadline = Deadline(options.wait)
    try:
        with open_databases(options) as databases:
            for database in databases:
                _wait(database, deadline)
    except DatabaseError as error:
        say(str(error))
        return error.status
    return OK


def _wait(database: Database, deadline: Deadline) -> None:
    while (problem := _problem(database)) is not None:
        if problem.status == NEWER or not deadline.wait(str(problem)):
            raise problem
    print_lines([f"{database.name} has the schema that this release needs"])


def _problem(database: Database) -> DatabaseError | None:
    try:
        schema = read_schema(database.engine)
        if schema.state is not SchemaState.CURRENT:
            return _not_current(database, schema)
        if database.holds_ours and not is_current(database.engine):
            text = f"the tables of workspace-authz in {database.name} are missing or older than this release"
            return DatabaseError(f"{text}: {_REMEDY}", status=OUTDATED)
    except SQLAlchemyError as error:
        text = without_secrets(error, database.engine.url)
        return DatabaseError(f"{database.name} does not answer: {text}", status=UNREACHABLE)
    return None


def _not_current(database: Database, schema: Schema) -> DatabaseError:
    if schema.state is SchemaState.NEWER:
        return DatabaseError(
            f"the schema of {database.name} is newer than this release: it is at {schema.found}, and this "
            f"MLflow knows up to {schema.needed}",
            status=NEWER,
        )
    if schema.state is SchemaState.ABSENT:
        return DatabaseError(f"{database.name} has no schema of MLflow's yet: {_REMEDY}", status=OUTDATED)
    return DatabaseError(
        f"the schema of {database.name} is older than this release: it is at {schema.found}, and this "
        f"MLflow needs {schema.needed}: {_REMEDY}",
        status=OUTDATED,
    )
