"""MLflow's own hooks say who is calling, also for what its handlers do by themselves."""

from __future__ import annotations

import contextlib
import contextvars
import getpass
from collections.abc import Iterator
from pathlib import Path

import flask
import mlflow
import pytest
from mlflow.entities.gateway_budget_policy import BudgetTargetScope
from mlflow.exceptions import MlflowException
from mlflow.server import handlers
from mlflow.server.jobs import _current_authenticated_user
from mlflow.tracking.context import registry

from workspace_authz.mlflow_adapter.patches.attribution import (
    CurrentUserClient,
    CurrentUserRunContext,
    apply,
    current_username,
)
from workspace_authz.mlflow_adapter.serving import current_user
from workspace_authz.types import UserInfo

ACCOUNT = "system:serviceaccount:team-a:trainer"


@pytest.fixture
def app() -> Iterator[flask.Flask]:
    """A Flask app that says whom it knows; MLflow is as it was afterwards."""
    app = flask.Flask("people")
    providers = [*registry._run_context_provider_registry._registry]
    before = handlers._get_user, handlers.MlflowClient, handlers._is_server_auth_enabled

    @app.get("/")
    def who() -> list[str | None]:
        sent = flask.request.authorization
        return [
            handlers._get_request_username(),
            _current_authenticated_user(),
            sent.username if sent else None,
            flask.request.headers.get("Authorization"),
        ]

    apply(app)
    yield app
    handlers._get_user, handlers.MlflowClient, handlers._is_server_auth_enabled = before
    registry._run_context_provider_registry._registry[:] = providers


@contextlib.contextmanager
def called_by(name: str) -> Iterator[None]:
    token = current_user.set(UserInfo(name))
    yield
    current_user.reset(token)


def test_flask_knows_the_caller_and_the_header_is_as_it_was(app: flask.Flask) -> None:
    headers = {"Authorization": "Bearer of-a-provider"}
    with called_by(ACCOUNT):
        answer = app.test_client().get("/", headers=headers)
    assert answer.json == [ACCOUNT, ACCOUNT, ACCOUNT, "Bearer of-a-provider"]


def test_nobody_is_nobody(app: flask.Flask) -> None:
    assert app.test_client().get("/").json == [None, None, None, None]


def test_it_is_applied_once(app: flask.Flask) -> None:
    apply(app)
    assert len(app.before_request_funcs[None]) == 1
    providers = [type(one) for one in registry._run_context_provider_registry]
    assert providers.count(CurrentUserRunContext) == 1


def test_what_a_handler_makes_is_the_callers(app: flask.Flask) -> None:
    assert handlers._get_user is current_username
    with called_by(ACCOUNT):
        assert handlers._get_user() == ACCOUNT
    assert handlers._get_user() == getpass.getuser()


def test_a_worker_thread_of_a_request_knows_its_caller() -> None:
    with called_by("alice"):
        context = contextvars.copy_context()
    assert context.run(current_username) == "alice"


def test_runs_that_the_server_starts_are_the_callers(app: flask.Flask, tmp_path: Path) -> None:
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'mlflow.db'}")
    try:
        client = handlers.MlflowClient()
        assert isinstance(client, CurrentUserClient)
        experiment = client.create_experiment("e", artifact_location=str(tmp_path))
        with called_by(ACCOUNT):
            made = client.create_run(experiment, tags={"a": "1", "mlflow.user": "carol"})
            with mlflow.start_run(experiment_id=experiment) as started:
                pass
        assert (made.info.user_id, made.data.tags["mlflow.user"], made.data.tags["a"]) == (
            ACCOUNT,
            ACCOUNT,
            "1",
        )
        again = mlflow.get_run(started.info.run_id)
        assert (again.info.user_id, again.data.tags["mlflow.user"]) == (ACCOUNT, ACCOUNT)
    finally:
        mlflow.set_tracking_uri(None)


def test_a_budget_for_one_user_is_accepted(app: flask.Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow refuses it where it believes that nobody authenticates, as without ``mlflow.server.auth``."""
    monkeypatch.setattr(handlers, "_is_server_auth_enabled", lambda: False)
    with pytest.raises(MlflowException, match="require server authentication"):
        handlers._assert_user_scope_enforceable(BudgetTargetScope.USER)
    apply(app)
    handlers._assert_user_scope_enforceable(BudgetTargetScope.USER)
