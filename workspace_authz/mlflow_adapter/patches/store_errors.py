"""What callers are told of errors of MLflow's stores (MLflow 3.16.1, 3.17.2 and 3.18.0).

``mlflow.store.db.utils`` makes the text of a database driver's error the message of its answer: it raises
``MlflowException(message=error)`` for any ``SQLAlchemyError``. Without this patch a caller reads the address
of the database, its user and the statement, in GraphQL with status 200, and an error of an artifact store's
client becomes a 500 in HTML. With it both become a sentence with a reference, and the log has the error
itself under that reference.
"""

from __future__ import annotations

import functools
import json
import logging
import re
import secrets
from collections.abc import Callable
from typing import Any, Final

from flask import Flask, Response
from mlflow.exceptions import MlflowException
from mlflow.protos import databricks_pb2
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnectionError
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from werkzeug.exceptions import HTTPException

from workspace_authz.mlflow_adapter.drivers import client_errors
from workspace_authz.mlflow_adapter.store.questions import artifact_problem

_log = logging.getLogger(__name__)

_AWAY: Final = (OperationalError, InterfaceError, NoConnectionError)
"""The database did not answer, or gave up."""
_TEXTS: Final = re.compile(
    r"sqlalche\.me/|\((?:psycopg2?|pymysql|MySQLdb|sqlite3|pyodbc)\.|endpoint URL|botocore\."
)
"""What gives an error of a client away that was made a part of a longer message."""
_PASSWORD: Final = re.compile(r"(://[^:/?#@\s]*:)[^@/\s]+@")


def apply(app: Flask) -> None:
    """Patch MLflow's exception, and have ``app`` answer errors of stores."""
    given = MlflowException.__init__
    if not getattr(given, "replaces_texts", False):
        MlflowException.__init__ = _replacing(given)
    app.register_error_handler(Exception, _flask_answer)


def _replacing(given: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(given)
    def replacement(
        self: Any, message: object, error_code: Any = databricks_pb2.INTERNAL_ERROR, **others: Any
    ) -> None:
        if isinstance(message, SQLAlchemyError):
            if isinstance(message, _AWAY):
                error_code = databricks_pb2.TEMPORARILY_UNAVAILABLE
            message = _database_sentence(message)
        elif isinstance(message, Exception) and isinstance(message, tuple(client_errors())):
            message = _referred(artifact_problem(message), message)
        elif _TEXTS.search(str(message)):
            message = _without_clients_text(str(message))
        given(self, message, error_code, **others)

    setattr(replacement, "replaces_texts", True)  # noqa: B010 - functions declare no attributes
    return replacement


def _database_sentence(error: SQLAlchemyError) -> str:
    if isinstance(error, DBAPIError) and not isinstance(error, _AWAY):
        # About what the caller sent: a value that is too long, for example. Never the statement.
        said = (str(error.orig).splitlines() or [""])[0].strip()
        return _referred(f"MLflow's database refused this: {said}.", error)
    return _referred("MLflow's database gave no answer; try again.", error)


def _without_clients_text(message: str) -> str:
    """MLflow's own sentence before the client's text ("… already exists. Error: (psycopg2…"), or another."""
    own, client, _ = message.partition(" Error: ")
    if client and not _TEXTS.search(own):
        return own
    return _referred("A store of MLflow's gave an error.", message)


def _referred(sentence: str, error: object) -> str:
    """``sentence`` with a reference, under which the log has ``error``."""
    reference = secrets.token_hex(6)
    text = _PASSWORD.sub(r"\1***@", " ".join(str(error).split()))
    _log.error("reference %s: %s: %s", reference, type(error).__name__, text)
    return f"{sentence} An administrator finds the cause in the log: {reference}."


def _document(error: Exception) -> dict[str, str]:
    """What a caller is told, with status 503, about an error of a store's client."""
    if isinstance(error, SQLAlchemyError):
        message = _database_sentence(error)
    else:
        message = _referred(artifact_problem(error), error)
    return {"error_code": "TEMPORARILY_UNAVAILABLE", "message": message}


def _store_errors() -> tuple[type[Exception], ...]:
    return SQLAlchemyError, *client_errors()


def _flask_answer(error: Exception) -> Any:
    if isinstance(error, HTTPException):
        return error  # as Flask without a handler
    if not isinstance(error, _store_errors()):
        raise error
    return Response(json.dumps(_document(error)), 503, mimetype="application/json")


class StoreErrorsMiddleware:
    """Answers errors of stores that MLflow's native routes let through."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except _store_errors() as error:
            if started or scope["type"] != "http":
                raise
            await JSONResponse(_document(error), 503)(scope, receive, send)
