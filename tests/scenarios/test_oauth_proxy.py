"""The real oauth2-proxy in front of a guarded MLflow: who logs in there works here as themselves."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.harness.http import bearer
from tests.harness.oauth_proxy import Browser, OAuthProxy, oauth_proxy
from tests.harness.oidc import OidcProvider, oidc_provider
from tests.harness.plane import EMBEDDED
from tests.harness.server import MlflowServer, ServerOptions, mlflow_server
from tests.scenarios.people import TEAM_A, TEAM_B, Cluster

pytestmark = pytest.mark.parametrize("engine", [EMBEDDED], indirect=True)

CREATE = "/ajax-api/2.0/mlflow/experiments/create"
SEARCH = "/ajax-api/2.0/mlflow/experiments/search?max_results=1"
RUN = "/ajax-api/2.0/mlflow/runs/create"
TOKENS = ("--pass-access-token",)
PASSWORD = ("--pass-access-token", "--basic-auth-password=a-password-of-the-proxy")


@pytest.fixture(scope="module")
def provider(cluster: Cluster) -> Iterator[OidcProvider]:
    """Logs alice and carol in."""
    people = (cluster.people.alice, cluster.people.carol)
    with oidc_provider({person.name: person.token for person in people}) as provider:
        yield provider


@pytest.fixture(scope="module")
def proxy(
    server: MlflowServer, provider: OidcProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OAuthProxy]:
    """As docs/clients.md says, with what Ingress controllers ask for beside it."""
    state = tmp_path_factory.mktemp("oauth2-proxy")
    arguments = (*TOKENS, "--set-xauthrequest")
    with oauth_proxy(state, provider=provider, upstream=server.url, arguments=arguments) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def people(proxy: OAuthProxy) -> Iterator[Mapping[str, Browser]]:
    """Browsers in which somebody is logged in, by their names."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(proxy.person(name)) for name in ("alice", "carol")}


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_who_logs_in_works_under_their_own_name(people: Mapping[str, Browser]) -> None:
    alice = people["alice"]
    made = alice.ask("POST", CREATE, workspace=TEAM_A, json_body={"name": secrets.token_hex(8)})
    assert made.status == 200, made.text
    run = alice.ask("POST", RUN, workspace=TEAM_A, json_body={**made.json, "user_id": "carol"})
    assert run.status == 200, run.text
    tags = {tag["key"]: tag["value"] for tag in run.json["run"]["data"]["tags"]}
    assert (run.json["run"]["info"]["user_id"], tags["mlflow.user"]) == ("alice", "alice")
    assert alice.ask("GET", SEARCH, workspace=TEAM_A).status == 200


def test_each_session_is_a_person_of_its_own(people: Mapping[str, Browser], server: MlflowServer) -> None:
    server.skip_records()
    statuses = [
        people[name].ask("GET", SEARCH, workspace=workspace).status
        for name, workspace in (("alice", TEAM_A), ("carol", TEAM_A), ("carol", TEAM_B), ("alice", TEAM_B))
    ]
    assert statuses == [200, 403, 200, 403]
    assert [record["user"] for record in server.records(4)] == ["alice", "carol", "carol", "alice"]


def test_without_a_session_nothing_gets_through(
    proxy: OAuthProxy, server: MlflowServer, cluster: Cluster
) -> None:
    """Given a token of the cluster and no login, then it is the proxy that refuses."""
    token = cluster.people.alice.token
    server.skip_records()
    with proxy.person(None) as nobody:
        for headers in ({}, bearer(token), {"X-Forwarded-Access-Token": token}):
            assert nobody.ask("GET", SEARCH, workspace=TEAM_A, headers=headers).status in (401, 403)
    server.ask("GET", SEARCH, token=token, workspace=TEAM_A)
    assert len(server.records(1)) == 1


HEADERS = (
    "bearer",
    "basic",
    "X-Forwarded-Access-Token",
    "X_Forwarded_Access_Token",
    "X-MLflow-Authorization",
    "X-Api-Key",
    "X-Auth-Request-Access-Token",
)


def presenting(header: str, token: str) -> dict[str, str]:
    if header == "basic":
        return basic("somebody", token)
    if header == "X-MLflow-Authorization":
        return {header: f"Bearer {token}"}
    return bearer(token) if header == "bearer" else {header: token}


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("path", [SEARCH, "/gateway/no-endpoint/mlflow/invocations"])
def test_nobody_becomes_another_than_their_session_says(
    people: Mapping[str, Browser], server: MlflowServer, cluster: Cluster, header: str, path: str
) -> None:
    """Given alice's session and a token of carol's, then she is alice, or refused as nobody."""
    headers = presenting(header, cluster.people.carol.token)
    method = "GET" if path == SEARCH else "POST"
    server.skip_records()
    answer = people["alice"].ask(method, path, workspace=TEAM_B, headers=headers)
    user = server.records(1)[0]["user"]
    refused = header in ("bearer", "basic") or (header == "X-MLflow-Authorization" and path != SEARCH)
    # The proxy replaces what it sends itself, and leaves a caller's own Authorization where it is.
    assert (answer.status, user) == ((401, None) if refused else (403, "alice")), answer.text


@pytest.mark.parametrize("header", HEADERS)
def test_ones_own_token_beside_the_session_changes_nothing(
    people: Mapping[str, Browser], cluster: Cluster, header: str
) -> None:
    headers = presenting(header, cluster.people.alice.token)
    assert people["alice"].ask("GET", SEARCH, workspace=TEAM_A, headers=headers).status == 200


def test_claims_beside_the_session_are_not_believed(
    people: Mapping[str, Browser], server: MlflowServer
) -> None:
    """Given names without tokens, and the Basic header without a password that other proxies send."""
    claims = {"X-Forwarded-User": "root", "X-Forwarded-Groups": "system:masters", "Impersonate-User": "root"}
    server.skip_records()
    answer = people["alice"].ask("GET", SEARCH, workspace=TEAM_A, headers={**claims, **basic("root", "")})
    assert (answer.status, server.records(1)[0]["user"]) == (200, "alice")


# A proxy with a Basic password of its own.


@pytest.fixture(scope="module")
def told(
    cluster: Cluster, database: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MlflowServer]:
    """A server that knows of the proxy's password."""
    options = ServerOptions(
        kubeconfig=cluster.plane.server_kubeconfig,
        database=database,
        environment={"WORKSPACE_AUTHZ_OAUTH_PROXY": "true"},
    )
    with mlflow_server(tmp_path_factory.mktemp("told"), options) as server:
        yield server


def test_a_password_of_the_proxys_own_needs_the_setting(
    server: MlflowServer, told: MlflowServer, provider: OidcProvider, cluster: Cluster, tmp_path: Path
) -> None:
    foreign = bearer(cluster.people.carol.token)
    for upstream, status, user in ((server, 401, None), (told, 200, "alice")):
        state = tmp_path / str(status)
        with (
            oauth_proxy(state, provider=provider, upstream=upstream.url, arguments=PASSWORD) as proxy,
            proxy.person("alice") as alice,
        ):
            upstream.skip_records()
            answers = [alice.ask("GET", SEARCH, workspace=TEAM_A, headers=given) for given in ({}, foreign)]
            assert [answer.status for answer in answers] == [status, status], answers[0].text
            assert [record["user"] for record in upstream.records(2)] == [user, user]
            if status == 401:
                assert "two different credentials" in answers[0].json["message"]


def test_the_setting_lets_no_other_token_count(
    told: MlflowServer, provider: OidcProvider, cluster: Cluster, tmp_path: Path
) -> None:
    """Given the setting and a proxy without a password, then a caller's own Authorization still is none."""
    carol = cluster.people.carol.token
    with (
        oauth_proxy(tmp_path, provider=provider, upstream=told.url, arguments=TOKENS) as proxy,
        proxy.person("alice") as alice,
    ):
        told.skip_records()
        for headers in (basic("carol", carol), bearer(carol)):
            alice.ask("GET", SEARCH, workspace=TEAM_B, headers=headers)
        found = [(record["user"], record["status"]) for record in told.records(2)]
    assert found == [("alice", 403), (None, 401)]
