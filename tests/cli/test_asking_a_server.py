"""``whoami``, ``can-i`` and ``explain`` with a server's URL and a token, without a cluster configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.cli.planes import ALICE, BOB, MALLORY, TEAM, Plane
from tests.cli.servers import scripted
from workspace_authz.types import USABLE, Resource

CREATE = ("POST", "/mlflow/api/2.0/mlflow/experiments/create")


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A kubeconfig that cannot be used, so that nobody uses it."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "no-kubeconfig"))


def test_whoami_is_what_the_server_knows(run: Run, guarded: str, plane: Plane) -> None:
    result = run("whoami", "--server", f"{guarded}/mlflow", "--token", ALICE, "-o", "json")
    assert (result.status, result.err) == (0, "")
    direct = run("whoami", "--kubeconfig", plane.server, "--token", ALICE, "-o", "json")
    assert result.json() == direct.json()
    assert result.json()["username"] == "alice"


def test_the_token_of_mlflows_clients_is_enough(
    run: Run, guarded: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", BOB)
    monkeypatch.setenv("MLFLOW_WORKSPACE", TEAM)
    result = run("whoami", "--server", f"{guarded}/mlflow")
    assert "user        bob\n" in result.out
    assert "credential  MLFLOW_TRACKING_TOKEN\n" in result.out
    shared = ("can-i", "get", "experiments", "--name", "shared", "--server", f"{guarded}/mlflow")
    assert run(*shared).out == "yes\n"
    file = tmp_path / "token"
    file.write_text(ALICE)
    explained = run("explain", *CREATE, "--server", f"{guarded}/mlflow", "--token-file", file, "-o", "json")
    assert (explained.status, explained.json()["user"], explained.json()["workspace"]) == (0, "alice", TEAM)


@pytest.mark.parametrize(
    ("token", "question", "answer"),
    [
        (ALICE, ("create", "experiments", "-n", TEAM), "yes"),
        (ALICE, ("create", "gatewayendpoints/use", "-n", TEAM), "yes"),
        (ALICE, ("create", "experiments"), "no"),  # in the server's default workspace
        (ALICE, ("create", "experiments", "-n", "does-not-exist"), "no"),
        (BOB, ("get", "experiments", "-n", TEAM), "no"),
        (BOB, ("get", "experiments", "--name", "other & more", "-n", TEAM), "no"),
        (MALLORY, ("list", "experiments", "-n", TEAM), "no"),
    ],
)
def test_a_question_is_answered_as_kubernetes_answers_it(
    run: Run, guarded: str, plane: Plane, token: str, question: tuple[str, ...], answer: str
) -> None:
    caller = ("--token", token, "-o", "json")
    asked = run("can-i", *question, "--server", f"{guarded}/mlflow", *caller)
    assert (asked.status, asked.err) == (0 if answer == "yes" else 1, "")
    namespace = () if "-n" in question else ("-n", "team-b")
    direct = run("can-i", *question, *namespace, "--kubeconfig", plane.server, *caller)
    assert asked.json() == direct.json()
    assert asked.json()["allowed"] is (answer == "yes")


@pytest.mark.parametrize("name", ["", "shared"])
def test_all_rights_are_listed_as_kubernetes_knows_them(
    run: Run, guarded: str, plane: Plane, name: str
) -> None:
    arguments = ("can-i", "--list", "-n", TEAM, "--name", name, "--token", BOB)
    asked = run(*arguments, "--server", f"{guarded}/mlflow", "-o", "json")
    assert asked.status == 0
    assert asked.json() == run(*arguments, "--kubeconfig", plane.server, "-o", "json").json()
    assert asked.json()["rights"]["experiments"] == (["get"] if name else [])
    assert len(asked.json()["rights"]) == len(Resource) + len(USABLE)
    assert run(*arguments, "--server", f"{guarded}/mlflow").out.startswith("RESOURCE")


def test_a_token_that_the_server_rejects_is_told_so(run: Run, guarded: str) -> None:
    for command in (("whoami",), ("can-i", "--list"), ("can-i", "get", "experiments"), ("explain", *CREATE)):
        result = run(*command, "--server", f"{guarded}/mlflow", "--token", "garbage-0123456789")
        assert (result.status, result.out) == (2, "")
        assert "The server answers 401: The Kubernetes API server does not accept this token" in result.err
        assert "garbage" not in result.err


def test_what_the_server_bounds_is_refused_by_it(run: Run, guarded: str) -> None:
    result = run("can-i", "--list", "--name", "n" * 513, "--server", f"{guarded}/mlflow", "--token", ALICE)
    assert "The server answers 400: No name of an object has more than 512 characters." in result.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("whoami", "--insecure"), "--insecure is about --server"),
        (("can-i", "--list", "--insecure"), "--insecure is about --server"),
        (("whoami", "--server", "mlflow.example.com", "--token", "t"), "takes a URL"),
        (("can-i", "--list", "--server", "http://x", "--as", "bob"), "leave out --as, or --server"),
        (("can-i", "no", "experiments", "--server", "http://x", "--token", "t"), "No route of MLflow asks"),
        (("whoami", "--server", "http://x"), "kubeconfig"),
    ],
)
def test_wrong_command_lines(run: Run, arguments: tuple[str, ...], said: str) -> None:
    result = run(*arguments)
    assert (result.status, result.out) == (2, "")
    assert said in result.err
    assert result.err.count("\n") == 1


WHOAMI, RIGHTS = "GET /workspace-authz/api/whoami", "GET /workspace-authz/api/rights"


@pytest.mark.parametrize(
    ("command", "route", "answer", "said"),
    [
        (("whoami",), WHOAMI, (200, "<html>login</html>"), "not as one that workspace-authz guards"),
        (("whoami",), WHOAMI, (302, ""), "answers 302, not as one"),
        (
            ("whoami",),
            WHOAMI,
            (200, {"username": 7, "uid": "", "groups": [], "extra": {}}),
            "it names nobody",
        ),
        (("can-i", "--list"), RIGHTS, (200, {"namespace": "", "name": "", "rights": []}), "lists no rights"),
        (("can-i", "--list"), RIGHTS, (503, {"error_code": "X", "message": "try again"}), "503: try again"),
    ],
)
def test_servers_that_give_no_answer(
    run: Run, command: tuple[str, ...], route: str, answer: tuple[int, Any], said: str
) -> None:
    with scripted({route: answer}) as server:
        server.headers["Location"] = f"{server.url}/elsewhere"
        result = run(*command, "--token", "t", "--server", server.url)
    assert (result.status, result.out) == (2, "")
    assert said in result.err
    assert [request for request, _ in server.asked] == [route]
