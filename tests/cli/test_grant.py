"""``grant`` and ``revoke`` against API servers of both engines, and what they print for git."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from tests.cli.conftest import Run
from tests.cli.planes import ALICE, CAROL, Plane
from tests.cli.servers import scripted

TEAM = "team-c"
"""Carol's."""


def somebody() -> str:
    return f"user-{uuid4()}@example.com"


def documents(text: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(text))


def as_carol(plane: Plane, *more: str) -> tuple[str | Path, ...]:
    return ("--kubeconfig", plane.server, "--token", CAROL, "-n", TEAM, *more)


def held(run: Run, plane: Plane, subject: str) -> list[tuple[str, str]]:
    """Level and object of what ``who`` says of one subject."""
    rows = run("who", *as_carol(plane, "-o", "json")).json()["holdings"]
    return [(row["level"], row["on"]) for row in rows if row["subject"] == subject]


def test_a_level_on_the_workspace_is_given_and_taken_back(run: Run, plane: Plane) -> None:
    alice = somebody()
    given = run("grant", alice, "edit", *as_carol(plane))
    assert (given.status, given.out, given.err) == (0, f"{alice}: edit on the workspace in {TEAM}\n", "")
    again = run("grant", alice, "edit", *as_carol(plane))
    assert again.out == f"{alice}: edit on the workspace in {TEAM} (as before)\n"
    assert held(run, plane, alice) == [("edit", "the workspace")]
    taken = run("revoke", alice, "edit", *as_carol(plane))
    assert (taken.status, taken.out) == (0, f"{alice}: no edit in {TEAM} any more\n")
    assert held(run, plane, alice) == []
    nothing = run("revoke", alice, "edit", *as_carol(plane))
    assert nothing.status == 2
    assert f"{alice} does not hold the ClusterRole mlflow-edit" in nothing.err


def test_rights_add_up_and_it_says_so(run: Run, plane: Plane) -> None:
    alice = somebody()
    run("grant", alice, "edit", *as_carol(plane))
    less = run("grant", alice, "view", *as_carol(plane))
    assert f"note: {alice} keeps edit in {TEAM}" in less.err
    assert run("revoke", alice, *as_carol(plane, "-o", "json")).json()["revoked"] == ["view", "edit"]
    assert "holds nothing" in run("revoke", alice, *as_carol(plane)).err


def test_single_objects(run: Run, plane: Plane) -> None:
    bob = somebody()
    objects = ("--experiment", "fraud", "--model=fraud detector", "--skill", "@acme/reviewer")
    given = run("grant", bob, "edit", *objects, *as_carol(plane, "-o", "json"))
    assert [(row["level"], row["on"], row["changed"]) for row in given.json()["grants"]] == [
        ("edit", "experiments/fraud", True),
        ("edit", "registeredmodels/fraud detector", True),
        ("edit", "skills/@acme/reviewer", True),
    ]
    assert run("grant", bob, "READ", "--experiment", "fraud", *as_carol(plane)).status == 0
    assert sorted(held(run, plane, bob)) == [
        ("EDIT", "registeredmodels/fraud detector"),
        ("EDIT", "skills/@acme/reviewer"),
        ("READ", "experiments/fraud"),
    ]
    can = run("who-can", "get", "experiments", "--name", "fraud", *as_carol(plane, "-o", "json"))
    assert bob in [row["subject"] for row in can.json()["holdings"]]
    taken = run("revoke", bob, "--experiment", "fraud", "--skill", "@acme/reviewer", *as_carol(plane))
    assert taken.out.splitlines() == [
        f"{bob}: no experiments/fraud in {TEAM} any more",
        f"{bob}: no skills/@acme/reviewer in {TEAM} any more",
    ]
    assert held(run, plane, bob) == [("EDIT", "registeredmodels/fraud detector")]


def test_who_may_not_grant_is_told_by_kubernetes(run: Run, plane: Plane) -> None:
    refused = run("grant", somebody(), "view", "-n", TEAM, "--kubeconfig", plane.server, "--token", ALICE)
    assert (refused.status, refused.out) == (2, "")
    assert 'User "alice" cannot get resource "rolebindings"' in refused.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("alice",), "give a LEVEL after each SUBJECT"),
        (("alice", "edit", "bob"), "give a LEVEL after each SUBJECT"),
        (("alice", "manage"), "'manage' is no level on a whole workspace; there are view, edit, admin"),
        (("alice", "view", "--model", "m"), "'view' is no level on a single object; there are read, use,"),
        (("group:", "view"), "has 1 to 512 printable characters"),
        (("alice", "read", "--model", ""), "a name has 1 to 500 printable characters"),
        (("alice", "edit", "-o", "yaml"), "-o yaml is for --dry-run"),
        (("alice", "edit", "-n", "a/b"), "cannot be the name of a namespace"),
    ],
)
def test_a_wrong_command_line(run: Run, plane: Plane, arguments: tuple[str, ...], said: str) -> None:
    result = run("grant", *as_carol(plane), *arguments)
    assert (result.status, result.out) == (2, "")
    assert said in result.err


def test_no_level_is_given_when_objects_are_taken_back(run: Run, plane: Plane) -> None:
    result = run("revoke", "alice", "edit", "--model", "m", *as_carol(plane))
    assert result.status == 2
    assert "leave the LEVEL out" in result.err


def test_a_team_for_git_needs_no_cluster(run: Run, plane: Plane, kubectl: Path, tmp_path: Path) -> None:
    """Five steps of a team's set-up elsewhere: its group, its service account, and its shared experiment."""
    team = ("group:pk:ds-team-alpha", "edit", f"system:serviceaccount:{TEAM}:svc-alpha", "integration")
    printed = run("grant", *team, "-n", TEAM, "--make-accounts", "--dry-run", "-o", "yaml")
    assert (printed.status, printed.err) == (0, "")
    account, group, pipeline = documents(printed.out)
    assert account == {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "svc-alpha", "namespace": TEAM},
    }
    assert (group["roleRef"]["name"], pipeline["roleRef"]["name"]) == ("mlflow-edit", "mlflow-integration")
    assert group["subjects"][0]["name"] == "pk:ds-team-alpha"
    assert "labels" not in group["metadata"]
    shared = run("grant", *team[:1], "edit", "--experiment", "x", "-n", TEAM, "--dry-run", "-o", "json")
    assert [item["kind"] for item in shared.json()["items"]] == ["Role", "RoleBinding"]

    file = tmp_path / "team.yaml"
    file.write_text(printed.out)
    applied = [str(kubectl), "--kubeconfig", str(plane.admin), "apply", "-f", str(file)]
    assert subprocess.run(applied, capture_output=True, check=False).returncode == 0
    assert held(run, plane, "group:pk:ds-team-alpha") == [("edit", "the workspace")]
    for refused in (run("grant", *team, *as_carol(plane)), run("revoke", team[0], *as_carol(plane))):
        assert refused.status == 2
        assert "was made by hand" in refused.err


def test_what_is_granted_in_one_go(run: Run, plane: Plane) -> None:
    account = f"system:serviceaccount:{TEAM}:svc-{uuid4()}"
    given = run("grant", "group:alpha", "edit", account, "integration", *as_carol(plane, "--make-accounts"))
    assert given.status == 0, given.err
    assert held(run, plane, "group:alpha") == [("edit", "the workspace")]
    assert held(run, plane, account) == [("integration", "the workspace")]
    again = run("grant", account, "integration", *as_carol(plane, "--make-accounts"))
    assert again.out.endswith("(as before)\n")


@pytest.mark.parametrize(
    ("option", "given", "answers", "said"),
    [
        ("--experiment", "fraud", {"GET /api/2.0/mlflow/experiments/get-by-name": (200, {})}, ""),
        (
            "--experiment",
            "12",
            {
                "GET /api/2.0/mlflow/experiments/get-by-name": (
                    404,
                    {"error_code": "RESOURCE_DOES_NOT_EXIST"},
                ),
                "GET /api/2.0/mlflow/experiments/get": (200, {"experiment": {"name": "fraud"}}),
            },
            "'12' is an id; rights go by names, and this one's is: --experiment=fraud",
        ),
        (
            "--model",
            "none",
            {"GET /api/2.0/mlflow/registered-models/get": (404, {"error_code": "RESOURCE_DOES_NOT_EXIST"})},
            "has no model 'none' in team-c yet",
        ),
        (
            "--endpoint",
            "e-1",
            {
                "GET /api/3.0/mlflow/gateway/endpoints/list": (
                    200,
                    {"endpoints": [{"name": "chat", "endpoint_id": "e-1"}]},
                )
            },
            "'e-1' is an id; rights go by names, and this one's is: --endpoint=chat",
        ),
        ("--dataset", "d", {}, "does not say whether there is a dataset 'd'"),
        ("--secret", "s", {"GET /api/3.0/mlflow/gateway/secrets/list": (403, {})}, "does not say"),
    ],
    ids=["a name", "an id", "nothing", "an id in a list", "no answer", "not allowed"],
)
def test_names_are_checked_where_a_server_is_known(
    run: Run, plane: Plane, option: str, given: str, answers: dict[str, tuple[int, Any]], said: str
) -> None:
    with scripted(answers) as server:
        result = run("grant", somebody(), "read", option, given, *as_carol(plane, "--server", server.url))
        assert said in result.err
        assert bool(result.err) is bool(said)
        assert result.status == (2 if "is an id" in said else 0)
        for asked, headers in server.asked:
            assert asked.startswith("GET /api/")
            assert headers["X-MLFLOW-WORKSPACE"] == TEAM
            assert headers["Authorization"] == f"Bearer {CAROL}"


def test_the_server_is_that_of_mlflows_clients(
    run: Run, plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scripted({"GET /mlflow/api/2.0/mlflow/registered-models/get": (200, {})}) as server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{server.url}/mlflow/")
        assert run("grant", somebody(), "read", "--model", "m", *as_carol(plane)).err == ""
        assert len(server.asked) == 1
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
        assert run("grant", somebody(), "read", "--model", "m", *as_carol(plane)).err == ""
        assert len(server.asked) == 1
