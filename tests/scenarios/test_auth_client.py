"""MLflow's own client of the contract (``mlflow.server.auth.client``) says what RBAC can say, and no more."""

from __future__ import annotations

from typing import Any

import pytest

from tests.harness.sdk import Sdk
from tests.harness.server import MlflowServer
from tests.scenarios.auth_steps import call_auth
from tests.scenarios.conftest import As
from tests.scenarios.people import TEAM_B, Cluster
from tests.scenarios.waiting import until


@pytest.fixture
def carol(using_sdk: As, cluster: Cluster) -> Sdk:
    """Administers team-b."""
    return using_sdk(token=cluster.people.carol.token, workspace=TEAM_B)


def test_roles_and_permissions_by_mlflows_client(carol: Sdk, server: MlflowServer, cluster: Cluster) -> None:
    def auth(method: str, *arguments: Any) -> Any:
        return carol.run(call_auth, method, *arguments)

    assert auth("get_user", "carol")["username"] == "carol"
    assert auth("create_user", "dora", "is not kept")["username"] == "dora"
    role = auth("create_role", TEAM_B, "modelers", "They model.")
    added = auth("add_role_permission", role["id"], "registered_model", "*", "READ")
    assert auth("list_role_permissions", role["id"]) == [added]
    assert auth("update_role_permission", added["id"], "EDIT")["permission"] == "EDIT"
    assert auth("assign_role", "dora", role["id"])["role_id"] == role["id"]
    (given,) = auth("list_user_roles", "dora")
    assert (given["name"], given["permissions"][0]["permission"]) == ("modelers", "EDIT")
    assert len(auth("list_role_users", role["id"])) == 1
    assert role["id"] in {each["id"] for each in auth("list_roles", TEAM_B)}
    assert role["id"] in {each["id"] for each in auth("list_all_roles")}
    path, by_dora = "/api/2.0/mlflow/registered-models/create", cluster.people.dora.token
    document = {"name": "by-dora"}
    # The API server's own authorizer may hear of the role a moment after the server.
    until(lambda: server.ask("POST", path, token=by_dora, workspace=TEAM_B, json_body=document).status == 200)
    auth("grant_user_permission", "dora", "registered_model", "by-dora", "MANAGE")
    assert auth("get_user_permission", "dora", "registered_model", "by-dora") == {
        "allowed": True,
        "permission": "MANAGE",
    }
    auth("revoke_user_permission", "dora", "registered_model", "by-dora")
    auth("unassign_role", "dora", role["id"])
    assert (
        auth("get_user_permission", "dora", "registered_model", "by-dora")["permission"] == "NO_PERMISSIONS"
    )
    auth("remove_role_permission", added["id"])
    assert auth("update_role", role["id"], None, "Nothing.")["description"] == "Nothing."
    assert auth("get_role", role["id"])["permissions"] == []
    auth("delete_role", role["id"])
    assert carol.fails(call_auth, "get_role", role["id"]).error_code == "RESOURCE_DOES_NOT_EXIST"


@pytest.mark.parametrize(
    ("method", "arguments", "part"),
    [
        ("update_user_password", ("carol", "x", "y"), "no passwords"),
        ("update_user_admin", ("dora", True), "clusterrolebinding"),
        ("delete_user", ("dora",), "Users are not kept here"),
        ("get_user", ("nobody-at-all",), "No binding that you may list names"),
        ("grant_user_permission", ("dora", "experiment", "0", "DENY"), "RBAC only adds rights"),
    ],
)
def test_what_rbac_cannot_say_is_answered_clearly(
    carol: Sdk, method: str, arguments: tuple[Any, ...], part: str
) -> None:
    assert part in carol.fails(call_auth, method, *arguments).message
