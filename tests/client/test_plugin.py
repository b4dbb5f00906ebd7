"""What the plugin adds to a request, and what it makes of the answer."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import mlflow
import pytest
import requests

from tests.harness.http_server import JsonHandler, serving
from workspace_authz.client.environment import TOKEN_FILE
from workspace_authz.client.plugin import NAME, WORKSPACE_HEADER, TokenAuth, WorkspaceAuthzAuthProvider
from workspace_authz.client.sources import Places, Tokens
from workspace_authz.errors import ConfigurationError

BASE = "https://mlflow.example.com/mlflow"
API = "/api/2.0/mlflow/experiments/search"


@pytest.fixture
def auth(tmp_path: Path) -> Iterator[TokenAuth]:
    """In a pod of team-a. MLflow's workspace is the process's, so it is put back."""
    (tmp_path / "token").write_text("for-mlflow")
    (tmp_path / "namespace").write_text("team-a")
    os.environ.pop("MLFLOW_WORKSPACE", None)
    yield TokenAuth(Tokens({TOKEN_FILE: str(tmp_path / "token")}, places=Places(tmp_path, tmp_path)))
    mlflow.set_workspace(None)


def added(auth: TokenAuth, url: str, headers: Mapping[str, str] | None = None) -> Mapping[str, str]:
    """The headers of a request that ``requests`` prepares."""
    return dict(requests.Request("GET", url, headers=dict(headers or {}), auth=auth).prepare().headers)


def test_a_token_and_the_workspace_of_the_pod(auth: TokenAuth) -> None:
    sent = added(auth, f"{BASE}{API}")
    assert (sent["Authorization"], sent[WORKSPACE_HEADER]) == ("Bearer for-mlflow", "team-a")
    assert os.environ["MLFLOW_WORKSPACE"] == "team-a"  # so the SDK's links and children know


def test_what_was_chosen_stays(auth: TokenAuth) -> None:
    assert added(auth, f"{BASE}{API}", {WORKSPACE_HEADER: "team-b"})[WORKSPACE_HEADER] == "team-b"
    mlflow.set_workspace("team-c")
    assert added(auth, f"{BASE}{API}")[WORKSPACE_HEADER] == "team-c"


@pytest.mark.parametrize(
    "path", [f"/workspaces/team-b{API}", "/workspaces/team-b/v1/traces", "/api/3.0/mlflow/workspaces"]
)
def test_a_workspace_in_the_address_is_left_alone(auth: TokenAuth, path: str) -> None:
    assert WORKSPACE_HEADER not in added(auth, f"{BASE}{path}")
    assert "MLFLOW_WORKSPACE" not in os.environ


def test_a_second_credential_is_refused_and_not_shown(auth: TokenAuth) -> None:
    for value, variable in (("Bearer left-over", "MLFLOW_TRACKING_TOKEN"), ("Basic eA==", "_PASSWORD")):
        with pytest.raises(ConfigurationError, match=variable) as raised:
            added(auth, f"{BASE}{API}", {"Authorization": value})
        assert value.split()[1] not in str(raised.value)


def test_a_refused_token_is_told_and_not_kept(
    auth: TokenAuth, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it came from is what a person must know."""
    rejected: list[str] = []
    monkeypatch.setattr(Tokens, "rejected", lambda _, token: rejected.append(token))

    class Refusing(JsonHandler):
        def do_GET(self) -> None:  # noqa: N802 - the name that http.server looks for
            self.answer({}, status=401)

    with serving(Refusing) as url, caplog.at_level(logging.WARNING):
        requests.get(f"{url}{API}", auth=auth, timeout=10)
    assert rejected == ["for-mlflow"]
    (record,) = caplog.records
    assert "did not accept the token of WORKSPACE_AUTHZ_CLIENT_TOKEN_FILE" in record.getMessage()
    assert "for-mlflow" not in record.getMessage()


def test_mlflow_finds_it_by_its_name() -> None:
    assert WorkspaceAuthzAuthProvider().get_name() == NAME == "workspace-authz"
    assert isinstance(WorkspaceAuthzAuthProvider().get_auth(), TokenAuth)
