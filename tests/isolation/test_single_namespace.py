"""A server without workspaces, below a static prefix, whose artifact store holds those of workspaces too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.harness.http import Http
from tests.harness.server import ServerOptions, mlflow_server
from tests.isolation.test_artifact_proxy import ROUNDABOUT
from tests.isolation.world import ARTIFACTS, CANARY, REFUSALS, World
from tests.scenarios.people import TEAM_A, Cluster

PREFIX = "/team"


@pytest.fixture(scope="module")
def single(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    state = tmp_path_factory.mktemp("single")
    secret = state / "artifacts" / "workspaces" / "team-b" / "2" / "traces.json"
    secret.parent.mkdir(parents=True)
    secret.write_bytes(CANARY)
    options = ServerOptions(
        kubeconfig=cluster.plane.server_kubeconfig,
        workspaces=False,
        prefix=PREFIX,
        environment={"MLFLOW_K8S_AUTH_NAMESPACE": TEAM_A},
    )
    with mlflow_server(state, options) as server:
        yield World(server, {TEAM_A: cluster.people.alice.token})


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_the_folder_of_workspaces_is_nobodys(single: World, method: str) -> None:
    secret = single.server.state / "artifacts" / "workspaces" / "team-b" / "2" / "traces.json"
    own = f"workspaces/{TEAM_A}/1/x"
    for path in (*ROUNDABOUT, own):
        spelt = path.format(a=0, b=2)
        answer = single.ask(method, f"{ARTIFACTS}/{spelt}", body=b"x" if method == "PUT" else None)
        assert answer.status in (400, 403, 404), path
        assert method == "HEAD" or any(word in answer.text for word in REFUSALS), path
        assert secret.read_bytes() == CANARY


def test_native_routes_ignore_the_prefix_and_are_guarded_all_the_same(single: World) -> None:
    path = f"{ARTIFACTS}/./workspaces/team-b/2/traces.json"
    headers = {"Authorization": f"Bearer {single.tokens[TEAM_A]}"}
    stripped = Http(single.server.url)
    with closing(stripped):
        assert stripped.request("GET", path, headers=headers).status == 400
        foreign = f"{ARTIFACTS}/workspaces/team-b/2/traces.json"
        assert stripped.request("GET", foreign, headers=headers).status == 403


def test_experiments_artifacts_are_reached_below_the_prefix(single: World) -> None:
    experiment = single.experiment(TEAM_A, "single")
    single.upload(TEAM_A, f"{experiment}/run/artifacts/file.txt", b"mine")
    got = single.ask("GET", f"{ARTIFACTS}/{experiment}/run/artifacts/file.txt")
    assert (got.status, got.body) == (200, b"mine")
    listed = single.ask("GET", f"{ARTIFACTS}?path={experiment}/run")
    assert [file["path"] for file in listed.json["files"]] == ["artifacts"]
    for query in ("", "?path=", "?path=workspaces", "?path=./workspaces"):
        assert single.ask("GET", f"{ARTIFACTS}{query}").status in (400, 403)
