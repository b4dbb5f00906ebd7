"""What came of a thing that was done with MLflow's SDK, in a few words."""

from __future__ import annotations

import mlflow
import pytest
import requests
from mlflow.exceptions import RestException
from mlflow.utils.workspace_context import get_request_workspace

from workspace_authz.apps.demo.steps.serving import perform


@pytest.fixture(autouse=True)
def no_workspace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_WORKSPACE", "")  # so that whatever is set is put back


def refuse() -> str:
    raise RestException({"error_code": "PERMISSION_DENIED", "message": "bob may not"})


def lose_the_connection() -> str:
    raise requests.ConnectionError("gone")


def test_success_is_what_the_action_says() -> None:
    assert perform({"read": lambda: "a run"}, {"action": "read", "workspace": None}, home=None) == {
        "got": "a run",
        "detail": "",
    }


def test_a_refusal_is_its_status_and_code() -> None:
    answer = perform({"read": refuse}, {"action": "read", "workspace": None}, home=None)

    assert answer == {"got": "403 PERMISSION_DENIED", "detail": "PERMISSION_DENIED: bob may not"}


def test_another_failure_is_its_kind() -> None:
    answer = perform({"read": lose_the_connection}, {"action": "read", "workspace": None}, home=None)

    assert answer == {"got": "ConnectionError", "detail": "gone"}


def test_a_visit_to_another_workspace_ends_with_the_action() -> None:
    actions = {"where": lambda: str(get_request_workspace())}

    seen = [
        perform(actions, {"action": "where", "workspace": workspace}, home="team-a")["got"]
        for workspace in (None, "team-b", None)
    ]
    mlflow.set_workspace(None)

    assert seen == ["team-a", "team-b", "team-a"]
