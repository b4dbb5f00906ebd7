"""A backup as docs/storage.md has it, restored beside the running installation."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.docs.markdown import ROOT, RUN_BY, blocks
from tests.harness.postgres import Postgres
from tests.harness.processes import PROGRAMS, clean_environment
from tests.harness.sdk import sdk
from tests.scenarios.people import TEAM_A, TEAM_B
from tests.storage import steps
from tests.storage.stand import ARTIFACTS, Stand, production, standing

DOCUMENT: Final = "docs/storage.md"
HERE: Final = "tests/storage/test_backup.py"


@pytest.fixture
def commands() -> list[str]:
    """The document's blocks about backup and restore, in order."""
    found = blocks((ROOT / DOCUMENT).read_text(), file=DOCUMENT)
    return [block.code for block in found if block.comment == f"{RUN_BY}{HERE}"]


def test_a_restored_backup_has_everything_and_keeps_it_apart(
    commands: list[str], stand: Stand, own_postgres: Postgres, tmp_path: Path
) -> None:
    backup, restore = commands
    people = stand.cluster.people
    with sdk(stand.url, tmp_path / "before", token=people.alice.token, workspace=TEAM_A) as alice:
        made = alice.run(steps.work, "precious")
        variables = {
            "DATABASE": stand.database,
            "RESTORED": own_postgres.url(own_postgres.database()).replace("+psycopg", ""),
            "BACKUP": str(tmp_path),
        }
        _run(backup, variables, own_postgres)
        copied = stand.s3.copy(ARTIFACTS, "s3://restored/artifacts")
        assert copied > 0
        alice.run(steps.work, "after the backup")
    _run(restore, variables, own_postgres)
    options = production(
        stand.cluster,
        stand.s3,
        variables["RESTORED"],
        workers=1,
        arguments=("--artifacts-destination", "s3://restored/artifacts"),
    )
    with standing(
        tmp_path / "stand", cluster=stand.cluster, s3=stand.s3, options=options, replicas=1
    ) as restored:
        with sdk(restored.url, tmp_path / "alice", token=people.alice.token, workspace=TEAM_A) as alice:
            assert alice.run(steps.spans_of, made.trace) == [{"of": "precious"}]
            assert alice.run(steps.predicts, "precious")
            assert alice.run(steps.experiment_names, "after the backup") == []
        with sdk(restored.url, tmp_path / "carol", token=people.carol.token, workspace=TEAM_B) as carol:
            assert carol.fails(steps.spans_of, made.trace).error_code == "RESOURCE_DOES_NOT_EXIST"


def _run(code: str, variables: dict[str, str], postgres: Postgres) -> None:
    path = os.pathsep.join([str(PROGRAMS), str(postgres.binaries), os.environ["PATH"]])
    script = f"set -euo pipefail\n{code}"
    done = subprocess.run(
        ["bash", "-c", script],
        env={**clean_environment(), **variables, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
