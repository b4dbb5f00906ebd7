"""Other ways to run the server: one namespace, a root path, a default workspace, a client certificate."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.server import MlflowServer, ServerOptions, mlflow_server
from tests.scenarios.people import TEAM_A, TEAM_B, Cluster

CREATE = "/api/2.0/mlflow/experiments/create"
SEARCH = "/api/2.0/mlflow/experiments/search?max_results=100"
LIST = "/api/3.0/mlflow/workspaces"


@pytest.fixture(scope="module")
def single(
    cluster: Cluster, database: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MlflowServer]:
    """Without workspaces: everything happens in team-a; and behind a proxy that adds a path."""
    options = ServerOptions(
        kubeconfig=cluster.plane.server_kubeconfig,
        database=database,
        workspaces=False,
        root_path="/outside",
        workers=2,
        environment={
            "MLFLOW_K8S_AUTH_WORKSPACES_ENABLED": "false",
            "MLFLOW_K8S_AUTH_NAMESPACE": TEAM_A,
        },
    )
    with mlflow_server(tmp_path_factory.mktemp("single"), options) as server:
        yield server


@pytest.fixture(scope="module")
def defaulting(
    cluster: Cluster, database: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MlflowServer]:
    """With a default workspace, and for service accounts their own; by the name of the plugin's app.

    Its kubeconfig is the administrator's, with a client certificate.
    """
    options = ServerOptions(
        kubeconfig=cluster.plane.certificate_kubeconfig,
        database=database,
        app_name="kubernetes-auth",
        workspace_store=f"kubernetes://?default_workspace={TEAM_B}",
        environment={"WORKSPACE_AUTHZ_SERVICE_ACCOUNT_WORKSPACE": "true"},
    )
    with mlflow_server(tmp_path_factory.mktemp("defaulting"), options) as server:
        yield server


# Tokens never mix.


@pytest.mark.parametrize("path", [SEARCH, LIST, f"{LIST}/{TEAM_A}"])
@pytest.mark.parametrize("token", ["garbage", "", None])
def test_the_servers_certificate_is_never_taken_for_the_caller(
    defaulting: MlflowServer, path: str, token: str | None
) -> None:
    """Given a server whose own certificate may everything, when a garbage token comes, then it is 401.

    With that certificate on the connection the API server would not even look at the token.
    """
    headers = {"Authorization": "Bearer "} if token == "" else {}
    assert defaulting.ask("GET", path, token=token or None, workspace=TEAM_A, headers=headers).status == 401


def test_the_callers_rights_count_and_not_the_servers(defaulting: MlflowServer, cluster: Cluster) -> None:
    mallory, alice = cluster.people.mallory.token, cluster.people.alice.token
    assert defaulting.ask("GET", SEARCH, token=mallory, workspace=TEAM_A).status == 403
    assert defaulting.ask("GET", SEARCH, token=alice, workspace=TEAM_A).status == 200
    defaulting.skip_records()
    defaulting.ask("GET", SEARCH, token=alice, workspace=TEAM_A)
    assert defaulting.records(1)[0]["user"] == "alice"


# The workspace of a request that names none.


def test_a_request_that_names_no_workspace_means_the_default(
    defaulting: MlflowServer, cluster: Cluster
) -> None:
    carol, alice = cluster.people.carol.token, cluster.people.alice.token
    made = defaulting.ask("POST", CREATE, token=carol, json_body={"name": "in the default"})
    assert made.status == 200, made.text
    named = defaulting.ask("GET", SEARCH, token=carol, workspace=TEAM_B).json
    assert "in the default" in [found["name"] for found in named["experiments"]]
    refused = defaulting.ask("GET", SEARCH, token=alice)
    assert refused.status == 403
    assert 'in the namespace "team-b"' in refused.json["message"]


def test_a_service_account_that_names_no_workspace_means_its_own(
    defaulting: MlflowServer, cluster: Cluster
) -> None:
    defaulting.skip_records()
    assert defaulting.ask("GET", SEARCH, token=cluster.trainer).status == 200
    assert defaulting.ask("GET", SEARCH, token=cluster.trainer, workspace=TEAM_B).status == 403
    assert [record["workspace"] for record in defaulting.records(2)] == [TEAM_A, TEAM_B]


# One namespace, no workspaces.


def test_one_namespace_judges_everything(single: MlflowServer, cluster: Cluster) -> None:
    people = cluster.people
    made = single.ask("POST", CREATE, token=people.alice.token, json_body={"name": "single"})
    assert made.status == 200, made.text
    assert single.ask("GET", SEARCH, token=people.bob.token).status == 200
    refused = single.ask("POST", CREATE, token=people.bob.token, json_body={"name": "no"})
    assert refused.status == 403
    assert f'in the namespace "{TEAM_A}"' in refused.json["message"]
    assert single.ask("GET", SEARCH, token=people.carol.token).status == 403
    assert single.ask("GET", SEARCH).status == 401


def test_one_namespace_knows_no_other_workspace(single: MlflowServer, cluster: Cluster) -> None:
    alice, carol = cluster.people.alice.token, cluster.people.carol.token
    assert single.ask("GET", SEARCH, token=alice, workspace=TEAM_A).status == 200
    for token in (alice, carol):
        answer = single.ask("GET", SEARCH, token=token, workspace=TEAM_B)
        assert answer.status == 400
        assert "no workspaces" in answer.json["message"]


# A root path: a proxy takes it away before the request comes here, and uvicorn puts it back.


def test_a_root_path_changes_no_rule(single: MlflowServer, cluster: Cluster) -> None:
    single.skip_records()
    assert single.ask("GET", SEARCH, token=cluster.people.alice.token).status == 200
    assert single.ask("GET", SEARCH, token=cluster.people.mallory.token).status == 403
    assert single.ask("GET", SEARCH).status == 401
    assert [record["operation"] for record in single.records(3)] == ["SearchExperiments"] * 3


@pytest.mark.parametrize("path", [SEARCH, "/api/2.0/mlflow-artifacts/artifacts?path={experiment}"])
def test_a_workspace_in_the_url_below_a_root_path(single: MlflowServer, cluster: Cluster, path: str) -> None:
    """Given the one namespace's name in the URL, then a route of Flask and one of FastAPI are found."""
    alice = cluster.people.alice.token
    made = single.ask("POST", CREATE, token=alice, json_body={"name": f"rooted {path}"}).json
    path = path.format(experiment=made["experiment_id"])
    by_url = single.ask("GET", f"/workspaces/{TEAM_A}{path}", token=alice)
    assert by_url.status == 200, by_url.text
    assert by_url.json == single.ask("GET", path, token=alice).json
    assert single.ask("GET", f"/workspaces/{TEAM_B}{path}", token=alice).status == 400


@pytest.mark.parametrize("path", ["/health", "/version", "/", "/readyz", "/livez"])
def test_public_routes_and_probes_below_a_root_path(single: MlflowServer, path: str) -> None:
    assert single.ask("GET", path).status == 200


@pytest.mark.parametrize(
    "path", ["/api/2.0/mlflow/experiments/create", "/api/3.0/mlflow/mcp-servers", "/graphql"]
)
def test_a_root_path_opens_nothing_to_other_sites(single: MlflowServer, cluster: Cluster, path: str) -> None:
    """MLflow's own check of native routes looks for ``/api/`` at the start of the whole path."""
    headers = {"Origin": "https://evil.example"}
    answer = single.ask(
        "POST", path, token=cluster.people.alice.token, headers=headers, json_body={"name": "x/y"}
    )
    assert answer.status == 403
    assert "Cross-origin request blocked" in answer.text


def test_a_root_path_that_comes_twice_is_no_route(single: MlflowServer, cluster: Cluster) -> None:
    assert single.ask("GET", f"/outside{SEARCH}", token=cluster.people.alice.token).status == 404
