"""From the oldest MLflow to the usual one, server by server, while people work."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.harness.bucket import S3
from tests.harness.forked import Ended, own_command
from tests.harness.postgres import Postgres
from tests.harness.processes import PROGRAMS, clean_environment
from tests.harness.releases import OLDEST, programs_of
from tests.harness.sdk import sdk
from tests.scenarios.people import TEAM_A, Cluster
from tests.storage import steps
from tests.storage.load import then_nothing_is_lost
from tests.storage.stand import new_database, production, standing
from tests.storage.test_drills import AWAY, GATEWAY, loaded
from tests.storage.upkeep import migration_command


def test_a_rolling_upgrade_loses_nothing(
    cluster: Cluster, own_postgres: Postgres, s3: S3, tmp_path: Path
) -> None:
    """The schema first, by the new release's Job, then one server after the other.

    Servers of 3.16 that run go on with the schema of 3.17, except that they register no version of a logged
    model (500): for that they open the database anew. One that starts there refuses, so it is replaced.
    """
    old = programs_of(OLDEST)
    database = new_database(own_postgres, "template0")
    assert _old_command(old, database, "upgrade").status == 0
    options = production(cluster, s3, database, programs=old, workers=1)
    token = cluster.people.alice.token
    with standing(tmp_path / "stand", cluster=cluster, s3=s3, options=options) as stand:
        with loaded(stand, "a rolling upgrade") as load:
            ended = own_command(
                migration_command(),
                environment={**clean_environment(), "MLFLOW_BACKEND_STORE_URI": database},
                directory=tmp_path,
            )
            assert ended.status == 0, ended.output
            load.goes_on()
            with sdk(stand.url, tmp_path / "alice", token=token, workspace=TEAM_A) as alice:
                trace = alice.run(steps.old_trace, "made by 3.16", 0)
            for replica in stand.replicas:
                replica.stop()
                replica.start(programs=PROGRAMS)
                replica.wait()
                load.goes_on()
        # nginx asks for no readiness, so it asks a server that is not ready, too.
        then_nothing_is_lost(load, failures=(*GATEWAY, *AWAY))
        with sdk(stand.url, tmp_path / "later", token=token, workspace=TEAM_A) as alice:
            assert alice.run(steps.spans_of, trace) == [{"of": "made by 3.16"}]
    refused = _old_command(old, database, "check")
    assert (refused.status, "newer" in refused.output) == (12, True), refused.output


def _old_command(programs: Path, database: str, action: str) -> Ended:
    """``workspace-authz database`` of the old release's environment."""
    done = subprocess.run(
        [programs / "workspace-authz", "database", action, "--wait", "5"],
        env={**clean_environment(), "MLFLOW_BACKEND_STORE_URI": database},
        check=False,
        capture_output=True,
        text=True,
    )
    return Ended(done.returncode, done.stdout + done.stderr)
