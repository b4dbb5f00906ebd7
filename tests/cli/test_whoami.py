"""``whoami`` against real API servers."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.kubeconfigs import kubeconfig
from tests.cli.planes import ALICE, Plane
from workspace_authz.kubernetes.configuration import load_configuration
from workspace_authz.kubernetes.connection import server_connection


def test_names_the_owner_of_a_token(run: Run, plane: Plane) -> None:
    result = run("whoami", "--kubeconfig", plane.server, "--token", ALICE, "-o", "json")
    user = result.json()
    assert (result.status, result.err) == (0, "")
    assert (user["username"], user["uid"], user["credential"]) == ("alice", "u-alice", "--token")
    assert set(user["groups"]) == {"data-science", "everyone", "system:authenticated"}


def test_the_kubeconfigs_token_is_used_when_none_is_given(run: Run, plane: Plane) -> None:
    result = run("whoami", "--kubeconfig", plane.server)
    assert result.status == 0
    assert "user        system:serviceaccount:mlflow:mlflow\n" in result.out
    assert "group       system:serviceaccounts:mlflow\n" in result.out


def test_a_certificate_speaks_for_its_user_and_says_so(run: Run, plane: Plane) -> None:
    result = run("whoami", "--kubeconfig", plane.certificate, "-o", "json")
    assert "system:masters" in result.json()["groups"]
    assert result.json()["credential"] == "kubeconfig (client certificate)"
    assert "MLflow's clients need a token" in result.err


def test_a_token_beside_a_certificate_is_the_tokens_owner(run: Run, plane: Plane) -> None:
    result = run("whoami", "--kubeconfig", plane.certificate, "--token", ALICE, "-o", "json")
    assert result.json()["username"] == "alice"


def token_for(plane: Plane, audience: str) -> str:
    """A token of the account ``mlflow`` of the namespace mlflow."""

    async def made() -> str:
        connection = server_connection(await load_configuration(str(plane.admin)))
        try:
            path = "/api/v1/namespaces/mlflow/serviceaccounts/mlflow/token"
            spec = {"spec": {"audiences": [audience], "expirationSeconds": 600}}
            answer = await connection.post(path, spec, token=None, timeout=10)
        finally:
            await connection.close()
        assert answer.status == 201, answer.body
        return str(json.loads(answer.body)["status"]["token"])

    return asyncio.run(made())


def test_a_token_for_an_audience_is_asked_about_by_the_kubeconfigs_user(
    run: Run, plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = token_for(plane, "mlflow")
    command = ("whoami", "--token", token, "-o", "json", "--kubeconfig")
    result = run(*command, plane.admin, "--audience", "mlflow")
    assert result.json()["username"] == "system:serviceaccount:mlflow:mlflow"
    monkeypatch.setenv("WORKSPACE_AUTHZ_AUDIENCES", "other,mlflow")
    assert run(*command, plane.admin).json() == result.json()
    refused = run(*command, plane.server)  # which may not ask
    assert (refused.status, refused.out) == (2, "")
    assert "may not create tokenreviews" in refused.err


def test_a_token_for_an_audience_that_is_not_asked_about_is_told_its_own(run: Run, plane: Plane) -> None:
    token = token_for(plane, "mlflow")
    result = run("whoami", "--token", token, "--kubeconfig", plane.admin)
    assert (result.status, result.out) == (2, "")
    assert "It says that it is for 'mlflow'" in result.err
    assert token not in result.err


@pytest.mark.parametrize("command", [("whoami",), ("can-i", "get", "experiments", "-n", "team-a")])
def test_a_rejected_token_is_one_line_and_stays_secret(
    run: Run, plane: Plane, command: tuple[str, ...]
) -> None:
    garbage = "garbage-0123456789"
    for file in (plane.server, plane.certificate):
        result = run(*command, "--kubeconfig", file, "--token", garbage)
        assert (result.status, result.out) == (2, "")
        assert "does not accept this token" in result.err
        assert result.err.count("\n") == 1
        assert garbage not in result.err


def test_an_api_server_that_is_away_says_why(run: Run, tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "kubeconfig", cluster={"server": "http://127.0.0.1:9"}, user={"token": "t"})
    result = run("whoami", "--kubeconfig", path)
    assert (result.status, result.out) == (2, "")
    assert "try again. (no connection: " in result.err


def test_an_api_server_with_another_ca_says_so(run: Run, plane: Plane, tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "kubeconfig", cluster={"server": plane.url}, user={"token": "t"})
    result = run("whoami", "--kubeconfig", path)
    assert result.status == 2
    assert "certificate is refused" in result.err
    assert result.err.count("\n") == 1
