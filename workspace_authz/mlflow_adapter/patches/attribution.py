"""MLflow's own hooks for who is calling, filled with the guard's answer (MLflow 3.17.2).

``request.state`` is filled by the guard; it does not reach Flask, where handlers look at ``flask.g`` (owners
of review queues, creators of jobs) and ``request.authorization`` (the user in whose name a job works). The
header stays as it is: a service account's name holds colons, which Basic credentials cannot.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import flask
from mlflow.client import MlflowClient
from mlflow.entities import Run
from mlflow.server import handlers
from mlflow.tracking.context import registry
from mlflow.tracking.context.abstract_context import RunContextProvider
from mlflow.tracking.context.default_context import _get_user
from werkzeug.datastructures import Authorization

from workspace_authz.mlflow_adapter.serving import current_user

_USER_TAG: Final = "mlflow.user"


def fill_hooks(app: flask.Flask) -> None:
    """Let MLflow's Flask app, and what its handlers do in this process, know the caller."""
    functions = app.before_request_funcs.setdefault(None, [])
    if announce_caller not in functions:
        functions.insert(0, announce_caller)
    providers = registry._run_context_provider_registry
    if not any(isinstance(provider, CallersRunContext) for provider in providers):
        providers.register(CallersRunContext)
    # For guardrails and runs that handlers make themselves there is no hook: they ask for the process's user.
    handlers._get_user = callers_name
    handlers.MlflowClient = CallersClient
    handlers._is_server_auth_enabled = callers_are_known


def announce_caller() -> None:
    """Before a request of Flask's: who is calling."""
    user = current_user.get()
    if user is not None:
        flask.g.mlflow_authenticated_user = user.username
        flask.request.authorization = Authorization("kubernetes", {"username": user.username})


def callers_name() -> str:
    """The caller; outside of requests the process's user, as in MLflow."""
    user = current_user.get()
    name: str = user.username if user is not None else _get_user()
    return name


def callers_are_known() -> bool:
    """Whether calls of the AI gateway have a user: MLflow takes no budget for one otherwise."""
    return True


class CallersRunContext(RunContextProvider):  # type: ignore[misc]  # MLflow is not followed by mypy
    """Tags of runs that the server starts for a request, as issue detection does."""

    def in_context(self) -> bool:
        """Whether a request is being served."""
        return current_user.get() is not None

    def tags(self) -> dict[str, str]:
        """The caller."""
        return {_USER_TAG: callers_name()}


class CallersClient(MlflowClient):  # type: ignore[misc]  # MLflow is not followed by mypy
    """The client with which handlers make runs for their caller, as an evaluation does."""

    def create_run(
        self,
        experiment_id: str,
        start_time: int | None = None,
        tags: Mapping[str, Any] | None = None,
        run_name: str | None = None,
    ) -> Run:
        """As MLflow's, in the caller's name."""
        return super().create_run(
            experiment_id, start_time, {**(tags or {}), _USER_TAG: callers_name()}, run_name
        )
