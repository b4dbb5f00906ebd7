"""Short questions to MLflow's stores: do they answer now? Sentences for strangers: they name no address.

Each question may block, and is asked over a connection of its own.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mlflow.exceptions import MlflowException
from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError

from workspace_authz.errors import ConfigurationError
from workspace_authz.mlflow_adapter.compat import optional_module
from workspace_authz.mlflow_adapter.drivers import client_errors, missing_driver
from workspace_authz.mlflow_adapter.reading.places import PROXIED, scheme_of
from workspace_authz.mlflow_adapter.store.engines import new_engine, without_secrets

artifact_repository_registry = optional_module("mlflow.store.artifact.artifact_repository_registry")
file_utils = optional_module("mlflow.utils.file_utils")

_log = logging.getLogger(__name__)

_ELSEWHERE: Final = "workspace-authz-no-such-folder"
"""Listing a folder that is not there costs nothing, and shows that the store is."""
_MISSING: Final = frozenset({"NoSuchBucket", "NotFound", "ContainerNotFound", "ResourceNotFoundError"})
_REFUSED: Final = frozenset(
    {
        *("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"),
        *("403", "Forbidden", "Unauthorized", "ClientAuthenticationError", "AuthenticationFailed"),
    }
)
_NO_CREDENTIALS: Final = frozenset(
    {"NoCredentialsError", "PartialCredentialsError", "DefaultCredentialsError"}
)


@dataclass(slots=True)
class DatabaseQuestion:
    """Whether a database answers. ``what`` names it for strangers: "The database"."""

    uri: str = field(repr=False)
    what: str
    _engine: Engine | None = field(default=None, init=False, repr=False)

    def ask(self) -> str | None:
        """None if it answers, else a sentence."""
        try:
            engine = self._engine = self._engine or new_engine(self.uri)
        except ConfigurationError as error:
            return str(error)
        try:
            with engine.connect() as connection:
                connection.execute(select(1))
        except SQLAlchemyError as error:
            _log.warning("%s does not answer: %s", self.what, without_secrets(error, engine.url))
            return f"{self.what} does not answer."
        return None


@dataclass(frozen=True, slots=True)
class ArtifactQuestion:
    """Whether the store of artifacts answers, and takes the server's credentials."""

    uri: str

    def ask(self) -> str | None:
        """None if it answers, else a sentence."""
        scheme = scheme_of(self.uri)
        if scheme in ("", "file"):
            return _directory_problem(Path(file_utils.local_file_uri_to_path(self.uri)))
        if module := missing_driver(self.uri):
            return f"The Python module {module}, with which the artifact store is reached, is not installed."
        try:
            artifact_repository_registry.get_artifact_repository(self.uri).list_artifacts(_ELSEWHERE)
        except (OSError, MlflowException, ImportError, ValueError, *client_errors()) as error:
            _log.warning("the artifact store does not answer: %s", error)
            return artifact_problem(error)
        return None


def artifact_problem(error: BaseException) -> str:
    """What a store's client complains about, as a sentence that names no address."""
    words = {word for each in _chain(error) for word in (type(each).__name__, _code(each))}
    if words & _MISSING:
        return "The bucket of the artifact store does not exist."
    if words & _NO_CREDENTIALS:
        return "The server has no credentials for the artifact store."
    if words & _REFUSED:
        return "The artifact store refuses the server's credentials."
    if isinstance(error, MlflowException):
        return "The artifact store cannot be used."
    return "The artifact store does not answer."


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _code(error: BaseException) -> str:
    """The code in the answer of an S3 server, as botocore hands it over."""
    response = getattr(error, "response", None)
    found = response.get("Error") if isinstance(response, dict) else None
    return str(found.get("Code")) if isinstance(found, dict) else ""


def _directory_problem(directory: Path) -> str | None:
    """MLflow makes the directory when it first writes."""
    there = next(each for each in (directory, *directory.resolve().parents) if each.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        return "The directory of the artifacts cannot be written to."
    return None


def database_questions(databases: Mapping[str, str]) -> Iterator[DatabaseQuestion]:
    """One question for each database on a server. ``databases`` has URIs by name.

    Files have nobody to ask.
    """
    asked = set[str]()
    for what, uri in databases.items():
        if uri not in asked and not uri.startswith("sqlite") and "://" in uri and scheme_of(uri) != "file":
            asked.add(uri)
            yield DatabaseQuestion(uri, what)


def artifact_question(destination: str | None) -> ArtifactQuestion | None:
    """The question to the store that the server keeps artifacts in; None where it keeps none."""
    if not destination or scheme_of(destination) in (PROXIED, "http", "https"):
        return None
    return ArtifactQuestion(destination)
