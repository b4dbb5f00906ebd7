"""A namespace that dies does not hand its data on: who makes it again gets a closed workspace."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import redirect_stdout
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from tests.harness.plane import GROUP
from tests.harness.server import MlflowServer
from tests.scenarios.people import LABEL, Cluster
from tests.scenarios.waiting import until
from tests.tenancy.contents import everything
from workspace_authz.cli.main import main

CREATE, SEARCH = "/api/2.0/mlflow/experiments/create", "/api/2.0/mlflow/experiments/search?max_results=10"
WORKSPACE = "/api/3.0/mlflow/workspaces"


def command(server: MlflowServer, cluster: Cluster, *arguments: str) -> str:
    """What ``workspace-authz workspaces`` prints, run on the server's stores by the administrator."""
    given = [*arguments, "--kubeconfig", str(cluster.plane.admin_kubeconfig), "-o", "json"]
    given += ["--backend-store-uri", f"sqlite:///{server.state / 'mlflow.db'}"]
    given += ["--artifacts-destination", str(server.state / "artifacts")]
    output = io.StringIO()
    with redirect_stdout(output):
        assert main(["workspaces", *given]) == 0
    return output.getvalue()


def files(server: MlflowServer) -> dict[str, bytes]:
    """The artifacts of all workspaces."""
    root = server.state / "artifacts"
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def furnished(server: MlflowServer, cluster: Cluster, name: str) -> str:
    """A new workspace with an experiment, a run, a model and a file in it. Returns the experiment's id."""
    cluster.plane.namespace(name, labels=LABEL)
    root = cluster.people.root.token

    def make(path: str, body: dict[str, object]) -> Any:
        answer = server.ask("POST", f"/api/2.0/mlflow/{path}", token=root, workspace=name, json_body=body)
        assert answer.status == 200, answer.text
        return answer.json

    experiment = str(make("experiments/create", {"name": "secret plan"})["experiment_id"])
    run = make("runs/create", {"experiment_id": experiment})["run"]["info"]["run_id"]
    make("runs/log-metric", {"run_id": run, "key": "gain", "value": 1.0, "timestamp": 1})
    make("registered-models/create", {"name": "secret model"})
    artifact = f"/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts/plan.txt"
    uploaded = server.ask("PUT", artifact, token=root, workspace=name, body=b"a secret")
    assert uploaded.status == 200, uploaded.text
    return experiment


def remade(cluster: Cluster, name: str) -> None:
    """Delete the namespace and make another of its name, in which dora is admin."""
    path = f"/api/v1/namespaces/{name}"
    cluster.plane.delete(path)
    until(lambda: cluster.plane.ask("GET", path).status == 404)
    cluster.plane.namespace(name, labels=LABEL)
    cluster.plane.bind(name, "admin", user=cluster.people.dora.name)
    cluster.plane.wait_for_access(cluster.people.dora.token, name, verb="create", resource="experiments")


@pytest.fixture(scope="module")
def heir(server: MlflowServer, cluster: Cluster) -> Iterator[str]:
    """A workspace with an experiment in it, whose namespace was deleted and made again for dora."""
    name, root = "team-heir", cluster.people.root.token
    furnished(server, cluster, name)
    remade(cluster, name)
    until(lambda: server.ask("GET", SEARCH, token=root, workspace=name).status == 403)
    yield name
    cluster.plane.delete(f"/api/v1/namespaces/{name}")


@pytest.mark.parametrize("who", ["dora", "root"])
def test_a_namespace_made_again_is_closed_for_everybody(
    server: MlflowServer, cluster: Cluster, heir: str, who: str
) -> None:
    """Given data of a namespace that is gone, when its name is used again, then a 403 names the remedy."""
    token = getattr(cluster.people, who).token
    for method, path in (("GET", SEARCH), ("POST", CREATE), ("GET", f"{WORKSPACE}/{heir}")):
        body = {"name": "a new plan"} if method == "POST" else None
        answer = server.ask(method, path, token=token, workspace=heir, json_body=body)
        assert answer.status == 403, answer.text
        assert answer.json["error_code"] == "PERMISSION_DENIED"
        assert f"`workspace-authz workspaces adopt {heir}`" in answer.json["message"]


def test_who_has_no_right_does_not_learn_that_it_is_closed(
    server: MlflowServer, cluster: Cluster, heir: str
) -> None:
    refused = server.ask("GET", SEARCH, token=cluster.people.mallory.token, workspace=heir)
    assert refused.status == 403
    assert "closed" not in refused.json["message"]


def test_nothing_tells_what_is_in_it(server: MlflowServer, cluster: Cluster, heir: str) -> None:
    """Given a right on the name of an old experiment, then its id and a free one answer alike."""
    rule = {"apiGroups": [GROUP], "resources": ["experiments"], "verbs": ["get"]}
    cluster.plane.role(heir, "plan", rules=[{**rule, "resourceNames": ["secret plan"]}])
    cluster.plane.bind(heir, "plan", user=cluster.people.lena.name, kind="Role")
    lena, root = cluster.people.lena.token, cluster.people.root.token
    found = "/api/2.0/mlflow/experiments/get-by-name?experiment_name=secret+plan"
    until(lambda: "closed" in server.ask("GET", found, token=lena, workspace=heir).text)
    engine = create_engine(f"sqlite:///{server.state / 'mlflow.db'}")
    with engine.connect() as database:
        query = text("SELECT experiment_id FROM experiments WHERE workspace = :name")
        old = database.execute(query, {"name": heir}).scalar_one()
    engine.dispose()
    path = "/api/2.0/mlflow/experiments/get?experiment_id="
    told = {
        (answer.status, answer.text)
        for token in (lena, root)
        for key in (old, 987654)
        for answer in (server.ask("GET", f"{path}{key}", token=token, workspace=heir),)
    }
    assert [status for status, _ in told] == [403]


def test_it_stays_in_the_list_of_workspaces(server: MlflowServer, cluster: Cluster, heir: str) -> None:
    """The name is that of their own namespace; missing, it would look like a right that they lack."""
    answer = server.ask("GET", WORKSPACE, token=cluster.people.dora.token)
    assert heir in [found["name"] for found in answer.json["workspaces"]]


def test_adopting_opens_it_for_the_next_request(server: MlflowServer, cluster: Cluster) -> None:
    """Given a namespace made again by mistake, when its data are adopted, then all is as it was."""
    name, dora = "team-mistake", cluster.people.dora.token
    experiment = furnished(server, cluster, name)
    remade(cluster, name)
    until(lambda: server.ask("GET", SEARCH, token=dora, workspace=name).status == 403)
    listed = {item["workspace"]: item for item in json.loads(command(server, cluster, "list"))}
    assert listed[name]["state"] == "closed"
    assert listed[name]["objects"]["experiments"] == 1
    (adopted,) = json.loads(command(server, cluster, "adopt", name))
    assert adopted["to"] == listed[name]["namespace"]["uid"]
    found = server.ask("GET", SEARCH, token=dora, workspace=name)
    assert [item["experiment_id"] for item in found.json["experiments"]] == [experiment]
    body = {"name": "more"}
    assert server.ask("POST", CREATE, token=dora, workspace=name, json_body=body).status == 200
    cluster.plane.delete(f"/api/v1/namespaces/{name}")


def test_purging_leaves_an_empty_workspace_and_touches_no_other(
    server: MlflowServer, cluster: Cluster
) -> None:
    """Given a namespace made again by others, when the old data are purged, then they begin with nothing."""
    name, dora = "team-fresh", cluster.people.dora.token
    database = create_engine(f"sqlite:///{server.state / 'mlflow.db'}")
    furnished(server, cluster, "team-fresh-too")
    rows, kept = everything(database), files(server)
    furnished(server, cluster, name)
    assert files(server) != kept
    remade(cluster, name)
    until(lambda: server.ask("GET", SEARCH, token=dora, workspace=name).status == 403)
    purged = json.loads(command(server, cluster, "purge", name, "--yes"))
    assert purged["rows"]["metrics"] == 1
    assert everything(database) == rows
    assert files(server) == kept
    assert server.ask("GET", SEARCH, token=dora, workspace=name).json == {}
    body = {"name": "first"}
    assert server.ask("POST", CREATE, token=dora, workspace=name, json_body=body).status == 200
    for namespace in (name, "team-fresh-too"):
        cluster.plane.delete(f"/api/v1/namespaces/{namespace}")
    database.dispose()


def test_a_namespace_made_again_before_anything_was_written_is_open(
    server: MlflowServer, cluster: Cluster
) -> None:
    """Given a workspace that was only looked at, when its namespace is made again, then nothing is closed."""
    name, root = "team-empty", cluster.people.root.token
    cluster.plane.namespace(name, labels=LABEL)
    assert server.ask("GET", SEARCH, token=root, workspace=name).status == 200
    remade(cluster, name)
    dora = cluster.people.dora.token
    until(lambda: server.ask("GET", SEARCH, token=dora, workspace=name).status == 200)
    made = server.ask("POST", CREATE, token=dora, workspace=name, json_body={"name": "first"})
    assert made.status == 200, made.text
    cluster.plane.delete(f"/api/v1/namespaces/{name}")


def test_a_namespace_that_is_being_deleted_is_closed_at_once(server: MlflowServer, cluster: Cluster) -> None:
    """Given a namespace held back by a finalizer, when it is deleted, then nobody gets in any more."""
    name, root = "team-leaving", cluster.people.root.token
    cluster.plane.namespace(name, labels=LABEL)
    path = f"/api/v1/namespaces/{name}"
    held = cluster.plane.ask("PATCH", path, {"metadata": {"finalizers": ["example.com/hold"]}})
    assert held.status == 200, held.text
    body = {"name": "before"}
    assert server.ask("POST", CREATE, token=root, workspace=name, json_body=body).status == 200
    cluster.plane.delete(path)
    until(lambda: server.ask("GET", SEARCH, token=root, workspace=name).status == 404)
    for method, route in (("POST", CREATE), ("GET", f"{WORKSPACE}/{name}")):
        answer = server.ask(method, route, token=root, workspace=name, json_body=body)
        assert answer.status == 404
        assert answer.json["error_code"] == "RESOURCE_DOES_NOT_EXIST"
        assert "it is being deleted" in answer.json["message"]
    assert cluster.plane.ask("GET", path).json["status"]["phase"] == "Terminating"
    cluster.plane.ask("PATCH", path, {"metadata": {"finalizers": None}})
