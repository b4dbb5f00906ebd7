"""What callers without credentials or rights can learn: nothing, least of all which namespaces exist."""

from __future__ import annotations

import base64
from functools import partial

import pytest

from tests.harness.http import Answer
from tests.harness.server import MlflowServer
from tests.identity.jwts import jwt
from tests.scenarios.people import ABSENT, HIDDEN, TEAM_A, TEAM_B, Cluster
from tests.scenarios.waiting import until

SEARCH = "/api/2.0/mlflow/experiments/search?max_results=1"
NAMESPACES = (TEAM_A, HIDDEN, ABSENT, "kube-system", "default")

ROUTES = [
    ("GET", SEARCH),
    ("POST", "/api/2.0/mlflow/runs/create"),
    ("GET", "/api/2.0/mlflow-artifacts/artifacts/1/x"),
    ("POST", "/v1/traces"),
    ("GET", "/graphql"),
    ("POST", "/gateway/mlflow/v1/chat/completions"),
    ("GET", "/api/3.0/mlflow/mcp-servers"),
    ("GET", "/no/such/route"),
    ("DELETE", "/"),
]


QUERY = {"query": '{ mlflowGetExperiment(input: {experimentId: "1"}) { experiment { name } } }'}


def comparable(answer: Answer, workspace: str) -> Answer:
    """Everything but the date and the name that was asked for."""
    plain = answer.without("date", "content-length")
    return Answer(plain.status, plain.headers, plain.body.replace(workspace.encode(), b"WORKSPACE"))


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("token", [None, "garbage"])
def test_without_a_valid_credential_every_namespace_answers_the_same(
    server: MlflowServer, method: str, path: str, token: str | None
) -> None:
    """Given no credential or a wrong one, when any namespace is named, then the 401s equal byte for byte."""
    answers = [server.ask(method, path, token=token, workspace=name) for name in NAMESPACES]
    answers.append(server.ask(method, path, token=token))
    assert answers[0].status == 401
    assert len({answer.without("date") for answer in answers}) == 1


def test_a_401_says_how_to_get_a_token(server: MlflowServer) -> None:
    answer = server.ask("GET", SEARCH, workspace=TEAM_A)
    assert answer.json["error_code"] == "UNAUTHENTICATED"
    assert "MLFLOW_TRACKING_TOKEN" in answer.json["message"]
    challenges = answer.header("www-authenticate")
    assert [challenge.partition(" ")[0] for challenge in challenges] == ["Basic", "Bearer"]  # sorted
    assert "content-type" in dict(answer.headers)


def test_a_401_says_that_a_token_says_it_expired(server: MlflowServer) -> None:
    """Given a token that ended in 2020, when it is sent in either way, then that is said, and none of it."""
    token = jwt({"sub": "system:serviceaccount:team-a:trainer", "exp": 1_600_000_000})
    basic = base64.b64encode(f"alice:{token}".encode()).decode()
    for value, place in [
        (f"Bearer {token}", "Authorization (Bearer)"),
        (f"Basic {basic}", "the password in Authorization (Basic)"),
    ]:
        answer = server.ask("GET", SEARCH, headers={"Authorization": value})
        assert answer.status == 401
        message = answer.json["message"]
        assert f"read from {place}, and says that it expired at 2020-09-13 12:26:40 UTC." in message
        assert not any(part in message for part in token.split("."))


@pytest.mark.parametrize("path", ["/api/3.0/mlflow/workspaces/{}", "/ajax-api/3.0/mlflow/workspaces/{}"])
def test_a_workspace_in_the_path_reveals_no_more(server: MlflowServer, cluster: Cluster, path: str) -> None:
    """Given rights nowhere, when a workspace is asked for, then the answer does not tell if it exists."""
    answers = {server.ask("GET", path.format(name)).without("date") for name in NAMESPACES}
    assert [answer.status for answer in answers] == [401]
    token = cluster.people.mallory.token
    denied = {comparable(server.ask("GET", path.format(name), token=token), name) for name in NAMESPACES}
    assert [answer.status for answer in denied] == [403]


@pytest.mark.parametrize(("method", "path"), ROUTES[:7])
def test_without_rights_every_namespace_answers_the_same(
    server: MlflowServer, cluster: Cluster, method: str, path: str
) -> None:
    """Given a caller without rights, when any namespace is named, then the 403s differ in its name alone."""
    token, body = cluster.people.mallory.token, QUERY if path == "/graphql" else {}
    denied = {
        comparable(server.ask(method, path, token=token, workspace=name, json_body=body), name)
        for name in NAMESPACES
    }
    assert [answer.status for answer in denied] == [403]


def test_a_403_is_the_api_servers_own_sentence_and_the_command_that_would_help(
    server: MlflowServer, cluster: Cluster
) -> None:
    answer = server.ask("GET", SEARCH, token=cluster.people.mallory.token, workspace=TEAM_B)
    message = answer.json["message"]
    assert message.startswith(
        'experiments.mlflow.kubeflow.org is forbidden: User "mallory" cannot list resource "experiments" '
        'in API group "mlflow.kubeflow.org" in the namespace "team-b"'
    )
    assert "can allow it: workspace-authz grant mallory view -n team-b ; or: kubectl create" in message
    assert "kubectl create rolebinding mallory-mlflow-view --clusterrole=mlflow-view" in message


def test_who_names_no_workspace_learns_of_their_own(server: MlflowServer, cluster: Cluster) -> None:
    """Given bob with rights in one workspace and mallory in none, when they name none, then bob reads it.

    If it is known in time, which it may not be on a busy machine.
    """
    bob, mallory = (
        partial(server.ask, "GET", SEARCH, token=person.token)
        for person in (cluster.people.bob, cluster.people.mallory)
    )
    assert (bob().status, mallory().status) == (400, 400)
    refusal = mallory().json["message"]
    assert "names no workspace" in refusal
    until(lambda: bool(bob().json["message"] == f"{refusal} You hold rights in {TEAM_A}."))


def test_who_may_everything_learns_that_a_workspace_is_missing(
    server: MlflowServer, cluster: Cluster
) -> None:
    """Given rights everywhere, when a missing or a hidden namespace is named, then it is 404, for both."""
    token = cluster.people.root.token
    missing = server.ask("GET", SEARCH, token=token, workspace=ABSENT)
    hidden = server.ask("GET", SEARCH, token=token, workspace=HIDDEN)
    assert missing.status == hidden.status == 404
    assert missing.json["error_code"] == "RESOURCE_DOES_NOT_EXIST"
    assert comparable(missing, ABSENT) == comparable(hidden, HIDDEN)


def test_rights_in_a_hidden_namespace_open_no_workspace(server: MlflowServer, cluster: Cluster) -> None:
    """Given edit in a namespace that is no workspace, when it is named, then MLflow has no such workspace."""
    token = cluster.people.alice.token
    assert server.ask("GET", SEARCH, token=token, workspace=HIDDEN).status == 404


@pytest.mark.parametrize("path", ["/health", "/version", "/", "/api/3.0/mlflow/server-info"])
def test_public_routes_stay_open_whatever_an_unknown_caller_names(server: MlflowServer, path: str) -> None:
    """... and show no difference between namespaces: unguarded MLflow answers 404 to a missing one."""
    answers = {server.ask("GET", path, workspace=name).without("date") for name in NAMESPACES}
    assert [answer.status for answer in answers] == [200]


def test_an_unknown_route_is_known_to_be_unknown_only_after_authentication(
    server: MlflowServer, cluster: Cluster
) -> None:
    assert server.ask("GET", "/no/such/route").status == 401
    answer = server.ask("GET", "/no/such/route", token=cluster.people.mallory.token)
    assert answer.status == 404
    assert answer.json["error_code"] == "ENDPOINT_NOT_FOUND"


@pytest.mark.parametrize(
    "path",
    ["/%2fhealth", "/health/", "/healthz", "/static-files/../api/2.0/mlflow/experiments/search", "/HEALTH"],
)
def test_what_only_looks_public_is_not(server: MlflowServer, path: str) -> None:
    assert server.ask("GET", path).status in (401, 404)
    assert "experiments" not in server.ask("GET", path).text
