"""Data of an MLflow without workspaces, moved into namespaces as docs/migration.md says, on real servers."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import create_engine

from tests.docs.markdown import ROOT, blocks
from tests.harness.forked import mlflow_command
from tests.harness.processes import clean_environment
from tests.harness.sdk import sdk
from tests.harness.server import MlflowServer, ServerOptions, mlflow_server
from tests.isolation import steps
from tests.isolation.world import DEFAULT
from tests.scenarios.people import TEAM_A, TEAM_B, Cluster
from workspace_authz.cli.main import main
from workspace_authz.tenancy.claims import Reason, adopt, read_claims

MOVED, KEPT = "fraud", "churn"
GUIDE: Final = "docs/migration.md"
(COMMANDS,) = [
    block.code.replace("\\\n", " ").splitlines()
    for block in blocks((ROOT / GUIDE).read_text(), file=GUIDE)
    if block.comment == "run by tests/isolation/test_moved_data.py"
]
"""What goes to team-a, as the guide moves it. Prompts are registered models there."""


@dataclass(frozen=True, slots=True)
class Moved:
    """A guarded server over what an unguarded one without workspaces wrote, and what that was."""

    server: MlflowServer
    cluster: Cluster
    made: Mapping[str, Mapping[str, str]]


def moved(url: str, cluster: Cluster, *, directory: Path) -> None:
    """``mlflow db move-resources`` for everything of one team."""
    environment = {
        **clean_environment(),
        "KUBECONFIG": str(cluster.plane.server_kubeconfig),
        "MLFLOW_WORKSPACE_STORE_URI": "kubernetes://",
    }
    first, *moves = COMMANDS
    assert first == "export MLFLOW_WORKSPACE_STORE_URI=kubernetes://"
    for line in moves:
        program, *command = shlex.split(line.replace("$MLFLOW_BACKEND_STORE_URI", url))
        assert program == "mlflow"
        ended = mlflow_command(command, environment=environment, directory=directory)
        assert ended.status == 0, ended.output


@pytest.fixture(scope="module")
def data(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moved]:
    state = tmp_path_factory.mktemp("moving")
    with mlflow_server(state, ServerOptions(workspaces=False)) as before:
        with sdk(before.uri, state / "before") as somebody:
            made = {name: somebody.run(steps.work, name) for name in (MOVED, KEPT)}
            assert somebody.run(steps.found, MOVED, made[MOVED]["trace"])["span"] == "asked"
        experiment = before.ask("GET", f"/api/2.0/mlflow/experiments/get-by-name?experiment_name={MOVED}")
        folder = str(experiment.json["experiment"]["experiment_id"])
    moved(before.database, cluster, directory=state)
    target = state / "artifacts" / "workspaces" / TEAM_A
    target.mkdir(parents=True)
    shutil.move(state / "artifacts" / folder, target / folder)
    options = ServerOptions(kubeconfig=cluster.plane.server_kubeconfig)
    with mlflow_server(state, options) as server:
        yield Moved(server, cluster, made)


def test_the_team_finds_its_work_with_its_files(data: Moved, tmp_path: Path) -> None:
    alice = data.cluster.people.alice
    with sdk(data.server.uri, tmp_path, token=alice.token, workspace=TEAM_A) as there:
        assert there.run(steps.found, MOVED, data.made[MOVED]["trace"]) == {
            "run": data.made[MOVED]["run"],
            "artifact": "weights of fraud",
            "model": "weights of fraud",
            "prompt": "Hello {{name}}",
            "span": "asked",
        }
        assert KEPT not in there.run(steps.names)
        there.run(steps.add_artifact, data.made[MOVED]["run"], "more.txt", "written after the move")
        assert there.run(steps.artifact, data.made[MOVED]["run"], "more.txt") == "written after the move"


def test_what_was_not_moved_is_where_it_was(data: Moved, tmp_path: Path) -> None:
    alice = data.cluster.people.alice
    with sdk(data.server.uri, tmp_path, token=alice.token, workspace=DEFAULT) as there:
        assert there.run(steps.names) == ["Default", KEPT, KEPT]
        assert there.run(steps.found, KEPT, data.made[KEPT]["trace"])["model"] == "weights of churn"
        there.fails(steps.artifact, data.made[MOVED]["run"], "model/weights.txt")


def test_nobody_else_sees_it(data: Moved, tmp_path: Path) -> None:
    people = data.cluster.people
    with sdk(data.server.uri, tmp_path / "carol", token=people.carol.token, workspace=TEAM_B) as there:
        assert MOVED not in there.run(steps.names)
        there.fails(steps.artifact, data.made[MOVED]["run"], "model/weights.txt")
    with sdk(data.server.uri, tmp_path / "mallory", token=people.mallory.token, workspace=TEAM_A) as there:
        assert there.fails(steps.names).error_code == "PERMISSION_DENIED"


def test_the_claims_agree(data: Moved, capsys: pytest.CaptureFixture[str]) -> None:
    """Both namespaces own their data by now; data of another cluster's team are adopted by the command."""
    engine = create_engine(data.server.database)
    try:
        claims = read_claims(engine)
        assert {name: claims[name].reason for name in (TEAM_A, DEFAULT)} == {
            TEAM_A: Reason.START,
            DEFAULT: Reason.START,
        }
        uid = claims[TEAM_A].uid
        adopt(engine, TEAM_A, uid="uid-of-another-cluster", by="somebody")
        options = ["--backend-store-uri", data.server.database]
        options += ["--kubeconfig", str(data.cluster.plane.admin_kubeconfig)]
        capsys.readouterr()
        assert main(["workspaces", "adopt", TEAM_A, *options]) == 0
        assert f"{TEAM_A}: adopted by" in capsys.readouterr().out
        assert read_claims(engine)[TEAM_A].uid == uid
    finally:
        engine.dispose()
