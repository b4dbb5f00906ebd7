"""Artifacts that MLflow only names: clients go to the bucket themselves."""

from __future__ import annotations

from pathlib import Path

from tests.harness.bucket import S3
from tests.harness.postgres import Postgres
from tests.harness.sdk import sdk
from tests.scenarios.people import TEAM_A, Cluster
from tests.storage import steps
from tests.storage.stand import new_database, production, standing
from tests.storage.test_tour import CONTENT, SIZE


def test_without_the_proxy_clients_bring_keys_of_the_bucket(
    cluster: Cluster, own_postgres: Postgres, template: str, s3: S3, tmp_path: Path
) -> None:
    """``--no-serve-artifacts``: MLflow says where, and neither it nor we stand between client and bucket."""
    options = production(
        cluster,
        s3,
        new_database(own_postgres, template),
        workers=1,
        environment={},
        arguments=("--no-serve-artifacts", "--default-artifact-root", "s3://own/root"),
    )
    token = cluster.people.alice.token
    with standing(tmp_path / "stand", cluster=cluster, s3=s3, options=options, replicas=1) as bare:
        with sdk(bare.url, tmp_path / "with", token=token, workspace=TEAM_A, **s3.environment) as person:
            run = person.run(steps.upload, "direct", str(tmp_path / "file.bin"), SIZE)
            assert person.run(steps.digest, run, "file.bin", str(tmp_path / "down")) == CONTENT
        assert len(s3.keys(f"s3://own/root/workspaces/{TEAM_A}/")) == 1
        with sdk(bare.url, tmp_path / "without", token=token, workspace=TEAM_A) as person:
            person.fails(steps.upload, "direct", str(tmp_path / "file.bin"), 256)
        answer = bare.ready[0].ask(
            "GET", "/api/2.0/mlflow-artifacts/artifacts?path=", token=token, workspace=TEAM_A
        )
        assert answer.status >= 400
