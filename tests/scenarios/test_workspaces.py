"""Namespaces as workspaces: which are listed, which one a request means, and when they come and go."""

from __future__ import annotations

import pytest

from tests.harness.plane import RBAC
from tests.harness.server import WORKSPACE, MlflowServer
from tests.scenarios.people import ABSENT, HIDDEN, LABEL, MATRIX, TEAM_A, TEAM_B, Cluster
from tests.scenarios.waiting import until

SEARCH = "/api/2.0/mlflow/experiments/search?max_results=1"
LIST = "/api/3.0/mlflow/workspaces"


def listed(server: MlflowServer, token: str) -> list[str]:
    answer = server.ask("GET", LIST, token=token)
    assert answer.status == 200, answer.text
    return [found["name"] for found in answer.json.get("workspaces", [])]


def test_everybody_sees_exactly_the_workspaces_in_which_they_hold_a_right(
    server: MlflowServer, cluster: Cluster
) -> None:
    people = cluster.people
    assert listed(server, people.alice.token) == [TEAM_A]  # and not the hidden one, where she has edit, too
    assert listed(server, people.bob.token) == [TEAM_A]
    assert listed(server, people.carol.token) == [TEAM_B]
    assert listed(server, cluster.trainer) == [TEAM_A]
    assert listed(server, cluster.unbound) == []
    assert listed(server, people.mallory.token) == []
    assert {TEAM_A, TEAM_B, MATRIX} <= set(listed(server, people.root.token))


def test_a_list_is_not_changed_by_the_workspace_that_the_header_names(
    server: MlflowServer, cluster: Cluster
) -> None:
    for name in (TEAM_B, ABSENT, HIDDEN, ""):
        answer = server.ask("GET", LIST, token=cluster.people.alice.token, workspace=name)
        assert [found["name"] for found in answer.json["workspaces"]] == [TEAM_A]


def test_a_workspace_shows_its_description(server: MlflowServer, cluster: Cluster) -> None:
    answer = server.ask("GET", f"{LIST}/{TEAM_A}", token=cluster.people.alice.token)
    assert answer.json["workspace"]["description"] == "The first team"


def test_one_named_right_is_enough_to_see_a_workspace(server: MlflowServer, cluster: Cluster) -> None:
    """Given a Role on one named object alone, when workspaces are listed, then its namespace is there."""
    plane = cluster.plane
    plane.namespace("team-single", labels=LABEL)
    rule = {
        "apiGroups": ["mlflow.kubeflow.org"],
        "resources": ["experiments"],
        "resourceNames": ["only-this"],
        "verbs": ["get"],
    }
    plane.role("team-single", "reader", rules=[rule])
    plane.bind("team-single", "reader", user=cluster.people.mallory.name, kind="Role")
    until(lambda: listed(server, cluster.people.mallory.token) == ["team-single"])
    plane.delete("/api/v1/namespaces/team-single")


def test_the_path_wins_over_the_header(server: MlflowServer, cluster: Cluster) -> None:
    """Given path and header that name two workspaces, then the path's is checked, and MLflow acts on it.

    The hole of Kubeflow's plugin: it checks one and MLflow reads the other.
    """
    alice, carol = cluster.people.alice.token, cluster.people.carol.token
    server.skip_records()
    own = server.ask("GET", f"{LIST}/{TEAM_A}", token=alice, workspace=TEAM_B)
    assert (own.status, own.json["workspace"]["name"]) == (200, TEAM_A)
    foreign = server.ask("GET", f"{LIST}/{TEAM_B}", token=alice, workspace=TEAM_A)
    assert foreign.status == 403
    assert 'in the namespace "team-b"' in foreign.json["message"]
    assert server.ask("GET", f"{LIST}/{TEAM_B}", token=carol, workspace=ABSENT).status == 200
    assert [record["workspace"] for record in server.records(3)] == [TEAM_A, TEAM_B, TEAM_B]


@pytest.mark.parametrize(
    "headers",
    [
        [(WORKSPACE, TEAM_A), (WORKSPACE, TEAM_B)],
        [(WORKSPACE, f"{TEAM_A},{TEAM_B}")],
        [(WORKSPACE, "TEAM-A")],
        [(WORKSPACE, "../team-a")],
        [(WORKSPACE, "t" * 64)],
        [],
    ],
)
def test_a_request_that_means_no_one_workspace_is_a_400(
    server: MlflowServer, cluster: Cluster, headers: list[tuple[str, str]]
) -> None:
    answer = server.ask("GET", SEARCH, token=cluster.people.alice.token, headers=headers)
    assert answer.status == 400
    assert answer.json["error_code"] == "INVALID_PARAMETER_VALUE"


def test_a_second_header_with_underscores_reaches_nobody(server: MlflowServer, cluster: Cluster) -> None:
    """Given a header that WSGI would fold into ours, then MLflow acts in the workspace that was checked."""
    alice, carol = cluster.people.alice.token, cluster.people.carol.token
    made = server.ask(
        "POST",
        "/api/2.0/mlflow/experiments/create",
        token=carol,
        workspace=TEAM_B,
        json_body={"name": "of-team-b-only"},
    )
    assert made.status == 200, made.text
    by_name = "/api/2.0/mlflow/experiments/get-by-name?experiment_name=of-team-b-only"
    sneaky = [("X_MLFLOW_WORKSPACE", TEAM_B)]
    assert server.ask("GET", by_name, token=alice, workspace=TEAM_A, headers=sneaky).status == 404
    assert server.ask("GET", by_name, token=carol, workspace=TEAM_B).status == 200


def test_a_namespace_made_a_moment_ago_serves_at_once(server: MlflowServer, cluster: Cluster) -> None:
    """Given namespaces just made and labelled, when they are used in the same moment, then all serve."""
    for number in range(5):
        name = f"team-new-{number}"
        cluster.plane.namespace(name, labels=LABEL)
        assert server.ask("GET", SEARCH, token=cluster.people.root.token, workspace=name).status == 200


def test_a_namespace_labelled_a_moment_ago_serves(server: MlflowServer, cluster: Cluster) -> None:
    """Given a namespace that was asked for before it was a workspace, when it becomes one, then it serves."""
    root, name = cluster.people.root.token, "team-later"
    cluster.plane.namespace(name)
    assert server.ask("GET", SEARCH, token=root, workspace=name).status == 404
    path = f"/api/v1/namespaces/{name}"
    assert cluster.plane.ask("PATCH", path, {"metadata": {"labels": LABEL}}).status == 200
    until(lambda: server.ask("GET", SEARCH, token=root, workspace=name).status == 200)
    unlabelled = {"metadata": {"labels": dict.fromkeys(LABEL)}}
    assert cluster.plane.ask("PATCH", path, unlabelled).status == 200
    until(lambda: server.ask("GET", SEARCH, token=root, workspace=name).status == 404)


def test_a_deleted_namespace_serves_no_longer(server: MlflowServer, cluster: Cluster) -> None:
    root, name = cluster.people.root.token, "team-gone"
    cluster.plane.namespace(name, labels=LABEL)
    assert server.ask("GET", SEARCH, token=root, workspace=name).status == 200
    cluster.plane.delete(f"/api/v1/namespaces/{name}")
    until(lambda: server.ask("GET", SEARCH, token=root, workspace=name).status == 404)
    assert name not in listed(server, root)


def test_a_binding_opens_and_its_removal_closes(server: MlflowServer, cluster: Cluster) -> None:
    """Given no rights, when a RoleBinding lets somebody in they come in, and when it goes they go."""
    dora = cluster.people.dora
    assert server.ask("GET", SEARCH, token=dora.token, workspace=TEAM_B).status == 403
    binding = cluster.plane.bind(TEAM_B, "view", user=dora.name)
    assert binding.startswith(f"{RBAC}/namespaces/{TEAM_B}/rolebindings/")
    until(lambda: server.ask("GET", SEARCH, token=dora.token, workspace=TEAM_B).status == 200)
    until(lambda: listed(server, dora.token) == [TEAM_B])
    cluster.plane.delete(binding)
    until(lambda: server.ask("GET", SEARCH, token=dora.token, workspace=TEAM_B).status == 403)
    until(lambda: listed(server, dora.token) == [])
