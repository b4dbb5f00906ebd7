"""``whoami`` against real API servers."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Run
from tests.cli.planes import ALICE, Plane


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


@pytest.mark.parametrize("command", [("whoami",), ("can-i", "get", "experiments", "-n", "team-a")])
def test_a_rejected_token_is_one_line_and_stays_secret(
    run: Run, plane: Plane, command: tuple[str, ...]
) -> None:
    garbage = "garbage-0123456789"
    for kubeconfig in (plane.server, plane.certificate):
        result = run(*command, "--kubeconfig", kubeconfig, "--token", garbage)
        assert (result.status, result.out) == (2, "")
        assert "does not accept this token" in result.err
        assert result.err.count("\n") == 1
        assert garbage not in result.err
