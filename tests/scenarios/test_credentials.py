"""Wherever a client puts its token, and what becomes of it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import pytest

from tests.harness.processes import ROOT
from tests.harness.provider import Provider, model_provider
from tests.harness.sdk import sdk
from tests.harness.server import MlflowServer
from tests.harness.url_clients import PROGRAMS, clients_programs, outcome
from tests.scenarios import steps
from tests.scenarios.people import TEAM_A, Cluster
from tests.scenarios.studio import Studio
from tests.scenarios.waiting import until

SEARCH = "/api/2.0/mlflow/experiments/search?max_results=1"


def basic(user: str, token: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{token}".encode()).decode()}


def who(server: MlflowServer, headers: Mapping[str, str]) -> str | None:
    """The user that the audit trail names for a request with ``headers``."""
    server.skip_records()
    answer = server.ask("GET", SEARCH, headers=headers, workspace=TEAM_A)
    assert answer.status == 200, answer.text
    user: str | None = server.records(1)[0]["user"]
    return user


def test_a_bearer_token(server: MlflowServer, cluster: Cluster) -> None:
    assert who(server, {"Authorization": f"Bearer {cluster.people.alice.token}"}) == "alice"


def test_a_token_forwarded_by_a_proxy(server: MlflowServer, cluster: Cluster) -> None:
    assert who(server, {"X-Forwarded-Access-Token": cluster.people.alice.token}) == "alice"


@pytest.mark.parametrize("user", ["alice", "", "somebody else", "system:serviceaccount:team-a:trainer"])
def test_a_token_as_the_password_of_any_user(server: MlflowServer, cluster: Cluster, user: str) -> None:
    """Given Basic credentials, then the token alone says who it is; a user name may hold colons."""
    assert who(server, basic(user, cluster.people.alice.token)) == "alice"
    assert who(server, basic(user, cluster.trainer)) == "system:serviceaccount:team-a:trainer"


def test_a_client_certificate_ends_in_words_that_the_documents_explain(
    server: MlflowServer, cluster: Cluster, tmp_path: Path
) -> None:
    kubeconfig = str(cluster.plane.certificate_kubeconfig)
    variables = {"MLFLOW_TRACKING_AUTH": "kubernetes", "KUBECONFIG": kubeconfig}
    with sdk(server.uri, tmp_path, workspace=TEAM_A, **variables) as person:
        message = person.fails(steps.experiment_names).message
    explained = " ".join((ROOT / "docs" / "clients.md").read_text().split())
    assert message[message.index("Could not determine") :] in explained


def test_claims_about_the_caller_are_not_believed(server: MlflowServer, cluster: Cluster) -> None:
    """Given headers that name somebody else, then only the token counts."""
    claims = {
        "X-Forwarded-User": "root",
        "X-Remote-User": "root",
        "X-Remote-Group": "system:masters",
        "Impersonate-User": "root",
        "kubeflow-userid": "root",
    }
    token = {"Authorization": f"Bearer {cluster.people.alice.token}"}
    assert who(server, {**claims, **token}) == "alice"
    assert server.ask("GET", SEARCH, headers=claims, workspace=TEAM_A).status == 401


@pytest.mark.parametrize("second", ["forwarded", "basic", "bearer"])
def test_two_credentials_that_disagree_are_refused(
    server: MlflowServer, cluster: Cluster, second: str
) -> None:
    """Given two valid tokens of different users, when both come along, then it is 401 and not one of them."""
    alice, carol = cluster.people.alice.token, cluster.people.carol.token
    headers = [("Authorization", f"Bearer {alice}")]
    headers += {
        "forwarded": [("X-Forwarded-Access-Token", carol)],
        "basic": list(basic("carol", carol).items()),
        "bearer": [("Authorization", f"Bearer {carol}")],
    }[second]
    answer = server.ask("GET", SEARCH, headers=headers, workspace=TEAM_A)
    assert answer.status == 401
    assert "two different credentials" in answer.json["message"]


def test_a_token_for_another_audience_is_rejected(server: MlflowServer, cluster: Cluster) -> None:
    token = cluster.plane.account_token(TEAM_A, "trainer", audiences=["somewhere-else"])
    assert server.ask("GET", SEARCH, token=token, workspace=TEAM_A).status == 401


def test_the_token_of_a_deleted_service_account_ends(server: MlflowServer, cluster: Cluster) -> None:
    """Given an account that is deleted, when its token comes, then it is 401, although no binding changed."""
    token = cluster.plane.service_account(TEAM_A, "short-lived")
    cluster.plane.delete(f"/api/v1/namespaces/{TEAM_A}/serviceaccounts/short-lived")
    # An API server looks accounts up in a cache of its own, which may be a moment behind.
    until(lambda: server.ask("GET", SEARCH, token=token, workspace=TEAM_A).status == 401)


@pytest.fixture
def provider() -> Iterator[Provider]:
    with model_provider() as provider:
        yield provider


@pytest.fixture
def endpoint(server: MlflowServer, cluster: Cluster, provider: Provider) -> str:
    """The name of a gateway endpoint of team-a."""

    ask = partial(server.ask, token=cluster.people.alice.token, workspace=TEAM_A)
    return Studio(ask, TEAM_A, server.database, provider.url).endpoint_name


def test_the_gateway_passes_no_credential_of_the_caller_on(
    server: MlflowServer, cluster: Cluster, provider: Provider, endpoint: str
) -> None:
    """Given a provider of a tenant's choice, when the gateway calls it, then it sees none of our tokens."""
    token = cluster.people.alice.token
    chat = {"messages": [{"role": "user", "content": "hello"}]}
    calls = {
        "/gateway/mlflow/v1/chat/completions": {**chat, "model": endpoint},
        f"/gateway/{endpoint}/mlflow/invocations": chat,
        "/gateway/openai/v1/chat/completions": {**chat, "model": endpoint},
        f"/gateway/proxy/{endpoint}/chat/completions": chat,
    }
    given = {
        "X-Forwarded-Access-Token": token,
        "X-Forwarded-User": "alice",
        "Cookie": f"session={token}",
        "X-Harmless": "kept",
    }
    ours = [
        {"Authorization": f"Bearer {token}"},
        basic("alice", token),
        {"X-MLflow-Authorization": f"Bearer {token}"},
    ]
    for credential in ours:
        for path, body in calls.items():
            headers = {**given, **credential}
            answer = server.ask("POST", path, headers=headers, workspace=TEAM_A, json_body=body)
            assert answer.status == 200, answer.text
    assert len(provider.calls) == 12
    for path, headers in provider.calls:
        text = json.dumps(headers)
        assert token not in text, path
        assert base64.b64encode(f"alice:{token}".encode()).decode() not in text, path
        assert headers["authorization"] == "Bearer sk-nothing", path
        assert "x-forwarded-user" not in headers


def test_a_gateway_call_may_bring_the_providers_own_credential(
    server: MlflowServer, cluster: Cluster, provider: Provider, endpoint: str
) -> None:
    """Given X-MLflow-Authorization, then that is the caller's token and Authorization is not looked at."""
    headers = {
        "Authorization": "Bearer key-of-the-provider",
        "X-MLflow-Authorization": f"Bearer {cluster.people.alice.token}",
    }
    body = {"model": endpoint, "messages": [{"role": "user", "content": "hello"}]}
    path = "/gateway/openai/v1/chat/completions"
    assert server.ask("POST", path, headers=headers, workspace=TEAM_A, json_body=body).status == 200
    unknown = {**headers, "X-MLflow-Authorization": "Bearer garbage"}
    assert server.ask("POST", path, headers=unknown, workspace=TEAM_A, json_body=body).status == 401
    elsewhere = server.ask("GET", SEARCH, headers=headers, workspace=TEAM_A)
    assert elsewhere.status == 401  # outside the gateway it is Authorization that counts


@pytest.mark.parametrize("route", ["openai/v1", "mlflow/v1"])
def test_openais_client_at_the_gateway(
    server: MlflowServer, cluster: Cluster, provider: Provider, endpoint: str, tmp_path: Path, route: str
) -> None:
    """Given the URL of a workspace and a token as the key, then the provider gets its own key only."""
    token = cluster.people.alice.token
    url = f"{server.uri}/workspaces/{TEAM_A}/gateway/{route}"
    command = (clients_programs() / "python", PROGRAMS / "openai_chat.py", url, endpoint)
    done = outcome(*command, environment={"OPENAI_API_KEY": token}, home=tmp_path)
    assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr
    ((_, headers),) = provider.calls
    assert headers["authorization"] == "Bearer sk-nothing"
    assert token not in json.dumps(headers)
