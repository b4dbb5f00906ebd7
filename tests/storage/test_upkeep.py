"""Garbage collection and archival of traces, by the CronJobs of the components as they are written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest

from tests.harness.plane import rights
from tests.harness.sdk import sdk
from tests.scenarios.people import TEAM_A, TEAM_B
from tests.scenarios.waiting import until
from tests.storage import steps
from tests.storage.stand import ARTIFACTS, Stand
from tests.storage.upkeep import COMPONENTS, NAMESPACE, CronJob

SEARCH: Final = "/api/2.0/mlflow/experiments/search"
NOW: Final = ("--older-than", "0s")
"""The option's last value counts."""


@pytest.fixture(scope="module")
def gc(stand: Stand) -> CronJob:
    return CronJob(stand, "gc")


@pytest.fixture(scope="module")
def archival(stand: Stand) -> CronJob:
    return CronJob(stand, "trace-archival")


def test_what_was_deleted_is_gone_for_good_and_its_names_are_free(
    stand: Stand, gc: CronJob, tmp_path: Path
) -> None:
    alice = stand.cluster.people.alice
    with sdk(stand.url, tmp_path / "alice", token=alice.token, workspace=TEAM_A) as person:
        doomed, kept = person.run(steps.work, "doomed"), person.run(steps.work, "kept")
        stays = person.run(steps.upload, "kept", str(tmp_path / "file"), 256)
        person.run(steps.delete_work, doomed, kept)
        assert person.fails(steps.create_experiment, "doomed").error_code == "RESOURCE_ALREADY_EXISTS"
        gc.grant()
        assert gc.run(tmp_path / "young").status == 0  # nothing is 30 days old
        assert stand.s3.keys(f"{ARTIFACTS}/workspaces/{TEAM_A}/{doomed.experiment}/")
        ended = gc.run(tmp_path / "gc", more=NOW)
        assert ended.status == 0, ended.output
        assert f"note: {TEAM_A} is collected." in ended.output
        assert person.run(steps.create_experiment, "doomed") != doomed.experiment
        assert person.run(steps.spans_of, kept.trace) == [{"of": "kept"}]
    folders = f"{ARTIFACTS}/workspaces/{TEAM_A}"
    assert stand.s3.keys(f"{folders}/{doomed.experiment}/") == []
    (left,) = stand.s3.keys(f"{folders}/{kept.experiment}/")
    assert f"/{stays}/" in left


def test_a_registered_models_name_is_free_at_once(stand: Stand, tmp_path: Path) -> None:
    alice = stand.cluster.people.alice
    with sdk(stand.url, tmp_path, token=alice.token, workspace=TEAM_A) as person:
        person.run(steps.work, "again")
        person.run(steps.delete_registered, "again")
        person.run(steps.work, "again")


def test_a_workspace_that_is_closed_stops_no_other(stand: Stand, gc: CronJob, tmp_path: Path) -> None:
    """`mlflow gc --all-workspaces` ends there."""
    plane, root = stand.cluster.plane, stand.cluster.people.root
    gc.grant()
    for name in ("aa-closed", "zz-open"):
        plane.namespace(name)
        _delete_experiment(stand, name)
    closed = "/api/v1/namespaces/aa-closed"
    plane.delete(closed)
    until(lambda: plane.ask("GET", closed).status == 404)
    plane.namespace("aa-closed")
    ended = gc.run(tmp_path / "gc", more=NOW)
    assert ended.status == 0, ended.output
    assert "note: aa-closed is left alone: it is closed." in ended.output
    assert _deleted_experiments(stand, "zz-open", token=root.token) == []


def test_a_workspace_that_fails_stops_no_other_and_fails_the_job(
    stand: Stand, gc: CronJob, tmp_path: Path
) -> None:
    """Given an account that may not delete in the first of two workspaces, then the second one is done."""
    plane, root = stand.cluster.plane, stand.cluster.people.root
    gc.grant(without=("update", "experiments"))
    for name in ("ab-fails", "zy-open"):
        plane.namespace(name)
        _delete_experiment(stand, name)
    plane.role("zy-open", "collected", rules=rights("update experiments"))
    plane.bind("zy-open", "collected", account=(NAMESPACE, gc.account), kind="Role")
    account = plane.account_token(NAMESPACE, gc.account)
    plane.wait_for_access(account, "zy-open", verb="update", resource="experiments")
    ended = gc.run(tmp_path / "gc", more=NOW)
    assert ended.status == 1, ended.output
    assert "note: ab-fails could not be collected:" in ended.output
    assert _deleted_experiments(stand, "ab-fails", token=root.token) == ["short-lived"]
    assert _deleted_experiments(stand, "zy-open", token=root.token) == []


@pytest.mark.parametrize("right", [("get", "experiments"), ("list", "namespaces")])
def test_the_other_rights_of_the_collectors_account_are_needed(
    right: tuple[str, str], stand: Stand, gc: CronJob, tmp_path: Path
) -> None:
    namespace = f"needs-{right[0]}"
    stand.cluster.plane.namespace(namespace)
    _delete_experiment(stand, namespace)
    gc.grant(without=right)
    ended = gc.run(tmp_path / "gc", more=NOW)
    assert ended.status != 0
    assert "experiments" in ended.output if right[1] == "experiments" else "namespaces" in ended.output
    token = stand.cluster.people.root.token
    assert len(_deleted_experiments(stand, namespace, token=token)) == 1


def _delete_experiment(stand: Stand, workspace: str) -> None:
    """Make an experiment with a run and a file, and delete it."""
    server, token = stand.ready[0], stand.cluster.people.root.token

    def post(path: str, document: object) -> dict[str, object]:
        answer = server.ask(
            "POST", f"/api/2.0/mlflow/{path}", token=token, workspace=workspace, json_body=document
        )
        assert answer.status == 200, answer.text
        made: dict[str, object] = answer.json
        return made

    stand.wait_for_workspace(workspace)
    experiment = post("experiments/create", {"name": "short-lived"})["experiment_id"]
    run = post("runs/create", {"experiment_id": experiment})["run"]
    folder = json.loads(json.dumps(run))["info"]["artifact_uri"].removeprefix("mlflow-artifacts:/")
    path = f"/api/2.0/mlflow-artifacts/artifacts/{folder}/file"
    assert server.ask("PUT", path, token=token, workspace=workspace, body=b"x").status == 200
    post("experiments/delete", {"experiment_id": experiment})


def _deleted_experiments(stand: Stand, workspace: str, *, token: str) -> list[str]:
    document = {"view_type": "DELETED_ONLY", "max_results": 100}
    answer = stand.ready[0].ask("POST", SEARCH, token=token, workspace=workspace, json_body=document)
    assert answer.status == 200, answer.text
    return [each["name"] for each in answer.json.get("experiments", ())]


def test_an_archived_trace_stays_its_teams_own(stand: Stand, archival: CronJob, tmp_path: Path) -> None:
    people = stand.cluster.people
    archival.grant()
    with sdk(stand.url, tmp_path / "alice", token=people.alice.token, workspace=TEAM_A) as alice:
        old, new = alice.run(steps.old_trace, "traced", 40), alice.run(steps.old_trace, "traced", 1)
        ended = archival.run(tmp_path / "job", files=_settings(tmp_path))
        assert (ended.status, "1 traces were archived." in ended.output) == (0, True), ended.output
        (key,) = stand.s3.keys("s3://mlflow-archive/traces/workspaces/")
        assert (old in key, new in key) == (True, False)
        assert alice.run(steps.spans_of, old) == alice.run(steps.spans_of, new) == [{"of": "traced"}]
    for workspace, code in ((TEAM_B, "RESOURCE_DOES_NOT_EXIST"), (TEAM_A, "PERMISSION_DENIED")):
        home = tmp_path / f"carol-{workspace}"
        with sdk(stand.url, home, token=people.carol.token, workspace=workspace) as carol:
            assert carol.fails(steps.spans_of, old).error_code == code


def test_archiving_that_fails_or_is_off_is_no_success(
    stand: Stand, archival: CronJob, tmp_path: Path
) -> None:
    """MLflow itself only logs both, and ends well."""
    alice = stand.cluster.people.alice
    archival.grant()
    with sdk(stand.url, tmp_path / "alice", token=alice.token, workspace=TEAM_A) as person:
        trace = person.run(steps.old_trace, "traced", 50)
    failed = archival.run(tmp_path / "job", files=_settings(tmp_path, bucket="no-such-bucket"))
    assert failed.status == 1
    assert f"note: Failed to archive trace {trace}" in failed.output
    off = archival.run(tmp_path / "off", files=_settings(tmp_path, enabled="false"))
    assert off.status == 2
    assert "`enabled` must be true" in off.output


def _settings(directory: Path, *, bucket: str = "mlflow-archive", enabled: str = "true") -> dict[str, str]:
    """The component's file, where the job's variable says that it is."""
    text = (COMPONENTS / "trace-archival" / "trace-archival.yaml").read_text()
    file = directory / "trace-archival.yaml"
    file.write_text(
        text.replace("s3://mlflow-archive/", f"s3://{bucket}/").replace(
            "enabled: true", f"enabled: {enabled}"
        )
    )
    return {"/etc/mlflow-trace-archival/trace-archival.yaml": str(file)}
