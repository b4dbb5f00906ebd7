"""A stock MLflow behind real proxies: Kubernetes decides on each request, by ``workspace-authz serve``."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.harness.forward_auth import ENVOY, NGINX, Door, DoorOptions, proxies, proxy, starting_door
from tests.harness.plane import EMBEDDED
from tests.harness.sdk import sdk
from tests.harness.server import MlflowServer, ServerOptions, starting, wait_until_ready
from tests.scenarios import steps
from tests.scenarios.forward_auth import (
    API,
    API3,
    Front,
    Thing,
    given_rights_on,
    given_workspaces,
    inside,
    thing_in,
)
from tests.scenarios.people import NAMED, SELECTOR, TEAM_A, TEAM_B, Cluster

SEARCH: Final = f"{API}/experiments/search"
ARTIFACT: Final = "/api/2.0/mlflow-artifacts/artifacts"
_WITHIN_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Behind:
    """What stands behind the proxies."""

    mlflow: MlflowServer
    door: Door


@pytest.fixture(scope="module")
def behind(cluster: Cluster, database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    """An MLflow that is not guarded, with workspaces of its own, and a door, started side by side."""
    stock = ServerOptions(database=database, environment={"MLFLOW_WEBHOOK_CACHE_TTL": "0"})
    with ExitStack() as stack:
        mlflow = stack.enter_context(starting(tmp_path_factory.mktemp("stock"), stock))
        door = stack.enter_context(
            starting_door(tmp_path_factory.mktemp("door"), options_of(cluster, mlflow))
        )
        wait_until_ready(mlflow)
        given_workspaces(mlflow)
        wait_until_ready(door)
        yield Behind(mlflow, door)


def options_of(cluster: Cluster, mlflow: MlflowServer, **environment: str) -> DoorOptions:
    """A door for this MLflow."""
    return DoorOptions(
        cluster.plane.server_kubeconfig,
        mlflow=mlflow.url,
        environment={
            "WORKSPACE_AUTHZ_WORKSPACE_LABEL_SELECTOR": SELECTOR,
            "WORKSPACE_AUTHZ_ALLOW_SECONDS": "3",
            "WORKSPACE_AUTHZ_DENY_SECONDS": "1",
            **environment,
        },
    )


@pytest.fixture(scope="module")
def stock(behind: Behind) -> MlflowServer:
    """The MLflow."""
    return behind.mlflow


@pytest.fixture(scope="module")
def door(behind: Behind) -> Door:
    """Decides for it."""
    return behind.door


@pytest.fixture(scope="module", params=proxies())
def front(
    request: pytest.FixtureRequest, stock: MlflowServer, door: Door, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Front]:
    """Each proxy in front of it."""
    name = str(request.param)
    with proxy(name, tmp_path_factory.mktemp(name), upstream=stock.url, door=door) as url:
        yield Front(name, url, door, stock)


@pytest.fixture(scope="module")
def things(stock: MlflowServer) -> dict[str, Thing]:
    """An own one, a sibling in the same workspace, and a foreign one."""
    places = {"own": NAMED, "sibling": NAMED, "foreign": TEAM_B}
    return {kind: thing_in(stock, workspace, kind) for kind, workspace in places.items()}


@pytest.fixture(scope="module")
def narrow(cluster: Cluster, door: Door, things: dict[str, Thing]) -> str:
    """The token of somebody with rights on the own objects, which are in force."""
    token = given_rights_on(cluster.plane, things["own"])
    path = "/workspace-authz/forward-auth/nginx"
    headers = {
        "X-Workspace-Authz-Secret": door.secret,
        "X-Original-Method": "GET",
        "X-Original-URI": f"{API}/experiments/get-by-name?experiment_name={things['own'].name}",
        "X-Original-Protocol": "HTTP/1.1",
    }
    deadline = time.monotonic() + _WITHIN_SECONDS
    while door.ask("GET", path, token=token, workspace=NAMED, headers=headers).status != 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return token


PUBLIC: Final = ("/", "/version", "/health", f"{API3}/server-info", "/static-files/favicon.ico")


@pytest.mark.parametrize("path", PUBLIC)
def test_the_ui_and_public_routes_need_nothing(front: Front, path: str) -> None:
    """Given no credential, and even a workspace that there is not, then MLflow answers."""
    for workspace in (None, "no-such-workspace"):
        answer = front.ask("GET", path, workspace=workspace)
        assert answer.status == 200, answer.text
    assert front.ask("HEAD", path).status == 200


def test_callers_work_where_kubernetes_lets_them(front: Front, cluster: Cluster) -> None:
    """Given alice with edit in one team and carol in another, then each sees her own."""
    alice, carol = cluster.people.alice.token, cluster.people.carol.token
    name = f"of-{front.name}-{secrets.token_hex(4)}"
    inside(front.mlflow, f"{API}/experiments/create", {"name": name}, workspace=TEAM_A)
    body = {"max_results": 1000}
    path = f"{SEARCH}?max_results=1000"
    found = front.ask("GET", path, token=alice, workspace=TEAM_A)
    assert name in [each["name"] for each in found.json["experiments"]], found.text
    for token, workspace in ((alice, TEAM_B), (carol, TEAM_A), (cluster.people.mallory.token, TEAM_A)):
        refused = front.ask("POST", SEARCH, token=token, workspace=workspace, json_body=body)
        assert front.refuses(refused, 403) or front.refuses(refused, 501), refused.text
        refused = front.ask("GET", path, token=token, workspace=workspace)
        assert front.refuses(refused, 403), refused.text
        assert "cannot list resource" in refused.json["message"]
    assert front.ask("GET", path, token=carol, workspace=TEAM_B).status == 200


def test_refusals_arrive_with_their_status_and_words(front: Front, cluster: Cluster) -> None:
    alice = cluster.people.alice.token
    nobody = front.ask("GET", f"{SEARCH}?max_results=1", workspace=TEAM_A)
    assert front.refuses(nobody, 401)
    assert "Bearer" in " ".join(nobody.header("www-authenticate"))
    assert front.refuses(front.ask("GET", SEARCH, token="no-token", workspace=TEAM_A), 401)
    unknown = front.ask("GET", f"{API}/no-such-route", token=alice, workspace=TEAM_A)
    assert front.refuses(unknown, 404)
    assert "No rule of workspace-authz" in unknown.json["message"]
    nowhere = front.ask("GET", f"{SEARCH}?max_results=1", token=alice)
    assert front.refuses(nowhere, 400)
    twice = front.ask(
        "GET",
        f"{SEARCH}?max_results=1",
        token=alice,
        headers=[("X-MLFLOW-WORKSPACE", TEAM_A), ("X-MLFLOW-WORKSPACE", TEAM_B)],
    )
    assert front.refuses(twice, 400), twice.text


def test_graphql_is_judged_where_its_document_comes(
    front: Front, cluster: Cluster, stock: MlflowServer
) -> None:
    alice = cluster.people.alice.token
    thing = thing_in(stock, TEAM_A, front.name)
    field = "mlflowGetExperiment(input: $input) { experiment { name } }"
    query = f"query Q($input: MlflowGetExperimentInput!) {{ {field} }}"
    body = {"query": query, "operationName": "Q", "variables": {"input": {"experimentId": thing.experiment}}}
    answer = front.ask("POST", "/graphql", token=alice, workspace=TEAM_A, json_body=body)
    if front.name == NGINX:
        assert front.refuses(answer, 501), answer.text
    else:
        assert answer.json["data"]["mlflowGetExperiment"]["experiment"]["name"] == thing.name
    carol = front.ask("POST", "/graphql", token=cluster.people.carol.token, workspace=TEAM_A, json_body=body)
    assert front.refuses(carol, 501 if front.name == NGINX else 403), carol.text


def test_one_record_for_each_question(front: Front, cluster: Cluster) -> None:
    """Given a request, then the audit trail shows it, and not the question of the proxy."""
    front.door.skip_records()
    front.ask("GET", f"{API}/nothing-{front.name}", token=cluster.people.alice.token, workspace=TEAM_A)
    front.ask("POST", SEARCH, token=cluster.people.mallory.token, workspace=TEAM_B, json_body={})
    records = front.door.records(2)
    assert [(each["method"], each["path"], each["user"]) for each in records] == [
        ("GET", f"{API}/nothing-{front.name}", "alice"),
        ("POST", None, "mallory"),
    ]
    assert records[1]["route"] == SEARCH


def test_what_mlflow_does_not_stamp_is_written(front: Front, cluster: Cluster, stock: MlflowServer) -> None:
    """Given the right on all objects, then parameters and artifacts are written: no body is needed for it."""
    alice = cluster.people.alice.token
    thing = thing_in(stock, TEAM_A, front.name)
    parameter = {"run_id": thing.run, "key": "depth", "value": "3"}
    logged = front.ask(
        "POST", f"{API}/runs/log-parameter", token=alice, workspace=TEAM_A, json_body=parameter
    )
    assert logged.status == 200, logged.text
    path = f"{ARTIFACT}/{thing.experiment}/{thing.run}/artifacts/a%20file.txt"
    put = front.ask("PUT", path, token=alice, workspace=TEAM_A, body=b"content")
    assert put.status == 200, put.text
    assert front.ask("GET", path, token=alice, workspace=TEAM_A).body == b"content"
    foreign = front.ask("GET", path, token=cluster.people.carol.token, workspace=TEAM_B)
    assert front.refuses(foreign, 404), foreign.text


def test_a_stamp_that_changes_nothing_is_none(front: Front, cluster: Cluster, stock: MlflowServer) -> None:
    """Given a tag, then it passes unless it names another than the caller; nginx cannot tell."""
    alice = cluster.people.alice.token
    thing = thing_in(stock, TEAM_A, front.name)

    def tag(key: str, value: str) -> int:
        body = {"run_id": thing.run, "key": key, "value": value}
        answer = front.ask("POST", f"{API}/runs/set-tag", token=alice, workspace=TEAM_A, json_body=body)
        return 501 if front.refuses(answer, 501) else answer.status

    statuses = [tag("purpose", "x"), tag("mlflow.user", "alice"), tag("mlflow.user", "carol")]
    assert statuses == ([501] * 3 if front.name == NGINX else [200, 200, 501])
    body = {"experiment_id": thing.experiment}
    made = front.ask("POST", f"{API}/runs/create", token=alice, workspace=TEAM_A, json_body=body)
    assert front.refuses(made, 501), made.text
    named = {"user_id": "alice", "tags": [{"key": "mlflow.user", "value": "alice"}], **body}
    made = front.ask("POST", f"{API}/runs/create", token=alice, workspace=TEAM_A, json_body=named)
    assert front.refuses(made, 501) if front.name == NGINX else made.status == 200, made.text


def test_the_broad_right_lifts_no_refusal_that_closes_a_hole(
    front: Front, cluster: Cluster, stock: MlflowServer
) -> None:
    """Given an administrator of everything, then what is unsafe for everybody stays refused."""
    root = cluster.people.root.token
    thing = thing_in(stock, TEAM_A, front.name)

    def refused(method: str, path: str, body: object, status: int) -> None:
        answer = front.ask(method, path, token=root, workspace=TEAM_A, json_body=body)
        expected = 501 if front.name == NGINX and method != "DELETE" else status
        assert front.refuses(answer, expected), (path, answer.status, answer.text)

    tag = {"key": "mlflow.artifactLocation", "value": "s3://elsewhere"}
    refused("PATCH", f"{API3}/traces/{thing.trace}/tags", tag, 403)
    source = {"name": thing.registered, "source": "s3://elsewhere/model"}
    refused("POST", f"{API}/model-versions/create", source, 403)
    guardrail = front.ask(
        "POST", f"{API3}/gateway/guardrails/create", token=root, workspace=TEAM_A, json_body={"name": "g"}
    )
    assert front.refuses(guardrail, 403)
    assert "within MLflow's own process" in guardrail.json["message"]
    called = front.ask(
        "POST", "/gateway/e/mlflow/invocations", token=root, workspace=TEAM_A, json_body={"messages": []}
    )
    assert front.refuses(called, 403), called.text


def test_a_list_of_workspaces_is_not_filtered(front: Front, cluster: Cluster) -> None:
    answer = front.ask("GET", f"{API3}/workspaces", token=cluster.people.alice.token)
    assert front.refuses(answer, 501), answer.text
    in_url = front.ask("GET", f"/workspaces/{TEAM_A}{SEARCH}?max_results=1", token=cluster.people.alice.token)
    assert front.refuses(in_url, 501), in_url.text


# Rights on single objects: names come from MLflow's REST API.

READS: Final = (
    "/api/2.0/mlflow/experiments/get?experiment_id={experiment}",
    "/api/2.0/mlflow/experiments/get-by-name?experiment_name={name}",
    "/api/2.0/mlflow/runs/get?run_id={run}",
    "/api/3.0/mlflow/traces/{trace}",
    "/api/2.0/mlflow/logged-models/{model}",
    "/api/3.0/mlflow/issues/{issue}",
    "/api/3.0/mlflow/datasets/{dataset}",
    "/api/2.0/mlflow/registered-models/get?name={registered}",
    "/api/2.0/mlflow-artifacts/artifacts?path={experiment}/{run}/artifacts",
    "/api/2.0/mlflow/artifacts/list?run_id={run}",
)


@pytest.mark.parametrize("path", READS)
def test_rights_on_single_objects_hold_for_these_alone(
    front: Front, narrow: str, things: dict[str, Thing], path: str
) -> None:
    """Given rights on objects of one name, then these are shown, and nothing tells others from none."""

    def ask(kind: str) -> tuple[int, str]:
        thing = things[kind]
        fields = {field: getattr(thing, field) for field in Thing.__slots__}
        answer = front.ask("GET", path.format(**fields), token=narrow, workspace=NAMED)
        return answer.status, answer.text if answer.status >= 400 else ""

    status, text = ask("own")
    assert status == 200, text
    for kind in ("sibling", "foreign"):
        status, text = ask(kind)
        assert status == 403, text
        # Nothing that was looked up is told.
        assert (things[kind].name in text) is ("{name}" in path or "{registered}" in path)


def test_lists_for_rights_on_single_objects(front: Front, narrow: str, things: dict[str, Thing]) -> None:
    """Given such rights, then a list is refused, unless it asks for nothing else than what may be seen."""
    everything = front.ask("GET", f"{SEARCH}?max_results=10", token=narrow, workspace=NAMED)
    assert front.refuses(everything, 501), everything.text
    assert "lists are not kept to them here" in everything.json["message"]
    own, sibling = things["own"].experiment, things["sibling"].experiment
    for experiments, status in (([own], 200), ([own, sibling], 501), ([sibling], 403)):
        answer = front.ask(
            "POST",
            f"{API}/runs/search",
            token=narrow,
            workspace=NAMED,
            json_body={"experiment_ids": experiments, "max_results": 10},
        )
        expected = 501 if front.name == NGINX else status
        assert (answer.status == 200) if expected == 200 else front.refuses(answer, expected), answer.text


def test_who_has_a_name_may_write_to_it_where_the_body_comes(
    front: Front, narrow: str, things: dict[str, Thing]
) -> None:
    for kind, status in (("own", 200), ("sibling", 403), ("foreign", 403)):
        metric = {"run_id": things[kind].run, "key": front.name, "value": 1.0, "timestamp": 1}
        answer = front.ask("POST", f"{API}/runs/log-metric", token=narrow, workspace=NAMED, json_body=metric)
        expected = 501 if front.name == NGINX else status
        assert (answer.status == 200) if expected == 200 else front.refuses(answer, expected), answer.text


# The door by itself.


@pytest.mark.parametrize("secret", [None, "", "wrong" * 10])
def test_only_a_proxy_is_answered(door: Door, cluster: Cluster, secret: str | None) -> None:
    """Given no proof, then nothing is judged: who asks learns nothing, and no header is believed."""
    headers = {"X-Original-Method": "GET", "X-Original-URI": "/health", "X-Original-Protocol": "HTTP/1.1"}
    if secret is not None:
        headers["X-Workspace-Authz-Secret"] = secret
    token = cluster.people.alice.token
    answer = door.ask("GET", "/workspace-authz/forward-auth/nginx", token=token, headers=headers)
    assert answer.status == 403
    assert "roxy" in answer.json["message"]
    assert door.ask("GET", "/workspace-authz/forward-auth/envoy/health", headers=headers).status == 403
    assert door.ask("GET", "/health", token=token, headers=headers).status == 404


def test_it_has_probes_and_metrics(door: Door, cluster: Cluster) -> None:
    assert door.ask("GET", "/livez").status == 200
    assert "[+]mlflow ok" in door.ask("GET", "/readyz?verbose").text
    assert door.ask("GET", "/metrics").status == 401
    page = door.ask("GET", "/metrics", token=cluster.people.root.token)
    assert "workspace_authz_workers_ready 1.0" in page.text
    assert door.ask("GET", "/metrics", token=cluster.people.alice.token).status == 403


# Another installation: no workspaces, a static prefix, and names left to clients.


@pytest.mark.parametrize("engine", [EMBEDDED], indirect=True)
def test_with_stamps_omitted_the_sdk_logs_runs(cluster: Cluster, database: Path, tmp_path: Path) -> None:
    """Given that choice of the operator's, then alice logs a run through Envoy, and carol may not read it."""
    stock = ServerOptions(database=database, workspaces=False, prefix="/lab")
    with starting(tmp_path / "stock", stock) as mlflow:
        options = DoorOptions(
            cluster.plane.server_kubeconfig,
            mlflow=mlflow.uri,
            environment={
                "WORKSPACE_AUTHZ_NAMESPACE": TEAM_A,
                "WORKSPACE_AUTHZ_FORWARD_AUTH_STAMPS": "omitted",
            },
        )
        with starting_door(tmp_path / "door", options) as door:
            wait_until_ready(mlflow)
            wait_until_ready(door)
            with proxy(ENVOY, tmp_path / "envoy", upstream=mlflow.url, door=door, prefix="/lab") as url:
                _log_a_run(f"{url}/lab", cluster, home=tmp_path)


def _log_a_run(uri: str, cluster: Cluster, *, home: Path) -> None:
    alice, carol = cluster.people.alice.token, cluster.people.carol.token
    with sdk(uri, home / "alice", token=alice) as client:
        experiment = client.run(steps.create_experiment, f"sdk-{secrets.token_hex(4)}")
        run = client.run(steps.log_run, experiment)
        assert client.run(steps.run_content, run)["metrics"] == {"accuracy": 0.5}
        client.run(steps.upload, run, "note.txt", b"content")
        assert client.run(steps.download, run, "note.txt") == b"content"
        assert client.run(steps.run_ids, [experiment]) == [run]
    with sdk(uri, home / "carol", token=carol) as client:
        assert client.fails(steps.run_content, run).error_code == "PERMISSION_DENIED"
