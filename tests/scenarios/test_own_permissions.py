"""Who am I, and what may I: MLflow's contract about the caller, on both engines."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.harness.server import MlflowServer
from tests.scenarios.audiences import Site
from tests.scenarios.people import NAMED, TEAM_A, TEAM_B, Cluster
from tests.scenarios.studio import Studio

CURRENT = "/ajax-api/2.0/mlflow/users/current"
PERMISSIONS = "/ajax-api/3.0/mlflow/users/current/permissions"
ROLES = "/ajax-api/3.0/mlflow/users/roles/list"


def asked(server: MlflowServer, path: str, token: str, **query: str) -> Any:
    answer = server.ask("GET", f"{path}?{urlencode(query)}", token=token)
    assert answer.status == 200, answer.text
    return answer.json


def levels(server: MlflowServer, token: str, workspace: str) -> dict[str, str]:
    rows = asked(server, PERMISSIONS, token)["permissions"]
    return {
        f"{row['resource_type']}:{row['resource_pattern']}": row["permission"]
        for row in rows
        if row["workspace"] == workspace
    }


def test_each_caller_is_told_their_name(server: MlflowServer, cluster: Cluster) -> None:
    people = cluster.people
    for token, name, is_admin in (
        (people.alice.token, "alice", False),
        (people.carol.token, "carol", False),
        (people.mallory.token, "mallory", False),
        (people.root.token, "root", True),
        (cluster.trainer, "system:serviceaccount:team-a:trainer", False),
    ):
        document = asked(server, CURRENT, token)
        assert document["user"]["username"] == name
        assert document["user"]["is_admin"] is is_admin
        assert 0 < document["user"]["id"] < 2**53
        assert document["is_basic_auth"] is False
        assert asked(server, "/api/2.0/mlflow/users/current", token) == document


def test_who_came_with_basic_can_sign_out(server: MlflowServer, cluster: Cluster) -> None:
    password = base64.b64encode(f"x:{cluster.people.alice.token}".encode()).decode()
    answer = server.ask("GET", CURRENT, headers={"Authorization": f"Basic {password}"})
    assert answer.json["is_basic_auth"] is True


def test_editors_viewers_and_administrators_see_their_levels(server: MlflowServer, cluster: Cluster) -> None:
    people = cluster.people
    assert levels(server, people.alice.token, TEAM_A)["experiment:*"] == "MANAGE"
    assert levels(server, people.alice.token, TEAM_B) == {}
    viewer = levels(server, people.bob.token, TEAM_A)
    assert viewer["experiment:*"] == viewer["gateway_endpoint:*"] == "READ"
    assert "gateway_secret:*" not in viewer
    assert "workspace:*" not in levels(server, people.alice.token, TEAM_A)
    assert levels(server, people.carol.token, TEAM_B)["workspace:*"] == "MANAGE"
    account = levels(server, cluster.trainer, TEAM_A)
    assert (account["experiment:*"], account["gateway_endpoint:*"]) == ("EDIT", "USE")
    assert levels(server, people.mallory.token, TEAM_A) == {}


def test_rights_on_single_objects_are_told_by_mlflows_ids(
    server: MlflowServer, cluster: Cluster, studios: dict[str, Studio]
) -> None:
    experiment = studios["own"].experiment
    given = levels(server, cluster.people.nora.token, NAMED)
    assert given[f"experiment:{experiment}"] == "MANAGE"
    assert "experiment:*" not in given


def test_groups_are_roles_of_the_account_page(server: MlflowServer, cluster: Cluster) -> None:
    people = cluster.people
    (role,) = asked(server, ROLES, people.bob.token, username=people.bob.name)["roles"]
    assert (role["name"], role["workspace"]) == ("group:readers", TEAM_A)
    assert {"resource_type": "experiment", "resource_pattern": "*", "permission": "READ"}.items() <= role[
        "permissions"
    ][0].items()
    named = [role["name"] for role in asked(server, ROLES, people.carol.token, username="carol")["roles"]]
    assert named == ["admin", "workspace-admin"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PATCH", "/ajax-api/2.0/mlflow/users/update-password"),
        ("PATCH", "/ajax-api/2.0/mlflow/users/update-admin"),
        ("DELETE", "/ajax-api/2.0/mlflow/users/delete"),
    ],
)
def test_what_kubernetes_does_not_have_is_answered_with_a_sentence(
    server: MlflowServer, cluster: Cluster, method: str, path: str
) -> None:
    answer = server.ask(method, path, token=cluster.people.alice.token, json_body={"username": "alice"})
    assert (answer.status, answer.json["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert answer.json["message"].endswith((".", "USER"))


def test_nobody_is_told_anything_without_a_credential(server: MlflowServer) -> None:
    for path in (CURRENT, PERMISSIONS, ROLES):
        assert server.ask("GET", path).status == 401


def test_callers_by_name_are_told_the_same_as_callers_by_token(site: Site) -> None:
    """Kubernetes lists nobody's rights by name, so each is asked for."""
    by_name = asked(site.server, PERMISSIONS, site.trainer)
    by_token = asked(site.server, PERMISSIONS, site.cluster.trainer)
    assert by_name == by_token
    assert by_name["permissions"]
    assert asked(site.server, ROLES, site.trainer, username="system:serviceaccount:team-a:trainer") == asked(
        site.server, ROLES, site.cluster.trainer, username="system:serviceaccount:team-a:trainer"
    )
