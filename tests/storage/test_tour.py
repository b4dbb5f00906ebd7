"""The demo's tour and the ways of artifacts, on PostgreSQL and S3, through nginx and two replicas."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.harness.sdk import Sdk, sdk
from tests.scenarios.people import TEAM_A, TEAM_B
from tests.storage import steps
from tests.storage.stand import ARTIFACTS, Stand
from workspace_authz.apps.demo.steps import models, tracking

PART: Final = 5 * 1024**2
"""The smallest part of an upload that S3 takes."""
SIZE: Final = 2 * PART + 1024
PARTS: Final = {
    "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "true",
    "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "true",
    "MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE": str(PART),
    "MLFLOW_MULTIPART_DOWNLOAD_MINIMUM_FILE_SIZE": str(PART),
    "MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE": str(PART),
    "MLFLOW_MULTIPART_DOWNLOAD_CHUNK_SIZE": str(PART),
}
"""A client's settings for large files, with small numbers."""
CONTENT: Final = hashlib.sha256(bytes(range(256)) * (SIZE // 256)).hexdigest()


@pytest.fixture
def alice(stand: Stand, tmp_path: Path) -> Iterator[Sdk]:
    """Edit in team-a; large files go in parts."""
    token = stand.cluster.people.alice.token
    with sdk(stand.url, tmp_path / "alice", token=token, workspace=TEAM_A, **PARTS) as person:
        yield person


@pytest.fixture
def carol(stand: Stand, tmp_path: Path) -> Iterator[Sdk]:
    """Admin in team-b, nothing in team-a."""
    token = stand.cluster.people.carol.token
    with sdk(stand.url, tmp_path / "carol", token=token, workspace=TEAM_B) as person:
        yield person


def test_the_tour_works_through_all_replicas(alice: Sdk, carol: Sdk, stand: Stand, tmp_path: Path) -> None:
    """Each step makes connections of its own, so all workers of both replicas serve some."""
    assert TEAM_A in alice.run(tracking.list_workspaces)
    assert alice.run(tracking.smoke_test) == "run FINISHED, 5 accuracies"
    assert alice.run(models.log_model) == "same predictions, same file"
    assert alice.run(models.load_model) == "a good model"
    assert carol.run(tracking.read_runs) == "no experiment"
    bob = stand.cluster.people.bob.token
    with sdk(stand.url, tmp_path / "bob", token=bob, workspace=TEAM_A) as reader:
        assert reader.run(tracking.read_runs) == "demo-run, baseline"
        assert reader.run(models.load_model) == "a good model"
        assert reader.fails(tracking.create_experiment).error_code == "PERMISSION_DENIED"
    assert alice.run(tracking.delete_experiment) == "deleted"
    for server in stand.ready:
        assert "POST /api/2.0/mlflow/runs/" in server.process.output


def test_a_large_file_goes_in_parts_and_comes_from_the_bucket_itself(
    alice: Sdk, carol: Sdk, stand: Stand, tmp_path: Path
) -> None:
    run = alice.run(steps.upload, "large files", str(tmp_path / "large.bin"), SIZE)
    (key,) = stand.s3.keys(f"{ARTIFACTS}/workspaces/{TEAM_A}/", containing=f"{run}/artifacts/large.bin")
    assert stand.s3.tag(f"s3://mlflow/{key}").endswith("-3"), "S3 names the number of parts"
    assert alice.run(steps.digest, run, "large.bin", str(tmp_path / "down")) == CONTENT
    outputs = [server.process.output for server in stand.ready]
    assert any("/mlflow-artifacts/mpu/complete/" in output for output in outputs)
    assert any("GET /api/2.0/mlflow-artifacts/presigned/" in output for output in outputs)
    assert carol.fails(steps.digest, run, "large.bin", str(tmp_path / "hers"))


def test_others_get_neither_parts_nor_presigned_addresses(alice: Sdk, stand: Stand, tmp_path: Path) -> None:
    run = alice.run(steps.upload, "large files", str(tmp_path / "mine.bin"), 256)
    (key,) = stand.s3.keys(f"{ARTIFACTS}/workspaces/{TEAM_A}/", containing=f"{run}/artifacts/mine.bin")
    path = key.removeprefix("artifacts/")
    carol = stand.cluster.people.carol.token
    for workspace in (TEAM_A, TEAM_B):
        for method, route, body in (
            ("GET", "presigned", None),
            ("POST", "mpu/create", {"path": "mine.bin", "num_parts": 1}),
        ):
            answer = stand.ready[0].ask(
                method,
                f"/api/2.0/mlflow-artifacts/{route}/{path}",
                token=carol,
                workspace=workspace,
                json_body=body,
            )
            assert answer.status == 403, answer.text
            assert "X-Amz-" not in answer.text
