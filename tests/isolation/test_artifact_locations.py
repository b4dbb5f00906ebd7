"""Artifacts belong to the experiment in whose recorded location they lie, on servers of several layouts."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.plane import User
from tests.harness.server import ServerOptions, mlflow_server
from tests.isolation.conftest import BUCKET, MODEL, served
from tests.isolation.test_model_sources import CREATE, registered, run
from tests.isolation.world import ARTIFACTS, DEFAULT, World
from tests.scenarios.people import TEAM_A, TEAM_B, Cluster

ROOT = "mlflow-artifacts:/prod/mlflow"


@pytest.fixture(scope="module")
def below(cluster: Cluster, programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A server whose root lies below the proxy's."""
    state = tmp_path_factory.mktemp("below")
    yield from served(cluster, programs, state, "--default-artifact-root", ROOT)


@pytest.fixture(scope="module")
def alone(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A server without workspaces, whose clients choose locations."""
    options = ServerOptions(
        kubeconfig=cluster.plane.server_kubeconfig,
        workspaces=False,
        environment={"MLFLOW_K8S_AUTH_NAMESPACE": TEAM_A},
    )
    with mlflow_server(tmp_path_factory.mktemp("alone"), options) as server:
        yield World(server, {TEAM_A: cluster.people.alice.token})


def path_of(uri: str) -> str:
    return uri.removeprefix("mlflow-artifacts:/")


@pytest.mark.parametrize("workspace", [TEAM_A, DEFAULT])
def test_artifacts_below_a_root_of_its_own_are_reached(below: World, workspace: str) -> None:
    experiment = below.experiment(workspace, f"below {secrets.token_hex(4)}")
    uri = run(below, experiment, workspace)["artifact_uri"]
    assert uri.startswith(f"{ROOT}/")
    below.upload(workspace, f"{path_of(uri)}/a.txt", b"mine")
    got = below.ask("GET", f"{ARTIFACTS}/{path_of(uri)}/a.txt", workspace=workspace)
    assert (got.status, got.body) == (200, b"mine")
    listed = below.ask("GET", f"{ARTIFACTS}?path={path_of(uri)}", workspace=workspace)
    assert [file["path"] for file in listed.json["files"]] == ["a.txt"]
    assert below.ask("DELETE", f"{ARTIFACTS}/{path_of(uri)}/a.txt", workspace=workspace).status == 200


def test_other_paths_below_that_root_stay_refused(below: World) -> None:
    ids = {ws: below.experiment(ws, f"refused {secrets.token_hex(4)}") for ws in (TEAM_A, TEAM_B, DEFAULT)}
    foreign = path_of(run(below, ids[TEAM_B], TEAM_B)["artifact_uri"])
    for path in (
        foreign,
        f"workspaces/{TEAM_B}/{foreign}",
        *(f"{ids[TEAM_A]}/x", f"workspaces/{TEAM_A}/{ids[TEAM_A]}/x", "prod", "prod/mlflow", "prod/mlflow/x"),
        *("prod/mlflow/workspaces", f"prod/mlflow/workspaces/{TEAM_A}", f"prod/mlflow/{ids[TEAM_A]}/x"),
        f"prod/mlflow/workspaces/{TEAM_A}/{int(ids[TEAM_B]) + 999}/x",
        f"prod/mlflow/workspaces/{TEAM_A}/{ids[TEAM_A]}/../{ids[TEAM_B]}/x",
    ):
        for workspace in (TEAM_A, DEFAULT):
            for method in ("GET", "PUT", "DELETE"):
                body = b"x" if method == "PUT" else None
                answer = below.ask(method, f"{ARTIFACTS}/{path}", workspace=workspace, body=body)
                assert answer.status in (400, 403, 404), (path, answer.text)
                assert "path" in answer.text
            assert below.ask("GET", f"{ARTIFACTS}?path={path}", workspace=workspace).status in (400, 403, 404)


@pytest.mark.usefixtures("programs")
@pytest.mark.parametrize("kind", ["bucket", "below", "guarded"])
def test_a_version_from_an_experiments_files_demands_get_on_that_experiment(
    request: pytest.FixtureRequest, holder: User, kind: str
) -> None:
    world: World = request.getfixturevalue(kind)
    theirs = world.as_(holder)
    for name in ("theirs", "secret"):
        world.ask("POST", "/api/2.0/mlflow/experiments/create", json_body={"name": name})
    by_name = "/api/2.0/mlflow/experiments/get-by-name?experiment_name="
    ids = {name: world.ask("GET", by_name + name).json["experiment"] for name in ("theirs", "secret")}
    world.ask("POST", "/api/2.0/mlflow/registered-models/create", json_body={"name": MODEL})
    uris = {name: run(world, found["experiment_id"]) for name, found in ids.items()}
    location = ids["secret"]["artifact_location"]
    for source in (
        uris["secret"]["artifact_uri"],
        f"{uris['secret']['artifact_uri']}/model",
        location,
        f"{location}/",
        location.replace(f"workspaces/{TEAM_A}/", ""),
    ):
        answer = theirs.ask("POST", CREATE, json_body={"name": MODEL, "source": source})
        assert answer.status == 403, (source, answer.text)
    # What she may get is a source, as far as MLflow takes it: 3.17 wants the run beside a proxied one.
    info = uris["theirs"]
    document = {"name": MODEL, "source": f"{info['artifact_uri']}/m", "run_id": info["run_id"]}
    assert theirs.ask("POST", CREATE, json_body=document).status == 200
    broad = {
        "name": MODEL,
        "source": f"{uris['secret']['artifact_uri']}/m",
        "run_id": uris["secret"]["run_id"],
    }
    assert world.ask("POST", CREATE, json_body=broad).status == 200


def test_a_source_in_an_experiment_that_is_not_there_is_refused(bucket: World) -> None:
    for missing in (f"{BUCKET}/workspaces/{TEAM_A}/99999/m", f"{BUCKET}/99999/m", f"{BUCKET}/workspaces"):
        for workspace in (TEAM_A, DEFAULT):
            document = {"name": registered(bucket, workspace), "source": missing}
            answer = bucket.ask("POST", CREATE, workspace=workspace, json_body=document)
            assert answer.status == 403, answer.text


def chosen(world: World, location: str, name: str | None = None) -> int:
    document = {"name": name or f"chosen-{secrets.token_hex(4)}", "artifact_location": location}
    return world.ask("POST", "/api/2.0/mlflow/experiments/create", json_body=document).status


def test_a_location_that_a_client_chose_is_reached(alone: World) -> None:
    for location in ("x", "teams/vision/exp1", "99/sub"):
        name = f"chosen-{secrets.token_hex(4)}"
        assert chosen(alone, f"mlflow-artifacts:/{location}", name) == 200
        by_name = f"/api/2.0/mlflow/experiments/get-by-name?experiment_name={name}"
        experiment = alone.ask("GET", by_name).json["experiment"]["experiment_id"]
        artifacts = path_of(run(alone, experiment)["artifact_uri"])
        assert artifacts.startswith(f"{location}/")
        alone.upload(TEAM_A, f"{artifacts}/a.txt", b"mine")
        assert alone.ask("GET", f"{ARTIFACTS}/{artifacts}/a.txt").body == b"mine"
    assert alone.ask("GET", f"{ARTIFACTS}/teams/x").status == 403
    assert alone.ask("GET", f"{ARTIFACTS}/98/sub").status == 404


def test_a_location_within_another_experiment_demands_update_on_that(alone: World, holder: User) -> None:
    theirs = alone.as_(holder)
    experiment = alone.experiment(TEAM_A, f"nested-{secrets.token_hex(4)}")
    alone.upload(TEAM_A, f"{experiment}/run/a.txt", b"secret")
    inside = f"mlflow-artifacts:/{experiment}/run"
    for location in (inside, f"mlflow-artifacts:/%3{experiment[0]}{experiment[1:]}/run", f"{inside}/"):
        assert chosen(theirs, location, "theirs") == 403
    assert chosen(theirs, "mlflow-artifacts:/nobodys", "theirs") == 200
    assert theirs.ask("PUT", f"{ARTIFACTS}/nobodys/a.txt", body=b"x").status == 200
    assert theirs.ask("GET", f"{ARTIFACTS}/{experiment}/run/a.txt").status == 403
    assert chosen(alone, inside) == 200


def test_a_folder_around_other_experiments_is_not_the_holders(alone: World, holder: User) -> None:
    """Else a location above those of others would give rights on all of them."""
    theirs = alone.as_(holder)
    assert chosen(alone, "mlflow-artifacts:/around/inner") == 200
    alone.upload(TEAM_A, "around/inner/a.txt", b"secret")
    assert chosen(theirs, "mlflow-artifacts:/around", "around") == 200
    assert theirs.ask("PUT", f"{ARTIFACTS}/around/a.txt", body=b"x").status == 200
    for method in ("GET", "DELETE"):
        assert theirs.ask(method, f"{ARTIFACTS}/around").status == 403
    assert theirs.ask("GET", f"{ARTIFACTS}?path=around").status == 403
    assert alone.ask("GET", f"{ARTIFACTS}/around/inner/a.txt").body == b"secret"
