"""``workspace-authz workspaces`` on a database and a cluster: what it shows, opens and deletes."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow.store.db import utils
from mlflow.store.db.utils import _initialize_tables, create_sqlalchemy_engine
from sqlalchemy import Engine, create_engine

from tests.cli.conftest import Result, Run
from tests.cli.planes import Plane
from tests.tenancy.contents import everything, fill
from workspace_authz.database.schema import METADATA, VERSION_TABLE, migrate
from workspace_authz.tenancy.claims import NO_NAMESPACE, Reason, claim, read_claims

CLAIMED, CLOSED, ORPHAN = "team-a", "team-b", "team-gone"
PASSWORD = "hunter2"


@dataclass
class Server:
    """What a server left behind: team-a is its own, team-b was another's, and one namespace is gone."""

    run: Run
    plane: Plane
    url: str
    root: Path
    engine: Engine

    def workspaces(self, *arguments: str) -> Result:
        return self.run(
            "workspaces", *arguments, "--backend-store-uri", self.url, "--kubeconfig", self.plane.admin
        )

    def purge(self, *arguments: str) -> Result:
        return self.workspaces("purge", *arguments, "--artifacts-destination", str(self.root))

    def state(self, name: str) -> str:
        found = {item["workspace"]: item for item in self.workspaces("list", "-o", "json").json()}
        return str(found[name]["state"]) if name in found else "absent"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with a row in every table for three workspaces."""
    file = tmp_path_factory.mktemp("workspaces") / "mlflow.db"
    engine = create_sqlalchemy_engine(f"sqlite:///{file}")
    _initialize_tables(engine)
    migrate(engine)
    for number, name in enumerate((CLAIMED, CLOSED, ORPHAN), start=1):
        fill(engine, name, number=number)
    engine.dispose()
    return file


@pytest.fixture
def server(run: Run, plane: Plane, template: Path, tmp_path: Path) -> Iterator[Server]:
    file, root = tmp_path / "mlflow.db", tmp_path / "artifacts"
    shutil.copyfile(template, file)
    engine = create_engine(f"sqlite:///{file}")
    server = Server(run, plane, f"sqlite:///{file}", root, engine)
    for name in (CLAIMED, CLOSED, ORPHAN):
        folder = root / "workspaces" / name / "1"
        folder.mkdir(parents=True)
        (folder / "model.bin").write_text(name)
    (found,) = [
        item for item in server.workspaces("list", "-o", "json").json() if item["workspace"] == CLAIMED
    ]
    claim(engine, CLAIMED, uid=found["namespace"]["uid"], reason=Reason.WRITE)
    claim(engine, CLOSED, uid="uid-of-a-namespace-that-was", reason=Reason.WRITE)
    claim(engine, ORPHAN, uid=NO_NAMESPACE, reason=Reason.START)
    yield server
    engine.dispose()


def test_list_shows_every_workspace_and_its_state(server: Server) -> None:
    result = server.workspaces("list")
    assert result.status == 0
    head, *rows = result.out.splitlines()
    assert head.split()[:2] == ["WORKSPACE", "STATE"]
    states = {row.split()[0]: row.split()[1] for row in rows}
    assert states == {CLAIMED: "claimed", CLOSED: "closed", ORPHAN: "orphan"}
    assert all("1 experiments" in row and "1 runs" in row for row in rows)
    assert "uid-of-a-namespace-that-was" in result.out


def test_our_tables_are_made_where_no_server_has_made_them(server: Server) -> None:
    with server.engine.begin() as connection:
        METADATA.drop_all(connection)
        connection.exec_driver_sql(f"DROP TABLE {VERSION_TABLE}")
    result = server.workspaces("list")
    assert (result.status, result.err) == (0, "")
    assert read_claims(server.engine) == {}


def test_adopt_opens_a_closed_workspace_and_remembers_who(server: Server) -> None:
    before = everything(server.engine)
    result = server.workspaces("adopt", CLOSED)
    assert (result.status, result.err) == (0, "")
    assert result.out.count("\n") == 1
    assert "adopted by" in result.out
    assert server.state(CLOSED) == "claimed"
    row = read_claims(server.engine)[CLOSED]
    assert row.reason == Reason.ADOPTED
    assert row.by
    assert everything(server.engine) == before


def test_adopt_all_leaves_what_has_no_namespace(server: Server) -> None:
    dry = server.workspaces("adopt", "--all", "--dry-run")
    assert "would be adopted" in dry.out
    assert server.state(CLOSED) == "closed"
    result = server.workspaces("adopt", "--all", "-o", "json")
    assert [item["workspace"] for item in result.json()] == [CLOSED]
    assert f"{ORPHAN} is left as it is" in result.err
    assert server.state(ORPHAN) == "orphan"


@pytest.mark.parametrize(
    ("name", "status", "said"),
    [
        (CLAIMED, 0, "is claimed for its namespace already"),
        (ORPHAN, 2, "make it first, then adopt"),
        ("team-unknown", 2, "holds no data"),
    ],
)
def test_adopt_says_why_it_does_nothing(server: Server, name: str, status: int, said: str) -> None:
    before = read_claims(server.engine)
    result = server.workspaces("adopt", name)
    assert (result.status, result.out) == (status, "")
    assert said in result.err
    assert read_claims(server.engine) == before


@pytest.mark.parametrize("name", [CLOSED, ORPHAN])
def test_purge_deletes_rows_and_files_of_one_workspace_only(server: Server, name: str) -> None:
    counts = {item["workspace"]: item["objects"] for item in server.workspaces("list", "-o", "json").json()}
    result = server.purge(name, "--yes")
    assert result.status == 0
    assert result.out.splitlines()[-1].startswith(f"{name}: ")
    assert "metrics: 1 rows deleted" in result.err
    assert server.state(name) == "absent"
    assert name not in read_claims(server.engine)
    left = {item["workspace"]: item["objects"] for item in server.workspaces("list", "-o", "json").json()}
    del counts[name]
    assert left == counts
    kept = sorted(path.read_text() for path in server.root.rglob("*.bin"))
    assert kept == sorted({CLAIMED, CLOSED, ORPHAN} - {name})


def test_a_dry_run_counts_and_deletes_nothing(server: Server) -> None:
    before = everything(server.engine)
    text, json = server.purge(CLOSED, "--dry-run"), server.purge(CLOSED, "--dry-run", "-o", "json").json()
    assert "would be deleted" in text.out
    assert json["deleted"] is False
    assert json["rows"]["runs"] == 1
    assert json["artifacts"] == ["1"]
    assert everything(server.engine) == before
    assert len(list(server.root.rglob("*.bin"))) == 3


@pytest.mark.parametrize(("typed", "status"), [("no\n", 1), ("", 1), (f"{CLOSED}\n", 0)])
def test_purge_asks_for_the_name(
    server: Server, monkeypatch: pytest.MonkeyPatch, typed: str, status: int
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    result = server.purge(CLOSED)
    assert result.status == status
    assert "Type the name of the workspace" in result.err
    assert (server.state(CLOSED) == "closed") is bool(status)


@pytest.mark.parametrize(
    ("name", "said"), [(CLAIMED, "is claimed"), ("default", "Adopt it"), ("nope", "no data")]
)
def test_what_is_in_use_is_not_purged(server: Server, name: str, said: str) -> None:
    result = server.purge(name, "--yes")
    assert (result.status, result.out) == (2, "")
    assert said in result.err
    assert server.state(CLAIMED) == "claimed"


def test_artifacts_are_kept_only_if_that_is_said(server: Server) -> None:
    assert "--keep-artifacts" in server.workspaces("purge", CLOSED, "--yes").err
    assert server.state(CLOSED) == "closed"
    assert server.workspaces("purge", CLOSED, "--yes", "--keep-artifacts").status == 0
    assert server.state(CLOSED) == "absent"
    assert len(list(server.root.rglob("*.bin"))) == 3


def test_artifacts_that_cannot_be_deleted_keep_the_workspace_closed(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise PermissionError("read-only file system")

    monkeypatch.setattr("shutil.rmtree", fail)
    result = server.purge(CLOSED, "--yes")
    assert result.status == 2
    assert "read-only file system" in result.err
    assert server.state(CLOSED) == "closed"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("list", "x"), "list takes no NAME"),
        (("list", "--all"), "list takes no NAME"),
        (("adopt",), "adopt takes a NAME or --all"),
        (("adopt", "x", "--all"), "adopt takes a NAME or --all"),
        (("purge",), "purge takes one NAME"),
        (("purge", "x", "--all"), "purge takes one NAME"),
        (("drop", "x"), "invalid choice: 'drop'"),
    ],
)
def test_wrong_arguments_are_one_line(run: Run, arguments: tuple[str, ...], said: str) -> None:
    result = run("workspaces", *arguments)
    assert (result.status, result.out) == (2, "")
    assert said in result.err
    assert result.err.count("\n") == 1


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (None, "MLFLOW_BACKEND_STORE_URI"),
        (f"postgresql+psycopg://mlflow:{PASSWORD}@127.0.0.1:9/x", "cannot be used"),
        (f"nonsense://mlflow:{PASSWORD}@127.0.0.1/x", "cannot be used"),
        ("./mlruns", "cannot be used"),
        ("sqlite://", "mlflow db upgrade"),
    ],
)
def test_a_database_that_cannot_be_used_is_one_line_without_its_password(
    run: Run, plane: Plane, url: str | None, said: str
) -> None:
    options = ["--backend-store-uri", url] if url else []
    result = run("workspaces", "list", "--kubeconfig", plane.admin, *options)
    assert (result.status, result.out) == (2, "")
    assert said in result.err
    assert result.err.count("\n") == 1
    assert PASSWORD not in result.err


def test_who_may_not_list_namespaces_learns_nothing(run: Run, server: Server, tmp_path: Path) -> None:
    unknown = tmp_path / "unknown.kubeconfig"
    text = server.plane.admin.read_text()
    unknown.write_text(text.replace(_token(text), "mallory-token-0123456789"))
    result = run("workspaces", "list", "--backend-store-uri", server.url, "--kubeconfig", unknown)
    assert (result.status, result.out) == (2, "")
    assert "cannot be listed with your credential" in result.err


def _token(kubeconfig: str) -> str:
    return next(line.split(":", 1)[1].strip() for line in kubeconfig.splitlines() if "token:" in line)


@pytest.mark.parametrize("action", [("list",), ("adopt", "a"), ("purge", "a")], ids=lambda each: each[0])
def test_an_mlflow_that_lacks_something_is_named(
    run: Run, monkeypatch: pytest.MonkeyPatch, action: tuple[str, ...]
) -> None:
    monkeypatch.delattr(utils, "_verify_schema")
    result = run("workspaces", *action)
    assert result.status == 2, result
    assert (
        "lacks what `workspace-authz workspaces` relies on: mlflow.store.db.utils._verify_schema"
        in result.err
    )
