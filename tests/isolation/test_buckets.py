"""A bucket as artifact root: who may register a model version from an address in it, and then read it.

The server opens such an address with its own credentials, so whoever registers one can read what lies there.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

import pytest

from tests.harness.bucket import S3
from tests.harness.http import Answer
from tests.harness.plane import Plane, User
from tests.isolation.conftest import MODEL, SHARED
from tests.isolation.test_model_sources import CREATE, registered, run
from tests.isolation.world import World
from tests.scenarios.people import TEAM_A, TEAM_B, Cluster
from tests.scenarios.waiting import until
from workspace_authz.workspaces.namespace import SOURCES_ANNOTATION

SECRET, MINE, FREE = b"of the secret experiment", b"of her own experiment", b"of a shared bucket"


@dataclass(frozen=True, slots=True)
class Runs:
    """A run of an experiment that the holder may not see, and one of an experiment that she may."""

    secret: dict[str, str]
    theirs: dict[str, str]


@pytest.fixture(scope="module")
def runs(bucket: World, s3: S3) -> Runs:
    """Both have a file in the bucket; so has the shared place."""
    found = {}
    for name, content in {"secret": SECRET, "theirs": MINE}.items():
        bucket.ask("POST", "/api/2.0/mlflow/experiments/create", json_body={"name": name})
        by_name = f"/api/2.0/mlflow/experiments/get-by-name?experiment_name={name}"
        found[name] = run(bucket, bucket.ask("GET", by_name).json["experiment"]["experiment_id"])
        s3.put(f"{found[name]['artifact_uri']}/f.txt", content)
    bucket.ask("POST", "/api/2.0/mlflow/registered-models/create", json_body={"name": MODEL})
    s3.put(f"{SHARED}/fraud/f.txt", FREE)
    s3.put("s3://shared/other/f.txt", FREE)
    return Runs(**found)


def version(world: World, source: str, *, name: str = MODEL, workspace: str = TEAM_A, **more: str) -> Answer:
    document = {"name": name, "source": source, **more}
    return world.ask("POST", CREATE, workspace=workspace, json_body=document)


def read(world: World, made: Answer, *, path: str = "f.txt", workspace: str = TEAM_A) -> Answer:
    """The file, by the version that was made."""
    found = made.json["model_version"]
    query = f"name={quote(found['name'])}&version={found['version']}&path={quote(path)}"
    return world.ask("GET", f"/model-versions/get-artifact?{query}", workspace=workspace)


def test_a_right_on_one_model_reads_no_experiment(bucket: World, holder: User, runs: Runs) -> None:
    theirs, uri = bucket.as_(holder), runs.secret["artifact_uri"]
    by_run = f"/get-artifact?run_id={runs.secret['run_id']}&path=f.txt"
    assert bucket.ask("GET", by_run).body == SECRET
    assert theirs.ask("GET", by_run).status == 403
    experiment = uri.removesuffix(f"/{runs.secret['run_id']}/artifacts")
    for source in (uri, f"{uri}/", uri.replace("s3:", "S3:"), experiment, f"{experiment}/"):
        for more in ({}, {"run_id": runs.theirs["run_id"]}):
            answer = version(theirs, source, **more)
            assert (answer.status, answer.json["error_code"]) == (403, "PERMISSION_DENIED"), source
    assert theirs.ask("GET", f"/model-versions/get-artifact?name={MODEL}&version=1&path=f.txt").status != 200


def test_with_get_on_the_experiment_it_is_a_source(bucket: World, holder: User, runs: Runs) -> None:
    theirs = bucket.as_(holder)
    own = version(theirs, runs.theirs["artifact_uri"], run_id=runs.theirs["run_id"])
    assert (own.status, read(theirs, own).body) == (200, MINE)
    broad = version(bucket, runs.secret["artifact_uri"], name=registered(bucket))
    assert (broad.status, read(bucket, broad).body) == (200, SECRET)


def test_another_workspace_reads_neither(bucket: World, runs: Runs) -> None:
    name = registered(bucket, TEAM_B)
    for info in (runs.secret, runs.theirs):
        assert version(bucket, info["artifact_uri"], name=name, workspace=TEAM_B).status == 403


@pytest.mark.usefixtures("runs")
def test_a_shared_place_is_a_source_with_a_broad_and_with_a_named_right(bucket: World, holder: User) -> None:
    theirs = bucket.as_(holder)
    for source, path in (
        (f"{SHARED}/fraud", "f.txt"),
        (f"{SHARED}/fraud/", "f.txt"),
        (SHARED, "fraud/f.txt"),
    ):
        made = version(theirs, source)
        assert (made.status, read(theirs, made, path=path).body) == (200, FREE), source
    for workspace in (TEAM_A, TEAM_B):
        made = version(bucket, f"{SHARED}/fraud", name=registered(bucket, workspace), workspace=workspace)
        assert (made.status, read(bucket, made, workspace=workspace).body) == (200, FREE)
    copied = version(theirs, f"models:/{MODEL}/{version(theirs, SHARED).json['model_version']['version']}")
    assert copied.status == 200


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize(
    "source",
    ["s3://shared/other", "s3://shared", f"{SHARED}-too/x", f"{SHARED}/../other", f"{SHARED}/%2e%2e/other"],
)
def test_beside_it_nothing_is(bucket: World, holder: User, source: str) -> None:
    for world, name in ((bucket, registered(bucket)), (bucket.as_(holder), MODEL)):
        assert version(world, source, name=name).status in (400, 403)


@pytest.mark.usefixtures("runs")
def test_a_refusal_says_what_would_help(bucket: World) -> None:
    answer = version(bucket, "s3://shared/other", name=registered(bucket))
    assert answer.status == 403
    assert f"it may lie below {SHARED}." in answer.json["message"]
    assert "Log the model to a run first" in answer.json["message"]
    assert "WORKSPACE_AUTHZ_MODEL_SOURCES" in answer.json["message"]


@pytest.mark.usefixtures("runs")
def test_a_namespace_narrows_it_for_itself_and_cannot_widen_it(bucket: World, cluster: Cluster) -> None:
    source, name = f"{SHARED}/fraud", registered(bucket)
    try:
        annotate(cluster.plane, f"{SHARED}/churn, s3://shared/other, s3://mlflow")
        until(lambda: version(bucket, source, name=name).status == 403)
        assert version(bucket, f"{SHARED}/churn/1", name=name).status == 200
        assert version(bucket, "s3://shared/other", name=name).status == 403
        assert version(bucket, source, name=registered(bucket, TEAM_B), workspace=TEAM_B).status == 200
        annotate(cluster.plane, "")
        until(lambda: version(bucket, f"{SHARED}/churn/1", name=name).status == 403)
        message = version(bucket, source, name=name).json["message"]
        assert f"The annotation {SOURCES_ANNOTATION} of the namespace allows no other place." in message
    finally:
        annotate(cluster.plane, None)
    until(lambda: version(bucket, source, name=name).status == 200)


def annotate(plane: Plane, value: str | None) -> None:
    patch = {"metadata": {"annotations": {SOURCES_ANNOTATION: value}}}
    assert plane.ask("PATCH", f"/api/v1/namespaces/{TEAM_A}", patch).status == 200
