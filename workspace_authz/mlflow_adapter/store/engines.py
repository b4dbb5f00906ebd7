"""MLflow's databases: those of a worker's stores, and the same ones opened by the CLI."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final, TypeAlias

from mlflow.exceptions import MlflowException
from mlflow.server import handlers
from mlflow.store.db import utils
from sqlalchemy import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.orm import Session

from workspace_authz.errors import ConfigurationError, UnavailableError
from workspace_authz.mlflow_adapter.drivers import INSTALL

_CONNECT_SECONDS: Final = 5
_WITH_CONNECT_TIMEOUT: Final = frozenset(
    {"postgresql+psycopg2", "postgresql+psycopg", "mysql+mysqldb", "mysql+pymysql", "mariadb+pymysql"}
)
"""Drivers that take ``connect_timeout`` in a URL."""
NO_ANSWER: Final = "MLflow's database gave no answer; try again."

Sessions: TypeAlias = Callable[[], AbstractContextManager[Session]]


def registry_sessions() -> Sessions | None:
    """Read-only sessions of the worker's model registry, which may have its own database.

    None if it keeps its data in files. May block: MLflow opens the database when it is first needed.
    """
    return getattr(handlers._get_model_registry_store(), "ManagedSessionMaker", None)


def tracking_sessions() -> Sessions | None:
    """Read-only sessions of the worker's tracking store; otherwise as :func:`registry_sessions`."""
    return getattr(handlers._get_tracking_store(), "ManagedSessionMaker", None)


def tracking_engine() -> Engine | None:
    """The primary database of the worker's tracking store; None if it keeps its data in files.

    May block: MLflow opens the database when it is first needed. Raises :class:`UnavailableError`.
    """
    return _engine_of(handlers._get_tracking_store)


def data_engines() -> tuple[Engine, ...]:
    """Every database in which MLflow keeps objects: the registry may have its own.

    May block. Raises :class:`UnavailableError`.
    """
    engines = (tracking_engine(), _engine_of(handlers._get_model_registry_store))
    return tuple({str(engine.url): engine for engine in engines if engine is not None}.values())


def _engine_of(store: Callable[[], object]) -> Engine | None:
    try:
        return getattr(store(), "engine", None)
    except (SQLAlchemyError, MlflowException) as error:
        raise UnavailableError(NO_ANSWER) from error


@contextmanager
def open_engines(*uris: str) -> Iterator[list[Engine]]:
    """Engines for the databases, each once, opened as the server opens them.

    Raises :class:`ConfigurationError`, also when a database fails within the block.
    """
    engines: list[Engine] = []
    try:
        for uri in dict.fromkeys(uris):
            engines.append(utils.create_sqlalchemy_engine(uri))
            utils._verify_schema(engines[-1])
        yield engines
    except (SQLAlchemyError, MlflowException) as error:
        # Never the text: it may hold the URI, and that a password.
        raise ConfigurationError(
            f"MLflow's database cannot be used ({type(error).__name__}): is it the one of the server, up to "
            "date (`mlflow db upgrade`), and does this machine reach it?"
        ) from error
    finally:
        for engine in engines:
            engine.dispose()


def new_engine(uri: str) -> Engine:
    """An engine of its own for the database, as MLflow makes it, that does not wait long for a connection.

    Nothing is connected yet. Raises :class:`ConfigurationError` for what is no database, and where its driver
    is not installed. The message never holds the URI: it may hold a password.
    """
    try:
        url = make_url(uri)
        kind, driver = url.get_backend_name(), url.get_driver_name()
        if f"{kind}+{driver}" in _WITH_CONNECT_TIMEOUT and "connect_timeout" not in url.query:
            url = url.update_query_dict({"connect_timeout": str(_CONNECT_SECONDS)})
        engine: Engine = utils.create_sqlalchemy_engine(url.render_as_string(hide_password=False))
        return engine
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise ConfigurationError(
            "MLflow's backend store is no database that SQLAlchemy knows: give a URI like "
            "postgresql://USER:PASSWORD@HOST:5432/NAME."
        ) from error
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"The Python module {error.name}, the driver for {uri.partition(':')[0]}:, is not installed. "
            f"{INSTALL} brings those for postgresql+psycopg2: and mysql+pymysql:"
        ) from error


def make_directory(url: URL) -> None:
    """Make the directory of a SQLite file, as MLflow does."""
    utils._make_parent_dirs_if_sqlite(url.render_as_string(hide_password=False))


def without_secrets(error: Exception, url: URL) -> str:
    """What a driver says, in one line and without the password, for an operator's log."""
    said = str(getattr(error, "orig", None) or error).strip()
    text = " ".join((said.splitlines() or [type(error).__name__])[0].split())
    secrets = [url.password, *(value for key, value in url.query.items() if "pass" in key)]
    for secret in filter(None, secrets):
        text = text.replace(str(secret), "***")
    return text
