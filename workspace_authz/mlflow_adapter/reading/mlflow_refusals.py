"""What MLflow itself answers to a request of the wrong form: in its own code, so in its own words.

A handler begins with ``handlers._get_request_message``, which reads the request and checks it against the
handler's schema. Here a handler runs up to there and no further: a copy of it, in whose globals that function
ends it and the stores are out of reach.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cache
from types import FunctionType
from typing import Any, Final, NoReturn
from urllib.parse import unquote

from flask import Flask
from mlflow.exceptions import MlflowException
from mlflow.server import handlers
from mlflow.utils import uri
from werkzeug.exceptions import HTTPException

from workspace_authz.catalog.model import Route
from workspace_authz.errors import MlflowRefusedError
from workspace_authz.mlflow_adapter.reading.messages import Headers, environ_of, refused_by_mlflow

MESSAGE: Final = "_get_request_message"
STORES: Final = ("_get_tracking_store", "_get_model_registry_store", "_get_workspace_store", "_get_job_store")
_PLACED: Final = "_get_workspace_scoped_repo_path_if_enabled"
"""Needs MLflow's active workspace, and stands before some messages."""
_LONGEST_PATH: Final = 1024
"""Characters. ``validate_path_is_safe`` takes quadratic time for some paths."""


class _AcceptedError(Exception):
    """The handler has accepted the form of its request, or wants more than that."""


_NO_REFUSAL: Final = (
    *(_AcceptedError, HTTPException, ValueError, TypeError, AttributeError, LookupError),
    *(AssertionError, RecursionError),
)
"""The last ones are failures of MLflow's, which end in 500 there."""


def refusal_of(
    route: Route, *, method: str, query: bytes, headers: Headers, body: bytes
) -> MlflowRefusedError | None:
    """What the handler of ``route`` answers because of the form of the request; None where it accepts it.

    Also None where MLflow would fail (500), and for handlers that read their request in another way.
    """
    handler = _handlers().get(route.operation)
    if handler is None:
        return None
    environ = environ_of(method=method, query=query, headers=headers, body=body)
    try:
        with _app().request_context(environ):
            _until_read(handler)
    except MlflowException as error:
        return refused_by_mlflow(error)
    except _NO_REFUSAL:
        return None
    return None


def path_refusal(path: str) -> MlflowRefusedError | None:
    """What MLflow answers to an artifact path that it does not take; None where it takes the path."""
    validate = getattr(uri, "validate_path_is_safe", None)
    if validate is None or len(path) > _LONGEST_PATH or not unquote(path).isascii():
        return None
    try:
        validate(path)
    except MlflowException as error:
        return refused_by_mlflow(error)
    except ValueError:
        return None
    return None


@cache
def _app() -> Flask:
    """Only for the context of a request."""
    return Flask(__name__)


@cache
def _handlers() -> Mapping[str, FunctionType]:
    """Each handler that begins so, by its operation, without its decorators."""
    found: dict[str, FunctionType] = {}
    # Without the table, as a later MLflow may be, refusals are in our words.
    for message, handler in getattr(handlers, "HANDLERS", {}).items():
        function = inspect.unwrap(handler)
        if MESSAGE in function.__code__.co_names:
            found.setdefault(message.DESCRIPTOR.name, function)
    return found


def _until_read(handler: FunctionType) -> None:
    """Run ``handler`` until it has read its request. Raises what it raises, or :class:`_AcceptedError`."""

    def read(*arguments: Any, **named: Any) -> NoReturn:
        handlers._get_request_message(*arguments, **named)
        raise _AcceptedError

    def out_of_reach(*_: object, **__: object) -> NoReturn:
        raise _AcceptedError

    copy = FunctionType(
        handler.__code__,
        {**vars(handlers), **dict.fromkeys((*STORES, _PLACED), out_of_reach), MESSAGE: read},
        handler.__name__,
        handler.__defaults__,
        handler.__closure__,
    )
    copy(*("" for _ in inspect.signature(handler).parameters))
