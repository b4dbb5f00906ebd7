"""MLflow's databases, opened as the server opens them, for a process that is no server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mlflow.exceptions import MlflowException
from mlflow.store.db.utils import _verify_schema, create_sqlalchemy_engine
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from workspace_authz.errors import ConfigurationError


@contextmanager
def open_engines(*uris: str) -> Iterator[list[Engine]]:
    """Engines for the databases, each once. Raises :class:`ConfigurationError`, also for failures within."""
    engines: list[Engine] = []
    try:
        for uri in dict.fromkeys(uris):
            engines.append(create_sqlalchemy_engine(uri))
            _verify_schema(engines[-1])
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
