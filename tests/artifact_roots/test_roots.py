"""A namespace's own artifact root, on a real API server, a real MLflow and an S3 server."""

from __future__ import annotations

import json
import os
import subprocess
import time
import uuid
from pathlib import Path

import pytest
import yaml

from tests.artifact_roots.conftest import GROUP, OWN, SECRET, SHARED, Site, apply
from tests.harness.processes import ROOT, script
from tests.harness.sdk import sdk
from tests.scenarios import steps
from tests.scenarios.waiting import until
from tests.workspaces.test_artifact_roots import PATHS, TRAVERSALS

NO_SECRET = "the namespace has no Secret mlflow-artifact-connection"
WRONG_BUCKET = "WORKSPACE_AUTHZ_ARTIFACT_BUCKETS"


def own_root(site: Site, prefix: str, team: str = "team-a") -> str:
    """The location of a new experiment, once it begins so: the server hears of each object by a watch."""
    until(lambda: site.roots_at(prefix, team))
    return site.location(team)


def test_without_the_right_the_server_is_not_ready_and_says_what_is_missing(whole: Site) -> None:
    answer = whole.before["rights"]
    assert answer.status == 503
    assert "mlflow-server-artifact-roots" in answer.text
    assert "mlflow-config" in answer.text


def test_without_the_kind_it_serves_with_its_own_root_and_notes_it(whole: Site) -> None:
    answer = whole.before["kind"]
    assert answer.status == 200
    assert "no kind MLflowConfig" in answer.text
    assert whole.before["location"].startswith("mlflow-artifacts:/workspaces/team-a/")


def test_new_experiments_lie_in_the_namespaces_bucket_and_those_of_others_do_not(site: Site) -> None:
    before = site.create().json["experiment_id"]
    site.secret(OWN)
    site.config(artifactRootPath="models")
    location = own_root(site, f"s3://{OWN}/")
    assert location == f"s3://{OWN}/models/workspaces/team-a/{location.rpartition('/')[2]}"
    assert site.location("team-b").startswith("mlflow-artifacts:/workspaces/team-b/")
    assert site.location_of(before).startswith("mlflow-artifacts:/workspaces/team-a/")


def test_the_example_leads_where_it_says(site: Site) -> None:
    apply(site.plane, ROOT / "manifests" / "examples" / "mlflow-config" / "team-a.yaml")
    own_root(site, "s3://team-a-data/models/workspaces/team-a/")


def test_the_list_of_workspaces_shows_the_root(site: Site) -> None:
    site.secret(SHARED)
    site.config(artifactRootPath="models")
    own_root(site, f"s3://{SHARED}/")
    (found,) = site.ask("GET", "/api/3.0/mlflow/workspaces").json["workspaces"]
    assert found["default_artifact_root"] == f"s3://{SHARED}/models/workspaces/team-a"
    (others,) = site.ask("GET", "/api/3.0/mlflow/workspaces", team="team-b").json["workspaces"]
    assert not others.get("default_artifact_root")


def test_the_scenario_of_the_operators_own_suite(site: Site, tmp_path: Path) -> None:
    """Artifacts stored at custom MLflowConfig location (mlflow-operator, ``test_artifacts.py``).

    Given a Secret and then an MLflowConfig, when experiments are created at once, then none is refused, and
    within ten attempts a second apart one lies in the custom location; a client with credentials of its own
    logs there.
    """
    site.secret(SHARED, AWS_ACCESS_KEY_ID="key", AWS_S3_ENDPOINT=site.s3.url)
    assert site.config(artifactRootPath="custom-artifacts").status == 201
    token, environment = site.admins["team-a"].token, site.s3.environment
    with sdk(site.server.uri, tmp_path, token=token, workspace="team-a", **environment) as client:
        for _ in range(10):
            probe = client.run(steps.create_experiment, f"mlflowconfig-probe-{uuid.uuid4().hex}")
            if site.location_of(probe).startswith(f"s3://{SHARED}/custom-artifacts/"):
                break
            time.sleep(1)
        experiment = client.run(steps.create_experiment, f"own-{uuid.uuid4().hex}")
        location = site.location_of(experiment)
        assert location.startswith(f"s3://{SHARED}/custom-artifacts/")
        run = client.run(steps.create_run, experiment)
        client.run(steps.upload, run, "model.txt", b"weights")
        assert client.run(steps.download, run, "model.txt") == b"weights"
    assert site.s3.get(f"{location}/{run}/artifacts/model.txt") == b"weights"
    # The server reads it, for the UI, with its own credentials, and asks for the right on the experiment.
    path = f"/get-artifact?run_id={run}&path=model.txt"
    assert site.ask("GET", path).body == b"weights"
    assert site.ask("GET", path, team="team-b").status == 404


def test_a_changed_secret_counts_for_the_next_experiment_and_moves_none(site: Site) -> None:
    site.secret(SHARED)
    site.config()
    first = own_root(site, f"s3://{SHARED}/workspaces/team-a/")
    site.secret(OWN)
    own_root(site, f"s3://{OWN}/workspaces/team-a/")
    assert site.location_of(first.rpartition("/")[2]) == first


def test_a_deleted_config_leads_back_to_the_servers_root(site: Site) -> None:
    site.secret(SHARED)
    site.config()
    own_root(site, f"s3://{SHARED}/")
    site.plane.delete(f"{GROUP}/namespaces/team-a/mlflowconfigs/mlflow")
    own_root(site, "mlflow-artifacts:/workspaces/team-a/")


def test_without_a_usable_secret_no_experiment_is_created_and_reading_goes_on(site: Site) -> None:
    existing = site.create().json["experiment_id"]
    site.config()
    site.refused(NO_SECRET)
    assert site.location_of(existing)
    site.secret(SHARED)
    own_root(site, f"s3://{SHARED}/")
    site.plane.delete(f"/api/v1/namespaces/team-a/secrets/{SECRET}")
    site.refused(NO_SECRET)


@pytest.mark.parametrize(
    "bucket", ["elsewhere", OWN, f"{SHARED}/workspaces/team-a", "AKIA-a-key-by-mistake", "file:///tmp"]
)
def test_a_bucket_that_is_not_allowed_for_the_namespace_is_refused_and_not_named(
    site: Site, bucket: str
) -> None:
    """Given team-b, to which only the shared bucket is open, then no other counts, nor a place in one."""
    site.secret(bucket, team="team-b")
    site.config(team="team-b")
    message = site.refused(WRONG_BUCKET, "team-b")
    assert "No experiment is created in the workspace 'team-b'" in message
    assert bucket not in message.replace("artifact_buckets", "")
    log = site.server.process.output
    assert log.count("No experiment is created in the workspace 'team-b'") >= 1
    assert "AKIA-a-key-by-mistake" not in log
    assert "not-ours-to-read" not in log
    assert "MLflowConfigs cannot be used" in site.server.ask("GET", "/readyz").text


@pytest.mark.parametrize("path", TRAVERSALS)
def test_the_api_server_refuses_a_path_that_could_lead_elsewhere(whole: Site, path: str) -> None:
    answer = whole.dry({"artifactRootSecret": SECRET, "artifactRootPath": path})
    assert answer.status == 422
    assert "artifactRootPath" in answer.text


@pytest.mark.parametrize("path", ["", "models/", *PATHS])
def test_it_takes_every_other_one(whole: Site, path: str) -> None:
    assert whole.dry({"artifactRootSecret": SECRET, "artifactRootPath": path}).status == 201


def test_it_takes_no_other_name_no_other_secret_and_no_path_alone(whole: Site) -> None:
    assert whole.dry({}).status == 201
    assert "must be 'mlflow'" in whole.dry({}, name="other").text
    another = whole.dry({"artifactRootSecret": "another"})
    assert "must be 'mlflow-artifact-connection'" in another.text
    assert "artifactRootSecret is required" in whole.dry({"artifactRootPath": "a"}).text
    assert "unknown field" in whole.dry({"archiveRootPath": "a"}).text


def test_in_the_default_workspace_a_faulty_config_refuses_as_elsewhere(site: Site) -> None:
    site.secret("elsewhere", team="team-c")
    site.config(team="team-c")
    assert "No experiment is created in the workspace 'team-c'" in site.refused(WRONG_BUCKET, "team-c")


def test_who_cannot_create_experiments_learns_nothing_of_the_config(site: Site) -> None:
    site.config()
    site.refused(NO_SECRET)
    answer = site.server.ask(
        "POST",
        "/api/2.0/mlflow/experiments/create",
        token=site.admins["team-b"].token,
        workspace="team-a",
        json_body={"name": "mine"},
    )
    assert answer.status == 403
    assert "MLflowConfig" not in answer.text


def test_another_team_registers_no_model_from_there(site: Site) -> None:
    site.secret(SHARED)
    site.config(artifactRootPath="models")
    location = own_root(site, f"s3://{SHARED}/models/")
    site.s3.put(f"{location}/run/artifacts/f.txt", b"of team-a")
    for team, status in (("team-b", 403), ("team-a", 200)):
        site.ask("POST", "/api/2.0/mlflow/registered-models/create", team=team, json_body={"name": "m"})
        version = {"name": "m", "source": f"{location}/run/artifacts"}
        made = site.ask("POST", "/api/2.0/mlflow/model-versions/create", team=team, json_body=version)
        assert made.status == status, made.text


@pytest.mark.parametrize(
    ("query", "status"),
    [
        (f"?fieldSelector=metadata.name={SECRET}", 200),
        (f"?watch=true&timeoutSeconds=1&fieldSelector=metadata.name={SECRET}", 200),
        ("", 403),
        ("?fieldSelector=metadata.name=mlflow-crypto", 403),
        (f"?fieldSelector=metadata.name!={SECRET}", 403),
        ("?fieldSelector=type=Opaque", 403),
        ("?watch=true&timeoutSeconds=1", 403),
    ],
)
def test_the_server_sees_the_one_secret_only(whole: Site, query: str, status: int) -> None:
    token = whole.plane.account_token("mlflow", "mlflow")
    assert whole.plane.ask("GET", f"/api/v1/secrets{query}", token=token).status == status
    for name in (SECRET, "mlflow-crypto"):
        path = f"/api/v1/namespaces/team-a/secrets/{name}"
        assert whole.plane.ask("GET", path, token=token).status == 403


def test_admins_choose_and_others_look(whole: Site) -> None:
    token = {"admin": whole.admins["team-a"].token, "edit": whole.editor.token}
    for verb, role, allowed in (
        ("create", "admin", True),
        ("delete", "admin", True),
        ("create", "edit", False),
        ("update", "edit", False),
        ("get", "edit", True),
    ):
        found = whole.plane.allows(token[role], "team-a", verb=verb, resource="mlflowconfigs")
        assert found is allowed, (verb, role)


def test_check_finds_the_right_and_its_absence(whole: Site, tmp_path: Path) -> None:
    """Given the server's own account, which has the right, and an editor's, who has not."""
    other = yaml.safe_load(whole.plane.server_kubeconfig.read_text())
    other["users"][0]["user"] = {"token": whole.editor.token}
    others = tmp_path / "kubeconfig"
    others.write_text(yaml.safe_dump(other))
    for kubeconfig, level in ((whole.plane.server_kubeconfig, "ok"), (others, "failing")):
        command: list[str | Path] = [script("workspace-authz"), "check", "--no-routes", "-o", "json"]
        command += ["--kubeconfig", kubeconfig]
        environment = {**os.environ, "WORKSPACE_AUTHZ_ARTIFACT_BUCKETS": SHARED}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        found = {finding["check"]: finding for finding in json.loads(done.stdout)}
        assert found["artifact-roots"]["level"] == level, done.stdout
        assert "secrets" not in found["least-privilege"]["what"]
