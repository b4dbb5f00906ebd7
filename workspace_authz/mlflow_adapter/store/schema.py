"""MLflow's schema of a database: what it is, whether it is this release's, and MLflow's own upgrade of it.

Written for MLflow 3.16.1, 3.17.2 and 3.18.0, whose ``mlflow db upgrade`` does the same (``mlflow.db``).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from alembic.script import ScriptDirectory
from alembic.util import CommandError
from mlflow.exceptions import MlflowException
from mlflow.store.db import utils
from sqlalchemy import Engine, inspect
from sqlalchemy.exc import SQLAlchemyError

_EXPERIMENTS = "experiments"
"""A table of every release."""


class SchemaState(StrEnum):
    """A database's schema, compared with the one that the installed MLflow needs."""

    ABSENT = "absent"
    OLDER = "older"
    CURRENT = "current"
    NEWER = "newer"


@dataclass(frozen=True, slots=True)
class Schema:
    """A database's schema at one moment, by the revisions of MLflow's migrations."""

    state: SchemaState
    found: str | None
    """None where there is no schema, or one from before revisions were kept."""
    needed: str


class UpgradeError(Exception):
    """A migration failed."""


def read_schema(engine: Engine) -> Schema:
    """Compare the schema. Raises ``SQLAlchemyError``."""
    script = ScriptDirectory.from_config(utils._get_alembic_config(""))
    (needed,) = script.get_heads()
    if _is_missing_file(engine):
        return Schema(SchemaState.ABSENT, None, needed)
    found = utils._get_schema_version(engine)
    if found is None:
        there = inspect(engine).has_table(_EXPERIMENTS)
        return Schema(SchemaState.OLDER if there else SchemaState.ABSENT, None, needed)
    if found == needed:
        return Schema(SchemaState.CURRENT, found, needed)
    known = {revision.revision for revision in script.walk_revisions()}
    return Schema(SchemaState.OLDER if found in known else SchemaState.NEWER, found, needed)


def upgrade_schema(engine: Engine, schema: Schema) -> None:
    """Bring ``schema`` up to date, or make it. Raises :class:`UpgradeError`."""
    try:
        if schema.state is SchemaState.ABSENT:
            utils._initialize_tables(engine)
        else:
            utils._upgrade_db(engine)
    # MLflow's migrations raise RuntimeError where they find data that they cannot change.
    except (SQLAlchemyError, CommandError, MlflowException, RuntimeError) as error:
        raise UpgradeError(str(error)) from error


def _is_missing_file(engine: Engine) -> bool:
    """Whether it is a SQLite file that is not there. Connecting would make an empty one."""
    database = engine.url.database
    if engine.dialect.name != "sqlite" or database in (None, "", ":memory:"):
        return False
    return not Path(str(database)).exists()
