"""``workspace-authz database check``: for an init container. Changes nothing."""

from __future__ import annotations

import argparse

from workspace_authz.cli.database.databases import (
    OUTDATED,
    Database,
    Deadline,
    newer,
    open_databases,
    wait_until,
)
from workspace_authz.cli.options import OK
from workspace_authz.cli.output import print_lines
from workspace_authz.database.schema import is_current
from workspace_authz.errors import ExitError
from workspace_authz.mlflow_adapter.store.schema import Schema, SchemaState, read_schema

_REMEDY = "run `workspace-authz database upgrade`"


def run(options: argparse.Namespace) -> int:
    """Wait for the schema of each database. Returns the exit status.

    Raises :class:`ConfigurationError`, and :class:`ExitError` where it does not come in time.
    """
    deadline = Deadline(options.wait)
    with open_databases(options) as databases:
        for database in databases:
            wait_until(database, deadline, problem=_problem)
            print_lines([f"{database.name} has the schema that this release needs"])
    return OK


def _problem(database: Database) -> ExitError | None:
    """Raises ``SQLAlchemyError``."""
    schema = read_schema(database.engine)
    if schema.state is not SchemaState.CURRENT:
        return _not_current(database, schema)
    if database.holds_ours and not is_current(database.engine):
        text = f"the tables of workspace-authz in {database.name} are missing or older than this release"
        return ExitError(f"{text}: {_REMEDY}", status=OUTDATED)
    return None


def _not_current(database: Database, schema: Schema) -> ExitError:
    if schema.state is SchemaState.NEWER:
        return newer(database, schema)
    if schema.state is SchemaState.ABSENT:
        return ExitError(f"{database.name} has no schema of MLflow's yet: {_REMEDY}", status=OUTDATED)
    return ExitError(
        f"the schema of {database.name} is older than this release: it is at {schema.found}, and this "
        f"MLflow needs {schema.needed}: {_REMEDY}",
        status=OUTDATED,
    )
