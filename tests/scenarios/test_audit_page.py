"""What was decided, looked at in a browser or as JSON: whose, in which namespace, with which names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.harness.browser import chromium
from tests.harness.http import Answer
from tests.harness.plane import EMBEDDED
from tests.harness.server import MlflowServer
from tests.scenarios.people import ABSENT, HIDDEN, LABEL, NAMED, TEAM_A, TEAM_B, Cluster
from tests.scenarios.waiting import until

API, PAGE = "/workspace-authz/api/audit", "/workspace-authz/audit"
SEARCH = "/api/2.0/mlflow/experiments/search?max_results=10"
MODELS = "/api/2.0/mlflow/registered-models"

Records = list[dict[str, Any]]
Look = Callable[..., Answer]


@pytest.fixture
def look(server: MlflowServer) -> Look:
    """Ask for what was decided."""

    def look(token: str, workspace: str, path: str = API, **query: str) -> Answer:
        return server.ask("GET", f"{path}?{urlencode({'workspace': workspace, **query})}", token=token)

    return look


def records(answer: Answer) -> Records:
    assert answer.status == 200, answer.text
    found: Records = answer.json["records"]
    return found


def operations(answer: Answer) -> set[tuple[str, str, str]]:
    return {(row["user"], row["operation"], row["decision"]) for row in records(answer)}


def test_the_admin_of_a_namespace_sees_what_was_decided_there(
    server: MlflowServer, cluster: Cluster, look: Look
) -> None:
    """Given requests of several people, when the namespace's admin looks, then all are there."""
    people = cluster.people
    assert server.ask("GET", SEARCH, token=people.carol.token, workspace=TEAM_B).status == 200
    assert server.ask("GET", SEARCH, token=people.mallory.token, workspace=TEAM_B).status == 403
    wanted = {
        ("carol", "SearchExperiments", "allow"),
        ("mallory", "SearchExperiments", "deny"),
    }
    until(lambda: wanted <= operations(look(people.carol.token, TEAM_B)))
    refused = records(look(people.carol.token, TEAM_B, user="mallory", decision="deny"))[0]
    assert (refused["status"], refused["code"]) == (403, "PERMISSION_DENIED")
    assert refused["checks"] == [{"verb": "list", "resource": "experiments", "allowed": False}]
    page = look(people.carol.token, TEAM_B, path=PAGE).text
    assert "mallory" in page
    assert "PERMISSION_DENIED" in page
    assert people.carol.token not in page + look(people.carol.token, TEAM_B).text


def test_others_see_their_own_and_no_name_of_anybody_else(
    server: MlflowServer, cluster: Cluster, look: Look
) -> None:
    """Given edit (no right on RoleBindings), when alice looks, then she finds her own requests only."""
    people = cluster.people
    for person in (people.alice, people.bob):
        assert server.ask("GET", SEARCH, token=person.token, workspace=TEAM_A).status == 200
    until(lambda: bool(records(look(people.alice.token, TEAM_A))))
    until(lambda: "bob@example.com" in look(people.root.token, TEAM_A).text)
    for query in ({}, {"user": people.bob.name}, {"own": "false"}):
        answer = look(people.alice.token, TEAM_A, **query)
        assert {row["user"] for row in records(answer)} <= {"alice"}
        assert answer.json["of_everybody"] is False
    page = look(people.alice.token, TEAM_A, path=PAGE)
    assert page.status == 200
    assert "bob@example.com" not in page.text


def test_who_has_no_right_learns_nothing_of_any_namespace(
    server: MlflowServer, cluster: Cluster, look: Look
) -> None:
    """Given refused requests of mallory's own, then all namespaces answer alike, missing ones too."""
    token = cluster.people.mallory.token
    for workspace in (TEAM_A, HIDDEN, ABSENT):
        server.ask("GET", SEARCH, token=token, workspace=workspace)
    for path in (API, PAGE):
        answers = [look(token, workspace, path=path) for workspace in (TEAM_A, HIDDEN, ABSENT, "default")]
        assert {answer.status for answer in answers} == {403}
        names = (TEAM_A, HIDDEN, ABSENT, "default")
        texts = {answer.text.replace(name, "X") for answer, name in zip(answers, names, strict=True)}
        assert len({text.partition("nonce")[0] for text in texts}) == 1
        assert not any(answer.text.count("experiments/search") for answer in answers)
    assert look("garbage", TEAM_A).status == 401


def test_names_of_objects_need_a_right_to_see_them(
    server: MlflowServer, cluster: Cluster, look: Look, named_rights: None
) -> None:
    """Given a right on one model by name, then the name is told to nora herself and to who may see models,
    and is neither shown to nor found by somebody who may only list RoleBindings."""
    plane, people = cluster.plane, cluster.people
    name = "audited-model"
    rule = {"apiGroups": ["mlflow.kubeflow.org"], "resources": ["registeredmodels"], "resourceNames": [name]}
    plane.role(NAMED, "audited", rules=[{**rule, "verbs": ["get"]}])
    plane.role(
        NAMED,
        "auditor",
        rules=[
            {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["rolebindings"], "verbs": ["list"]}
        ],
    )
    bound = [
        plane.bind(NAMED, "audited", user=people.nora.name, kind="Role"),
        plane.bind(NAMED, "auditor", user=people.dora.name, kind="Role"),
    ]
    server.ask("POST", f"{MODELS}/create", token=people.root.token, workspace=NAMED, json_body={"name": name})
    until(
        lambda: (
            server.ask("GET", f"{MODELS}/get?name={name}", token=people.nora.token, workspace=NAMED).status
            == 200
        )
    )
    until(lambda: look(people.dora.token, NAMED, user="nora").status == 200)
    mine = {"name": name, "decision": "allow"}
    until(lambda: bool(records(look(people.nora.token, NAMED, **mine))))
    assert records(look(people.root.token, NAMED, user="nora", **mine))
    seen = look(people.dora.token, NAMED, user="nora", resource="registeredmodels", decision="allow")
    assert records(seen)
    assert name not in seen.text
    assert records(look(people.dora.token, NAMED, user="nora", **mine)) == []
    assert name not in look(people.dora.token, NAMED, path=PAGE, user="nora").text
    root = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMED}/roles"
    for path in (*bound, f"{root}/audited", f"{root}/auditor"):
        plane.delete(path)


def test_a_namespace_that_is_made_again_does_not_inherit_what_was_decided(
    server: MlflowServer, cluster: Cluster, look: Look
) -> None:
    """Given records of a namespace, when it is made again, then its new admin sees none of them."""
    plane, people = cluster.plane, cluster.people
    name, path = "team-audit", "/api/v1/namespaces/team-audit"
    plane.namespace(name, labels=LABEL)
    plane.bind(name, "admin", user=people.dora.name)
    plane.wait_for_access(people.dora.token, name, verb="list", resource="experiments")
    until(lambda: server.ask("GET", SEARCH, token=people.dora.token, workspace=name).status == 200)
    until(lambda: ("dora", "SearchExperiments", "allow") in operations(look(people.dora.token, name)))
    plane.delete(path)
    until(lambda: plane.ask("GET", path).status == 404)
    plane.namespace(name, labels=LABEL)
    plane.bind(name, "admin", user=people.dora.name)
    plane.wait_for_access(people.dora.token, name, verb="list", resource="experiments")
    until(
        lambda: look(people.dora.token, name).status == 200 and records(look(people.dora.token, name)) == []
    )
    assert server.ask("POST", f"{MODELS}/create", token=people.dora.token, workspace=name).status != 200
    until(lambda: bool(records(look(people.dora.token, name))))
    assert ("dora", "SearchExperiments", "allow") not in operations(look(people.dora.token, name))
    plane.delete(path)


@pytest.mark.parametrize("query", ["before=x", "limit=0", "decision=perhaps", "user=a&user=b", "name=%FF"])
def test_a_query_that_cannot_be_read_is_refused(server: MlflowServer, cluster: Cluster, query: str) -> None:
    answer = server.ask("GET", f"{API}?workspace={TEAM_B}&{query}", token=cluster.people.carol.token)
    assert answer.status == (200 if query == "name=%FF" else 400)


@pytest.mark.parametrize("engine", [EMBEDDED], indirect=True)
def test_an_admin_finds_in_a_browser_who_was_refused(
    server: MlflowServer, cluster: Cluster, look: Look
) -> None:
    """Given a refused request, when carol opens the page and filters, then she reads it, and nothing runs."""
    people = cluster.people
    assert server.ask("GET", SEARCH, token=people.carol.token, workspace=TEAM_B).status == 200
    assert server.ask("GET", SEARCH, token=people.mallory.token, workspace=TEAM_B).status == 403
    until(lambda: bool(records(look(people.carol.token, TEAM_B, user="mallory", decision="deny"))))
    with chromium() as browser, browser.profile() as carol:
        carol.context.set_extra_http_headers({"Authorization": f"Bearer {people.carol.token}"})
        carol.go(f"{server.url}{PAGE}")
        carol.wait_for("table")
        assert "because you may list its RoleBindings" in carol.text
        carol.type("input[name=user]", "mallory")
        carol.page.select_option("select[name=decision]", "deny")
        carol.click("main form button")
        carol.page.wait_for_url("**user=mallory**")
        assert "mallory" in carol.page.locator("table").inner_text()
        assert "carol" not in carol.page.locator("table").inner_text()
        assert "PERMISSION_DENIED" in carol.text
        carol.type("input[name=user]", "</script><script>document.title='owned'</script>")
        carol.click("main form button")
        carol.page.wait_for_url("**script**")
        assert "There is nothing that matches" in carol.text
        assert "owned" not in carol.page.title()
        assert (carol.console_errors, carol.failed) == ([], [])


def test_a_grant_is_there_and_names_its_object_to_who_may_list_roles(
    server: MlflowServer, cluster: Cluster, look: Look
) -> None:
    """Given a grant that carol makes, then she reads it, and who may list only RoleBindings does not."""
    plane, people = cluster.plane, cluster.people
    change = "grant lena READ on experiments/*"
    rules = [{"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["rolebindings"], "verbs": ["list"]}]
    plane.role(TEAM_B, "binding-lister", rules=rules)
    bound = plane.bind(TEAM_B, "binding-lister", user=people.dora.name, kind="Role")
    answer = server.ask(
        "POST",
        "/ajax-api/3.0/mlflow/users/permissions/grant",
        token=people.carol.token,
        workspace=TEAM_B,
        json_body={
            "username": people.lena.name,
            "resource_type": "experiment",
            "resource_id": "*",
            "permission": "READ",
        },
    )
    assert answer.status == 200, answer.text
    until(lambda: change in look(people.carol.token, TEAM_B).text)
    until(lambda: look(people.dora.token, TEAM_B, user="carol").status == 200)
    seen = look(people.dora.token, TEAM_B, user="carol")
    assert any(row["change"] for row in records(seen))
    assert change not in seen.text
    root = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{TEAM_B}"
    for path in (bound, f"{root}/roles/binding-lister"):
        plane.delete(path)
    given = {"username": people.lena.name, "resource_type": "experiment", "resource_id": "*"}
    revoke = "/ajax-api/3.0/mlflow/users/permissions/revoke"
    answer = server.ask("POST", revoke, token=people.carol.token, workspace=TEAM_B, json_body=given)
    assert answer.status == 200, answer.text
