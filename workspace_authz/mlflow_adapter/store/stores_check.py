"""Whether the stores of a server can be used, for ``workspace-authz check``: reads the server's environment.

Runs as a process of its own (``python -m``), because it imports MLflow. Prints a list of findings as JSON.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from workspace_authz.errors import ConfigurationError
from workspace_authz.mlflow_adapter.compat import optional_module
from workspace_authz.mlflow_adapter.drivers import INSTALL, client_errors, missing_driver
from workspace_authz.mlflow_adapter.reading.places import scheme_of
from workspace_authz.mlflow_adapter.store.engines import new_engine, without_secrets
from workspace_authz.mlflow_adapter.store.questions import artifact_problem
from workspace_authz.mlflow_adapter.store.schema import SchemaState, read_schema

artifact_repository_registry = optional_module("mlflow.store.artifact.artifact_repository_registry")

_FOLDER: Final = "workspace-authz-check"
_UPGRADE: Final = "workspace-authz database upgrade"

Found = dict[str, str]


def findings(environ: Mapping[str, str]) -> Iterator[Found]:
    """One finding for each store."""
    backend = environ.get("MLFLOW_BACKEND_STORE_URI")
    for uri in dict.fromkeys(filter(None, (backend, environ.get("MLFLOW_REGISTRY_STORE_URI")))):
        yield _database(str(uri))
    if destination := environ.get("MLFLOW_ARTIFACTS_DESTINATION"):
        yield _artifacts(destination)


def _database(uri: str) -> Found:
    check = "database"
    try:
        engine = new_engine(uri)
    except ConfigurationError as error:
        return _failing(check, str(error), fix="change MLFLOW_BACKEND_STORE_URI, or the image")
    try:
        schema = read_schema(engine)
    except SQLAlchemyError as error:
        what = f"it does not answer: {without_secrets(error, engine.url)}"
        return _failing(check, what, fix="look at the database, its address and the network policy")
    finally:
        engine.dispose()
    if schema.state is SchemaState.CURRENT:
        if engine.driver == "psycopg":
            # Seen with MLflow 3.17.2, which compares experiments' numbers with texts there.
            what = "it answers, but MLflow 3.17 cannot add a dataset to experiments by psycopg 3"
            return _warning(check, what, fix="write the URI as postgresql+psycopg2:")
        return _ok(check, f"{engine.dialect.name} answers, and its schema is this release's")
    if schema.state is SchemaState.NEWER:
        what = f"its schema ({schema.found}) is newer than this release ({schema.needed})"
        return _failing(check, what, fix="run the newer release, or restore the backup from before it")
    what = f"its schema is {schema.state}: found {schema.found}, needed {schema.needed}"
    return _failing(check, what, fix=_UPGRADE)


def _artifacts(destination: str) -> Found:
    """Write a small object, read it and delete it."""
    check = "artifacts"
    if module := missing_driver(destination):
        what = f"the Python module {module} for {scheme_of(destination)}: is not installed"
        return _failing(check, what, fix=INSTALL)
    name = f"{secrets.token_hex(8)}.txt"
    try:
        with tempfile.TemporaryDirectory() as directory:
            repository = artifact_repository_registry.get_artifact_repository(destination)
            file = Path(directory) / name
            file.write_text(name)
            repository.log_artifact(str(file), _FOLDER)
            read = Path(repository.download_artifacts(f"{_FOLDER}/{name}", directory)).read_text()
            repository.delete_artifacts(f"{_FOLDER}/{name}")
    except (OSError, MlflowException, ValueError, ImportError, *client_errors()) as error:
        what = f"an object could not be written, read and deleted: {artifact_problem(error)}"
        fix = f"look at the bucket's policy and the server's credentials; {type(error).__name__}"
        return _failing(check, what, fix=fix)
    if read != name:
        return _failing(check, "an object was read otherwise than it was written", fix="look at the store")
    return _ok(check, "an object was written, read and deleted")


def _ok(check: str, what: str) -> Found:
    return {"check": check, "level": "ok", "what": what, "fix": ""}


def _warning(check: str, what: str, *, fix: str) -> Found:
    return {"check": check, "level": "warning", "what": what, "fix": fix}


def _failing(check: str, what: str, *, fix: str) -> Found:
    return {"check": check, "level": "failing", "what": what, "fix": fix}


if __name__ == "__main__":
    json.dump(list(findings(os.environ)), sys.stdout)
