"""The commands of docs/migration.md, as they stand there, on real databases and a real API server."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
import yaml
from sqlalchemy import MetaData, Table, create_engine, insert

from tests.convert.conftest import basic_auth_store
from tests.docs.markdown import ROOT, Block, blocks
from tests.harness.processes import PROGRAMS
from tests.manifests.kube import Kubectl

GUIDE: Final = "docs/migration.md"
MINE: Final = [
    block
    for block in blocks((ROOT / GUIDE).read_text(), file=GUIDE)
    if block.comment == f"run by {Path(__file__).relative_to(ROOT)}"
]
(MAP,) = [
    block.code
    for block in blocks((ROOT / GUIDE).read_text(), file=GUIDE)
    if "experiments/fraud" in block.code and block.language == "text"
]


@pytest.fixture
def reader(templates: Mapping[str, Path], tmp_path: Path) -> Path:
    """Where the reader sits: beside the old databases and the map."""
    for name, file in (("basic-auth", "basic_auth.db"), ("oidc-auth", "auth.db"), ("mlflow", "mlflow.db")):
        shutil.copyfile(templates[name], tmp_path / file)
    (tmp_path / "teams.map").write_text(MAP)
    basic_auth_store(f"sqlite:///{tmp_path / 'basic_auth.db'}").create_experiment_permission(
        "1", "bob", "EDIT"
    )
    engine = create_engine(f"sqlite:///{tmp_path / 'auth.db'}")
    rows = [
        ("users", {"id": 1, "username": "alice", "display_name": "Alice"}),
        ("experiment_permissions", {"experiment_id": "1", "user_id": 1, "permission": "EDIT"}),
        ("experiment_permissions", {"experiment_id": "2", "user_id": 1, "permission": "READ"}),
    ]
    with engine.begin() as connection:
        for table, values in rows:
            connection.execute(insert(Table(table, MetaData(), autoload_with=connection)).values(**values))
    engine.dispose()
    return tmp_path


def test_the_guides_commands(kubectl: Kubectl, reader: Path) -> None:
    assert len(MINE) == 2
    environment = {
        "PATH": f"{PROGRAMS}:{kubectl.program.parent}:{os.environ['PATH']}",
        "HOME": str(reader),
        "KUBECONFIG": str(kubectl.kubeconfig),
    }
    for block in MINE:
        run(block, reader, environment=environment)
    objects = [*yaml.safe_load_all((reader / "rbac.yaml").read_text())]
    places = {
        each["metadata"]["annotations"]["mlflow.kubeflow.org/object"]: each["metadata"]["namespace"]
        for each in objects
    }
    assert places == {"experiments/fraud": "team-a", "experiments/churn": "shared"}
    assert "3 rows" in (reader / "report.txt").read_text()
    there = kubectl.json("get", "rolebindings", "-n", "team-a")["items"]
    assert {subject["name"] for each in there for subject in each["subjects"]} == {
        "oidc:alice",
        "bob",
        "carol",
        "staff",
    }


def run(block: Block, directory: Path, *, environment: Mapping[str, str]) -> None:
    command = ["bash", "-c", f"set -eu\n{block.code}"]
    done = subprocess.run(
        command, cwd=directory, env=dict(environment), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{block.place}\n{done.stdout}{done.stderr}"
