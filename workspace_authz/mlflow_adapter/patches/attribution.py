"""MLflow's server records the caller as the user (MLflow 3.16.1, 3.17.2 and 3.18.0).

Without this patch MLflow records nobody, or the user of the server's process:

- Flask handlers read ``flask.g.mlflow_authenticated_user`` (owners of review queues, creators of jobs) and
  ``flask.request.authorization`` (the user in whose name a job works). The guard fills ``request.state``,
  which does not reach Flask. The header itself is kept: a service account's name holds colons, which Basic
  credentials cannot hold.
- ``mlflow.server.handlers._get_user`` names the process's user as the creator of guardrails.
- ``mlflow.server.handlers.MlflowClient`` and ``mlflow.start_run`` create runs in the process user's name.
- ``mlflow.server.handlers._is_server_auth_enabled`` is False, and then MLflow refuses budgets for one user.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import flask
from mlflow.client import MlflowClient
from mlflow.entities import Run
from mlflow.server import handlers
from werkzeug.datastructures import Authorization

from workspace_authz.mlflow_adapter.compat import optional_module, replace_attribute
from workspace_authz.mlflow_adapter.serving import current_user

default_context = optional_module("mlflow.tracking.context.default_context")
registry = optional_module("mlflow.tracking.context.registry")

_USER_TAG: Final = "mlflow.user"


def apply(app: flask.Flask) -> None:
    """Patch ``app``, MLflow's Flask app, and the handlers of this process. A second call changes nothing."""
    functions = app.before_request_funcs.setdefault(None, [])
    if set_flask_user not in functions:
        functions.insert(0, set_flask_user)
    providers = getattr(registry, "_run_context_provider_registry", ())
    if hasattr(providers, "register") and not any(
        isinstance(each, CurrentUserRunContext) for each in providers
    ):
        providers.register(CurrentUserRunContext)
    replace_attribute(handlers, "_get_user", by=current_username)
    replace_attribute(handlers, "MlflowClient", by=CurrentUserClient)
    replace_attribute(handlers, "_is_server_auth_enabled", by=is_server_auth_enabled)


def set_flask_user() -> None:
    """Tell Flask's handlers who is calling, before each request."""
    user = current_user.get()
    if user is not None:
        flask.g.mlflow_authenticated_user = user.recorded_name
        flask.request.authorization = Authorization("kubernetes", {"username": user.recorded_name})


def current_username() -> str:
    """The caller's name; outside of requests the process's user, as in MLflow."""
    user = current_user.get()
    name: str = user.recorded_name if user is not None else default_context._get_user()
    return name


def is_server_auth_enabled() -> bool:
    """Whether calls of the AI gateway have a user: always, behind the guard."""
    return True


class CurrentUserRunContext:
    """Tags of runs that the server starts for a request, as issue detection does.

    It is a ``mlflow.tracking.context.abstract_context.RunContextProvider`` by its methods.
    """

    def in_context(self) -> bool:
        """Whether a request is being served."""
        return current_user.get() is not None

    def tags(self) -> dict[str, str]:
        """The caller's name as the run's user."""
        return {_USER_TAG: current_username()}


class CurrentUserClient(MlflowClient):  # type: ignore[misc]  # MLflow is not followed by mypy
    """The client with which handlers create runs for their caller, as an evaluation does."""

    def create_run(
        self,
        experiment_id: str,
        start_time: int | None = None,
        tags: Mapping[str, Any] | None = None,
        run_name: str | None = None,
    ) -> Run:
        """Create a run in the caller's name; otherwise as MLflow's."""
        return super().create_run(
            experiment_id, start_time, {**(tags or {}), _USER_TAG: current_username()}, run_name
        )
