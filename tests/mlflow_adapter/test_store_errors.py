"""What becomes of errors of MLflow's stores before a caller reads them."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from flask import Flask
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST, INTERNAL_ERROR
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DataError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionError

from workspace_authz.mlflow_adapter.patches import store_errors

ADDRESS = "db.internal:5432"
AWAY = OperationalError("SELECT secret", {}, Exception(f"connection to {ADDRESS} failed"))


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Flask:
    """Patched, for as long as the test lasts."""
    monkeypatch.setattr(MlflowException, "__init__", MlflowException.__init__)
    app = Flask("of-mlflow")
    store_errors.apply(app)
    return app


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize(
    ("error", "code"),
    [(AWAY, INTERNAL_ERROR), (NoConnectionError("QueuePool limit of size 5"), BAD_REQUEST)],
)
def test_an_address_is_for_the_log_only(
    error: Exception, code: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        shown = MlflowException(message=error, error_code=code)
    assert shown.message.startswith("MLflow's database gave no answer; try again.")
    assert shown.get_http_status_code() == 503
    reference = shown.message.rpartition(" ")[2].rstrip(".")
    assert f"reference {reference}: {type(error).__name__}: " in caplog.text
    assert str(error).split()[1] in caplog.text


@pytest.mark.usefixtures("app")
def test_what_is_wrong_with_a_value_is_told_without_the_statement() -> None:
    error = DataError("INSERT secret", {"x": "secret"}, Exception("value too long for type varchar(256)"))
    shown = MlflowException(message=error, error_code=BAD_REQUEST)
    assert "refused this: value too long for type varchar(256)." in shown.message
    assert "secret" not in shown.message
    assert shown.get_http_status_code() == 400


@pytest.mark.usefixtures("app")
def test_a_message_around_such_an_error_is_replaced_too() -> None:
    engine = create_engine("sqlite:////no/such/directory/x.db")
    with pytest.raises(OperationalError) as raised, engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    shown = MlflowException(f"Failed to search: {raised.value}")
    assert shown.message.startswith("A store of MLflow's gave an error.")
    assert "sqlite" not in shown.message


@pytest.mark.usefixtures("app")
def test_mlflows_own_sentence_about_a_name_that_is_taken_stays() -> None:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE names (name TEXT UNIQUE)"))
        connection.execute(text("INSERT INTO names VALUES ('prices')"))
        with pytest.raises(IntegrityError) as raised:
            connection.execute(text("INSERT INTO names VALUES ('prices')"))
    engine.dispose()
    shown = MlflowException(f"Experiment(name=prices) already exists. Error: {raised.value}", BAD_REQUEST)
    assert shown.message == "Experiment(name=prices) already exists."


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("message", ["Run 'x' not found", "Could not connect to your webhook", ""])
def test_mlflows_own_messages_stay(message: str) -> None:
    shown = MlflowException(message, BAD_REQUEST, extra="kept")
    assert shown.message == message
    assert json.loads(shown.serialize_as_json())["extra"] == "kept"


@pytest.mark.usefixtures("app")
def test_a_password_is_not_for_the_log_either(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        MlflowException("botocore. of postgresql://mlflow:hunter2@db/name")
    assert "postgresql://mlflow:***@db/name" in caplog.text


def test_an_error_that_a_handler_lets_through_is_a_sentence(app: Flask) -> None:
    def fail(error: Exception) -> str:
        raise error

    app.add_url_rule("/store", "store", lambda: fail(AWAY))
    app.add_url_rule("/bug", "bug", lambda: fail(KeyError("x")))
    answer = app.test_client().get("/store")
    assert (answer.status_code, json.loads(answer.text)["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
    assert ADDRESS not in answer.text
    assert app.test_client().get("/bug").status_code == 500
    assert app.test_client().get("/no-such").status_code == 404


def test_it_is_applied_once(app: Flask) -> None:
    once = MlflowException.__init__
    store_errors.apply(Flask("another"))
    assert MlflowException.__init__ is once
