"""Who may what: granting and revoking by MLflow's contract, with the caller's own token, on both engines."""

from __future__ import annotations

import json
import uuid
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.harness.http import Answer
from tests.harness.server import MlflowServer
from tests.scenarios.audiences import AUDIENCE, Site
from tests.scenarios.granted import ours
from tests.scenarios.people import TEAM_A, TEAM_B, Cluster
from tests.scenarios.sign_in_site import SignInSite
from tests.scenarios.signing_in import TOKEN, person
from tests.scenarios.waiting import until
from workspace_authz.grants.ids import number_of

V2, V3 = "/ajax-api/2.0/mlflow", "/ajax-api/3.0/mlflow"
RBAC = "/apis/rbac.authorization.k8s.io/v1"


class Admin:
    """Calls the contract as somebody."""

    def __init__(self, server: MlflowServer, token: str, workspace: str | None = None) -> None:
        self.server, self.token, self.workspace = server, token, workspace

    def ask(self, method: str, path: str, document: Any = None, **query: str) -> Answer:
        target = f"{path}?{urlencode(query)}" if query else path
        return self.server.ask(method, target, token=self.token, workspace=self.workspace, json_body=document)

    def get(self, path: str, **query: str) -> Any:
        answer = self.ask("GET", path, **query)
        assert answer.status == 200, answer.text
        return answer.json

    def change(self, method: str, path: str, **document: Any) -> Any:
        answer = self.ask(method, path, document)
        assert answer.status == 200, answer.text
        return answer.json


@pytest.fixture
def carol(server: MlflowServer, cluster: Cluster) -> Admin:
    """Administers team-b."""
    return Admin(server, cluster.people.carol.token, TEAM_B)


@pytest.fixture
def fraud(carol: Admin) -> str:
    """The id of an experiment of team-b."""
    made = carol.change("POST", "/api/2.0/mlflow/experiments/create", name=f"fraud-{uuid.uuid4().hex}")
    return str(made["experiment_id"])


def reads(server: MlflowServer, token: str, experiment: str) -> int:
    path = f"/api/2.0/mlflow/experiments/get?experiment_id={experiment}"
    return server.ask("GET", path, token=token, workspace=TEAM_B).status


def then_reading_answers(status: int, server: MlflowServer, token: str, experiment: str) -> None:
    """The server has seen the change by now. The API server's authorizer may be a moment behind it."""
    until(lambda: reads(server, token, experiment) == status)


def managed(cluster: Cluster, kind: str) -> list[Any]:
    label = "app.kubernetes.io%2Fmanaged-by%3Dworkspace-authz"
    answer = cluster.plane.ask("GET", f"{RBAC}/namespaces/{TEAM_B}/{kind}?labelSelector={label}")
    return [item for item in answer.json["items"] if ours(item)]


def test_one_experiment_is_granted_seen_at_once_and_revoked(
    server: MlflowServer, cluster: Cluster, carol: Admin, fraud: str
) -> None:
    dora = cluster.people.dora
    # Given somebody who holds nothing
    then_reading_answers(403, server, dora.token, fraud)
    # When an administrator of the namespace grants them one experiment by its id
    server.skip_records()
    carol.change(
        "POST",
        f"{V3}/users/permissions/grant",
        username="dora",
        resource_type="experiment",
        resource_id=fraud,
        permission="READ",
    )
    # Then they see exactly that at once, RBAC says it in plain objects, and the trail says who did it
    then_reading_answers(200, server, dora.token, fraud)
    (record,) = [each for each in server.records(1) if each.get("change")]
    assert (record["user"], record["workspace"]) == ("carol", TEAM_B)
    assert record["change"] == f"grant dora READ on experiments/{fraud}"
    (binding,) = managed(cluster, "rolebindings")
    (role,) = managed(cluster, "roles")
    assert binding["subjects"] == [{"kind": "User", "name": "dora", "apiGroup": "rbac.authorization.k8s.io"}]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert role["rules"][0]["verbs"] == ["get", "list"]
    # And the UI's own questions show it
    users = {user["username"]: user for user in carol.get(f"{V2}/users/list")["users"]}
    (direct,) = users["dora"]["roles"]
    assert direct["name"] == f"__user_{users['dora']['id']}__"
    assert direct["permissions"][0]["resource_pattern"] == fraud
    # When the level changes
    carol.change(
        "POST",
        f"{V3}/users/permissions/grant",
        username="dora",
        resource_type="experiment",
        resource_id=fraud,
        permission="EDIT",
    )
    asked = {"username": "dora", "resource_type": "experiment", "resource_id": fraud}
    assert carol.get(f"{V3}/users/permissions/get", **asked) == {"allowed": True, "permission": "EDIT"}
    assert len(managed(cluster, "roles")) == 1
    # When it is revoked, it is gone at once, with its objects
    carol.change("POST", f"{V3}/users/permissions/revoke", **asked)
    then_reading_answers(403, server, dora.token, fraud)
    assert managed(cluster, "rolebindings") == managed(cluster, "roles") == []


def test_a_level_on_all_experiments_is_granted_and_revoked(
    server: MlflowServer, cluster: Cluster, carol: Admin, fraud: str
) -> None:
    """``All experiments`` in the UI's dialog."""
    all_of_them = {"username": "dora", "resource_type": "experiment", "resource_id": "*"}
    carol.change("POST", f"{V3}/users/permissions/grant", **all_of_them, permission="READ")
    then_reading_answers(200, server, cluster.people.dora.token, fraud)
    given = carol.get(f"{V3}/users/permissions/list", username="dora")["permissions"]
    assert [(row["resource_pattern"], row["permission"]) for row in given] == [("*", "READ")]
    carol.change("POST", f"{V3}/users/permissions/revoke", **all_of_them)
    then_reading_answers(403, server, cluster.people.dora.token, fraud)


def test_roles_are_made_filled_assigned_and_deleted(
    server: MlflowServer, cluster: Cluster, carol: Admin, fraud: str
) -> None:
    dora = cluster.people.dora
    role = carol.change(
        "POST", f"{V3}/roles/create", name="annotators", workspace=TEAM_B, description="They label."
    )["role"]
    assert (role["name"], role["workspace"], role["permissions"]) == ("annotators", TEAM_B, [])
    permission = carol.change(
        "POST",
        f"{V3}/roles/permissions/add",
        role_id=role["id"],
        resource_type="experiment",
        resource_pattern=fraud,
        permission="EDIT",
    )["role_permission"]
    assert (permission["resource_pattern"], permission["permission"]) == (fraud, "EDIT")
    carol.change("POST", f"{V3}/roles/assign", username="dora", role_id=role["id"])
    then_reading_answers(200, server, dora.token, fraud)
    (assigned,) = carol.get(f"{V3}/roles/users/list", role_id=str(role["id"]))["assignments"]
    assert assigned["user_id"] == number_of("user", "dora")
    changed = carol.change("PATCH", f"{V3}/roles/update", role_id=role["id"], description="They read.")
    assert changed["role"]["description"] == "They read."
    carol.change(
        "PATCH", f"{V3}/roles/permissions/update", role_permission_id=permission["id"], permission="READ"
    )
    shown = carol.get(f"{V3}/roles/get", role_id=str(role["id"]))["role"]
    assert [each["permission"] for each in shown["permissions"]] == ["READ"]
    carol.change("DELETE", f"{V3}/roles/permissions/remove", role_permission_id=permission["id"])
    then_reading_answers(403, server, dora.token, fraud)
    carol.change("DELETE", f"{V3}/roles/unassign", username="dora", role_id=role["id"])
    carol.change("DELETE", f"{V3}/roles/delete", role_id=role["id"])
    assert managed(cluster, "rolebindings") == managed(cluster, "roles") == []


def test_a_shipped_role_is_assigned_and_taken_back(
    server: MlflowServer, cluster: Cluster, carol: Admin, fraud: str
) -> None:
    roles = {role["name"]: role for role in carol.get(f"{V3}/roles/list", workspace=TEAM_B)["roles"]}
    assert {"mlflow-view", "mlflow-edit", "mlflow-admin", "mlflow-integration", "admin"} <= roles.keys()
    view = roles["mlflow-view"]["id"]
    carol.change("POST", f"{V3}/roles/assign", username="dora", role_id=view)
    then_reading_answers(200, server, cluster.people.dora.token, fraud)
    carol.change("DELETE", f"{V3}/roles/unassign", username="dora", role_id=view)
    then_reading_answers(403, server, cluster.people.dora.token, fraud)


def test_what_was_made_by_hand_is_shown_and_never_written(carol: Admin, cluster: Cluster) -> None:
    (user,) = [each for each in carol.get(f"{V2}/users/list")["users"] if each["username"] == "carol"]
    roles = {role["name"]: role for role in user["roles"]}
    assert roles["admin"]["description"].endswith(" to ClusterRole admin, aggregated")
    answer = carol.ask(
        "DELETE", f"{V3}/roles/unassign", {"username": "carol", "role_id": roles["admin"]["id"]}
    )
    assert answer.status == 409
    assert "kubectl" in answer.json["message"]
    answer = carol.ask("DELETE", f"{V3}/roles/delete", {"role_id": roles["admin"]["id"]})
    assert (answer.status, "not made here" in answer.json["message"]) == (400, True)


def test_who_may_not_list_bindings_learns_no_name(server: MlflowServer, cluster: Cluster, fraud: str) -> None:
    people = cluster.people
    for token in (people.alice.token, people.mallory.token, cluster.trainer):
        admin = Admin(server, token, TEAM_B)
        shown = admin.get(f"{V2}/users/list")
        assert len(shown["users"]) == 1
        assert "carol" not in json.dumps(shown)
        refused = admin.ask("GET", f"{V3}/roles/list", workspace=TEAM_B)
        assert (refused.status, refused.json["error_code"]) == (403, "PERMISSION_DENIED")
        assert admin.ask("GET", f"{V3}/users/roles/list", username="carol").status == 403
        # Whether an id exists shows in no answer.
        answers = {
            admin.ask(
                "POST",
                f"{V3}/users/permissions/grant",
                {
                    "username": "mallory",
                    "resource_type": "experiment",
                    "resource_id": identifier,
                    "permission": "READ",
                },
            ).text.replace(identifier, "ID")
            for identifier in (fraud, "987654")
        }
        assert len(answers) == 1


def test_levels_that_rbac_cannot_say_are_answered_with_a_sentence(carol: Admin, fraud: str) -> None:
    for document, part in (
        ({"permission": "DENY"}, "only adds rights"),
        ({"permission": "NO_PERMISSIONS"}, "only adds rights"),
        ({"permission": "OWN"}, "one of READ"),
        ({"resource_type": "workspace", "resource_id": "*"}, "A workspace is a namespace"),
        ({"resource_type": "run", "resource_id": "*"}, "choose experiment"),
        ({"resource_id": "987654"}, "There is nothing"),
        ({"username": ""}, "username"),
    ):
        given = {
            "username": "dora",
            "resource_type": "experiment",
            "resource_id": fraud,
            "permission": "READ",
        }
        answer = carol.ask("POST", f"{V3}/users/permissions/grant", {**given, **document})
        assert answer.status in (400, 404), answer.text
        assert part in answer.json["message"]


PAGE = "/workspace-authz/permissions"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def sent(server: MlflowServer, path: str, token: str, fields: dict[str, str], **headers: str) -> Answer:
    body = urlencode(fields).encode()
    return server.ask("POST", path, token=token, headers={**FORM, **headers}, body=body)


def test_the_page_of_permissions_gives_and_takes_back(
    server: MlflowServer, cluster: Cluster, carol: Admin, fraud: str
) -> None:
    dora = cluster.people.dora
    name = carol.get(f"/api/2.0/mlflow/experiments/get?experiment_id={fraud}")["experiment"]["name"]
    one = {"workspace": TEAM_B, "subject": "dora", "resource": "experiments", "name": name}
    given = sent(server, PAGE, carol.token, {**one, "level": "READ"})
    assert (given.status, "Done" in given.text, "<b>READ</b>" in given.text) == (200, True, True)
    then_reading_answers(200, server, dora.token, fraud)
    about = urlencode({"workspace": TEAM_B, "resource": "experiments", "name": name})
    shown = server.ask("GET", f"{PAGE}?{about}", token=carol.token).text
    assert ("<td>dora</td>" in shown, "<td>carol</td>" in shown) == (True, True)
    other = urlencode({"workspace": TEAM_B, "resource": "experiments", "name": "another"})
    shown = server.ask("GET", f"{PAGE}?{other}", token=carol.token).text
    assert ("<td>dora</td>" in shown, "<td>carol</td>" in shown) == (False, True)
    taken = sent(server, f"{PAGE}/revoke", carol.token, one)
    assert (taken.status, "dora</td>" in taken.text) == (200, False)
    then_reading_answers(403, server, dora.token, fraud)
    whole = {"workspace": TEAM_B, "subject": "dora", "level": "view"}
    assert sent(server, PAGE, carol.token, whole).status == 200
    then_reading_answers(200, server, dora.token, fraud)
    role = {"workspace": TEAM_B, "subject": "dora", "kind": "ClusterRole", "role": "mlflow-view"}
    assert sent(server, f"{PAGE}/revoke", carol.token, role).status == 200
    then_reading_answers(403, server, dora.token, fraud)


def test_the_page_of_permissions_shows_bindings_to_who_may_list_them(
    server: MlflowServer, cluster: Cluster
) -> None:
    people = cluster.people
    shown = server.ask("GET", f"{PAGE}?workspace={TEAM_A}", token=people.alice.token).text
    assert "<b>MANAGE</b> on experiments" in shown
    assert "trainer" not in shown
    assert "group:readers" not in shown
    shown = server.ask("GET", f"{PAGE}?workspace={TEAM_A}", token=people.root.token).text
    for part in ("group:readers", "system:serviceaccount:team-a:trainer", "to ClusterRole edit, aggregated"):
        assert part in shown
    shown = server.ask("GET", f"{PAGE}?workspace={TEAM_B}", token=people.carol.token).text
    assert "Cluster-wide bindings may add more" in shown
    assert "root" not in shown


def test_pages_of_others_change_nothing(server: MlflowServer, cluster: Cluster, carol: Admin) -> None:
    whole = {"workspace": TEAM_B, "subject": "mallory", "level": "admin"}
    for headers in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ):
        answer = sent(server, PAGE, carol.token, whole, **headers)
        assert answer.status == 403
    # A page of this server's own.
    host = server.url.removeprefix("http://")
    bad = {**whole, "level": "owner"}
    answer = sent(server, PAGE, carol.token, bad, Origin=server.url, Host=host)
    assert (answer.status, "A level on a workspace" in answer.text) == (400, True)


def test_names_are_escaped_on_the_page(server: MlflowServer, carol: Admin) -> None:
    whole = {"workspace": TEAM_B, "subject": "<script>alert(1)</script>", "level": "view"}
    given = sent(server, PAGE, carol.token, whole)
    assert given.status == 200
    assert "<script>alert" not in given.text
    role = {**whole, "kind": "ClusterRole", "role": "mlflow-view"}
    assert sent(server, f"{PAGE}/revoke", carol.token, role).status == 200


def test_the_page_about_oneself(server: MlflowServer, cluster: Cluster) -> None:
    shown = server.ask("GET", "/workspace-authz/", token=cluster.people.bob.token).text
    for part in ("bob@example.com", "readers", TEAM_A, "<b>READ</b> on experiments"):
        assert part in shown
    assert server.ask("GET", "/workspace-authz/").status == 401


def test_who_has_no_token_for_the_kubernetes_api_gets_the_command(site: Site) -> None:
    plane = site.cluster.plane
    plane.service_account(TEAM_A, "granter")
    binding = plane.bind(TEAM_A, "admin", account=(TEAM_A, "granter"))
    token = site.token("granter", AUDIENCE)
    until(
        lambda: "workspace-admin" in own_roles(site.server, token, f"system:serviceaccount:{TEAM_A}:granter")
    )
    granter = Admin(site.server, token, TEAM_A)
    given = {"username": "dora", "resource_type": "registered_model", "resource_id": "fraud"}
    answer = granter.ask("POST", f"{V3}/users/permissions/grant", {**given, "permission": "READ"})
    assert answer.status == 403
    line = f"workspace-authz grant dora read --model=fraud -n {TEAM_A}"
    assert answer.json["message"].endswith(line)

    def shown() -> str:
        return site.server.ask("GET", f"{PAGE}?workspace={TEAM_A}", token=token).text

    until(lambda: "group:readers" in shown())
    page = shown()
    assert "<form" not in page.replace('<form action="', "")
    assert f"workspace-authz grant SUBJECT LEVEL -n {TEAM_A}" in page
    plane.delete(binding)


def own_roles(server: MlflowServer, token: str, name: str) -> list[str]:
    shown = Admin(server, token).get(f"{V3}/users/roles/list", username=name)
    return [role["name"] for role in shown["roles"]]


OWN_PAGE = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}


def test_a_session_grants_with_the_token_that_it_holds(sign_in: SignInSite, cluster: Cluster) -> None:
    given = {"username": "dora", "resource_type": "experiment", "resource_id": "*"}
    path = f"{V3}/users/permissions/grant"
    with person(sign_in.server) as carol:
        body = urlencode({"token": cluster.people.carol.token, "next": "/"}).encode()
        carol.ask("POST", TOKEN, headers={**FORM, **OWN_PAGE}, body=body)
        document = {**given, "permission": "READ"}
        # Another site's page has the cookie sent, too.
        for headers in ({**OWN_PAGE, "Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
            answer = carol.ask("POST", path, workspace=TEAM_B, headers=headers, json_body=document)
            assert answer.status == 403, answer.text
        answer = carol.ask("POST", path, workspace=TEAM_B, headers=OWN_PAGE, json_body=document)
        assert answer.status == 200, answer.text
        revoke = f"{V3}/users/permissions/revoke"
        assert carol.ask("POST", revoke, workspace=TEAM_B, headers=OWN_PAGE, json_body=given).status == 200
        assert carol.ask("GET", f"{V2}/users/current", headers=OWN_PAGE).json["is_basic_auth"] is True


def test_a_session_without_such_a_token_gets_the_command(sign_in: SignInSite) -> None:
    with person(sign_in.server) as alice:
        alice.sign_in("alice")
        document = {
            "username": "dora",
            "resource_type": "registered_model",
            "resource_id": "fraud",
            "permission": "EDIT",
        }
        path = f"{V3}/users/permissions/grant"
        answer = alice.ask("POST", path, workspace=TEAM_A, headers=OWN_PAGE, json_body=document)
        assert answer.status == 403
        assert answer.json["message"].endswith(f"workspace-authz grant dora edit --model=fraud -n {TEAM_A}")
