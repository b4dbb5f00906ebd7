"""``explain``, dry against real API servers and through a running server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.cli.kubeconfigs import kubeconfig
from tests.cli.planes import ALICE, BOB, TEAM, Plane
from tests.cli.servers import scripted

CREATE = ("POST", "/api/2.0/mlflow/experiments/create")
EXPLAIN = "POST /workspace-authz/explain"


def test_what_would_pass_is_shown_step_by_step(run: Run, plane: Plane) -> None:
    result = run("explain", *CREATE, "-n", TEAM, "--kubeconfig", plane.server, "--token", ALICE)
    assert (result.status, result.err) == (0, "")
    for line in (
        "route      /api/2.0/mlflow/experiments/create (CreateExperiment)",
        "user       alice",
        "workspace  team-a",
        "check      create experiments in team-a: allow (review)",
        "verdict    allow (200)",
    ):
        assert line in result.out.splitlines()


def test_what_would_be_refused_has_status_1_and_the_reason(run: Run, plane: Plane) -> None:
    result = run("explain", *CREATE, "-n", TEAM, "--kubeconfig", plane.server, "--token", BOB, "-o", "json")
    document = result.json()
    assert (result.status, document["status"], document["decision"]) == (1, 403, "deny")
    assert 'User "bob" cannot create resource "experiments"' in document["reason"]
    assert document["checks"][0]["namespace"] == TEAM


def test_a_rejected_token_would_be_refused_and_stays_secret(run: Run, plane: Plane) -> None:
    result = run(
        "explain", *CREATE, "-n", TEAM, "--kubeconfig", plane.server, "--token", "garbage-0123456789"
    )
    assert result.status == 1
    assert "verdict    deny (401)" in result.out
    assert "garbage" not in result.out + result.err


def test_an_api_server_that_is_away_is_no_verdict(run: Run, tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "kubeconfig", cluster={"server": "http://127.0.0.1:9"})
    result = run("explain", *CREATE, "-n", TEAM, "--kubeconfig", path, "--token", "t")
    assert result.status == 2
    assert "verdict    error (503)" in result.out


def test_a_whole_url_works_as_path(run: Run, plane: Plane) -> None:
    url = "https://mlflow.example.com/mlflow/api/2.0/mlflow/experiments/get-by-name?experiment_name=a%20b"
    result = run(
        *("explain", "get", url, "-n", TEAM, "--static-prefix", "/mlflow", "-o", "json"),
        *("--kubeconfig", plane.server, "--token", ALICE),
    )
    assert result.status == 0
    assert result.json()["path"] == "/mlflow/api/2.0/mlflow/experiments/get-by-name"
    assert result.json()["operation"] == "GetExperimentByName"


IN_URL = "https://mlflow.example.com/mlflow/workspaces/team-a/api/2.0/mlflow/experiments/get-by-name"


@pytest.mark.parametrize("token", [ALICE, BOB])
@pytest.mark.parametrize("running", [True, False])
def test_a_workspace_in_the_url_means_what_n_means(
    run: Run, plane: Plane, guarded: str, token: str, running: bool
) -> None:
    caller = ("--static-prefix", "/mlflow", "--kubeconfig", str(plane.server), "--token", token, "-o", "json")
    server = ("--server", guarded) if running else ()
    by_url = run("explain", "GET", IN_URL, *caller, *server)
    by_name = run("explain", "GET", IN_URL.replace("/workspaces/team-a", ""), "-n", TEAM, *caller, *server)
    assert by_url.status == by_name.status == (0 if token == ALICE else 1)
    assert by_url.json()["effects"] == sorted([*by_name.json()["effects"], "path"] if token == ALICE else [])
    for key in ("user", "workspace", "route", "decision", "reason", "status"):
        assert by_url.json()[key] == by_name.json()[key]


@pytest.mark.parametrize("running", [True, False])
def test_two_workspaces_and_an_encoded_slash_are_refused_as_the_server_does(
    run: Run, plane: Plane, guarded: str, running: bool
) -> None:
    caller = ("--static-prefix", "/mlflow", "--kubeconfig", str(plane.server), "--token", ALICE, "-o", "json")
    server = ("--server", guarded) if running else ()
    two = run("explain", "GET", IN_URL, "-n", "team-b", *caller, *server).json()
    assert (two["status"], "two different workspaces" in two["reason"]) == (400, True)
    encoded = run("explain", "GET", IN_URL.replace("team-a/", "team-a%2F"), *caller, *server).json()
    assert (encoded["status"], encoded["route"]) == (404, None)


def test_the_body_decides_conditional_requirements(run: Run, plane: Plane, tmp_path: Path) -> None:
    body = tmp_path / "body.json"
    body.write_text(
        '{"metrics": [{"key": "m", "value": 1, "timestamp": 1, "model_id": "m-1"}], "run_id": "r"}'
    )
    arguments = ("explain", "POST", "/api/2.0/mlflow/runs/log-batch", "-n", TEAM, "-o", "json")
    caller = ("--kubeconfig", str(plane.server), "--token", ALICE)
    bare = run(*arguments, *caller, "--data", '{"run_id": "r"}').json()
    full = run(*arguments, *caller, "--data", f"@{body}").json()
    assert bare["decision"] == full["decision"] == "allow"
    assert full["checks"]


def test_the_assistant_can_be_judged_as_turned_on(run: Run, plane: Plane) -> None:
    listing = run("routes", "--resource", "assistants", "--assistant", "-o", "json").json()
    route = next(row for row in listing if "{" not in row["path"])
    arguments = ("explain", route["method"], route["path"], "-n", TEAM, "-o", "json")
    caller = ("--kubeconfig", str(plane.server), "--token", ALICE)
    refused = run(*arguments, *caller).json()
    asked = run(*arguments, *caller, "--assistant").json()
    assert refused["rule"][0].startswith("refused: ")
    assert [check["resource"] for check in asked["checks"]] == ["assistants"]


def test_a_listing_says_how_far_it_looked(run: Run, plane: Plane) -> None:
    arguments = ("explain", "GET", "/api/3.0/mlflow/workspaces", "-o", "json")
    result = run(*arguments, "-n", TEAM, "--kubeconfig", plane.server, "--token", ALICE)
    assert result.json()["visible"] == [TEAM]
    assert "--server URL looks at all" in result.err


def test_the_kubeconfigs_namespace_is_the_default_only(run: Run, plane: Plane) -> None:
    result = run("explain", *CREATE, "--kubeconfig", plane.server, "--token", ALICE, "-o", "json")
    assert result.json()["workspace"] == "mlflow"


def test_a_certificate_cannot_be_sent_to_mlflow(run: Run, plane: Plane) -> None:
    result = run("explain", *CREATE, "-n", TEAM, "--kubeconfig", plane.certificate)
    assert (result.status, result.out) == (2, "")
    assert "kubectl create token" in result.err


def test_mlflows_clients_cannot_act_as_somebody_else(run: Run, plane: Plane, tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "kubeconfig", user={"token": "t", "as": "mallory"})
    result = run("explain", *CREATE, "-n", TEAM, "--kubeconfig", path)
    assert (result.status, result.out) == (2, "")
    assert "can-i --as mallory" in result.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("GET", "api/2.0/mlflow/runs/get"), "must start with a slash"),
        (("GET", "http://[/"), "neither a path nor a URL"),
        (("GET", "/", "--data", "@/does/not/exist"), "body cannot be read"),
        (("GET", "/", "--insecure"), "--insecure is about --server"),
        (("GET", "/", "--server", "http://x", "--assistant"), "no effect on a running server"),
        (("GET", "/", "--server", "mlflow.example.com", "--token", "t"), "takes a URL"),
    ],
)
def test_wrong_requests(run: Run, tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    result = run("explain", *arguments, "--kubeconfig", kubeconfig(tmp_path / "kubeconfig"))
    assert (result.status, result.out) == (2, "")
    assert said in result.err
    assert result.err.count("\n") == 1


@pytest.mark.parametrize(("token", "status"), [(ALICE, 0), (BOB, 1)])
def test_a_running_server_judges_by_its_own_settings(
    run: Run, plane: Plane, guarded: str, token: str, status: int
) -> None:
    request = ("POST", "/mlflow/api/2.0/mlflow/experiments/create")
    caller = ("--kubeconfig", str(plane.server), "--token", token)
    result = run("explain", *request, "-n", TEAM, *caller, "--server", f"{guarded}/mlflow", "-o", "json")
    assert result.status == status
    assert result.json()["user"] == ("alice" if token == ALICE else "bob")
    assert result.json()["workspace"] == TEAM


def test_a_running_servers_default_workspace_counts(run: Run, plane: Plane, guarded: str) -> None:
    request = ("POST", "/mlflow/api/2.0/mlflow/experiments/create")
    caller = ("--kubeconfig", str(plane.server), "--token", ALICE)
    result = run(
        "explain", *request, *caller, "--server", guarded, "--static-prefix", "/mlflow", "-o", "json"
    )
    assert (result.status, result.json()["workspace"]) == (1, "team-b")


def test_a_running_server_that_rejects_the_token(run: Run, plane: Plane, guarded: str) -> None:
    caller = ("--kubeconfig", str(plane.server), "--token", "garbage-0123456789")
    result = run("explain", *CREATE, *caller, "--server", f"{guarded}/mlflow")
    assert (result.status, result.out) == (2, "")
    assert "The server answers 401: The Kubernetes API server does not accept this token" in result.err
    assert "garbage" not in result.err


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((200, "<html>login</html>"), "answers 200, not as one that workspace-authz guards"),
        ((200, {"decision": "allow"}), "answers 200, not as one that workspace-authz guards"),
        ((404, "no"), "answers 404, not as one that workspace-authz guards"),
        ((302, ""), "answers 302, not as one"),
        ((503, {"error_code": "TEMPORARILY_UNAVAILABLE", "message": "try again"}), "answers 503: try again"),
    ],
)
def test_servers_that_cannot_explain(run: Run, tmp_path: Path, answer: tuple[int, Any], said: str) -> None:
    path = kubeconfig(tmp_path / "kubeconfig")
    with scripted({EXPLAIN: answer}) as server:
        server.headers["Location"] = f"{server.url}/elsewhere"
        result = run("explain", *CREATE, "--kubeconfig", path, "--token", "t", "--server", server.url)
    assert (result.status, result.out) == (2, "")
    assert said in result.err
    assert [request for request, _ in server.asked] == [EXPLAIN]


def test_a_server_that_is_away(run: Run, tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "kubeconfig")
    result = run("explain", *CREATE, "--kubeconfig", path, "--token", "t", "--server", "http://127.0.0.1:9")
    assert (result.status, result.out) == (2, "")
    assert "ClientConnectorError" in result.err


def test_the_servers_certificate_is_verified_unless_told_otherwise(run: Run, plane: Plane) -> None:
    arguments = ("explain", *CREATE, "--kubeconfig", str(plane.server), "--token", ALICE)
    strict = run(*arguments, "--server", plane.url)
    lax = run(*arguments, "--server", plane.url, "--insecure")
    assert "ClientConnectorCertificateError" in strict.err
    assert "not as one that workspace-authz guards" in lax.err
