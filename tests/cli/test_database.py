"""``workspace-authz database`` on real databases: what it makes, waits for, refuses, and says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mlflow.store.db import utils
from sqlalchemy import Engine, create_engine, text

from tests.cli.conftest import Run
from tests.harness.database import BEFORE_WORKSPACES, older_database
from tests.harness.mlflow_database import POSTGRES, SQLITE, templates, url
from tests.harness.postgres import Postgres
from tests.harness.processes import ROOT, Running, clean_environment, free_port, running, script
from workspace_authz.database.schema import VERSION_TABLE, is_current
from workspace_authz.database.upgrade_lock import upgrade_lock
from workspace_authz.mlflow_adapter.compat import demand_for_command
from workspace_authz.mlflow_adapter.relied_on import DATABASE_COMMAND

__all__ = ["templates", "url"]

UNREACHABLE, LOCKED, NEWER, FAILED, OUTDATED = 10, 11, 12, 13, 14
PASSWORD = "hunter2"
_SECONDS = 300.0
HEAD = utils._get_latest_schema_revision()


@pytest.fixture(params=[SQLITE, POSTGRES])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with nothing in it."""
    if request.param == SQLITE:
        return f"sqlite:///{tmp_path / 'new' / 'mlflow.db'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.url(server.database())


def revision(url: str) -> str | None:
    engine = create_engine(url)
    try:
        found: str | None = utils._get_schema_version(engine)
        return found
    finally:
        engine.dispose()


def ours(url: str) -> bool:
    engine = create_engine(url)
    try:
        return is_current(engine)
    finally:
        engine.dispose()


def execute(url: str, statement: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def test_a_fresh_database_gets_its_schema_once(run: Run, empty: str) -> None:
    first = run("database", "upgrade", "--backend-store-uri", empty)
    assert (first.status, revision(empty), ours(empty)) == (0, HEAD, True)
    assert f"was upgraded to {HEAD}" in first.out
    again = run("database", "upgrade", "--backend-store-uri", empty)
    assert (again.status, again.err) == (0, "")
    assert f"is up to date at {HEAD}" in again.out
    checked = run("database", "check", "--backend-store-uri", empty)
    assert (checked.status, checked.err) == (0, "")


def test_an_older_database_keeps_its_data(run: Run, postgres: Postgres) -> None:
    """Given a database from before MLflow had workspaces, when it is upgraded, then its rows are there."""
    older = postgres.url(postgres.database())
    older_database(older, revision=BEFORE_WORKSPACES)
    execute(
        older, "INSERT INTO experiments (experiment_id, name, lifecycle_stage) VALUES (7, 'kept', 'active')"
    )
    before = run("database", "check", "--wait", "0", "--backend-store-uri", older)
    assert before.status == OUTDATED
    assert f"it is at {BEFORE_WORKSPACES}, and this MLflow needs {HEAD}" in before.err
    assert revision(older) == BEFORE_WORKSPACES
    assert run("database", "upgrade", "--backend-store-uri", older).status == 0
    assert (revision(older), ours(older)) == (HEAD, True)
    engine = create_engine(older)
    with engine.connect() as connection:
        found = connection.execute(text("SELECT experiment_id, workspace FROM experiments WHERE name='kept'"))
        assert found.one() == (7, "default")
    engine.dispose()


def test_a_check_makes_nothing(run: Run, empty: str) -> None:
    result = run("database", "check", "--wait", "0", "--backend-store-uri", empty)
    assert result.status == OUTDATED
    assert result.out == ""
    assert "has no schema of MLflow's yet: run `workspace-authz database upgrade`" in result.err
    file = Path(empty.removeprefix("sqlite:///"))
    if empty.startswith(SQLITE):
        assert not file.parent.exists()
    else:
        assert revision(empty) is None


def test_a_check_wants_our_tables_too(run: Run, url: str) -> None:
    result = run("database", "check", "--wait", "0", "--backend-store-uri", url)
    assert result.status == OUTDATED
    assert "the tables of workspace-authz" in result.err


def test_tables_of_others_are_no_schema(run: Run, postgres: Postgres) -> None:
    """Given a database that another application uses too, then MLflow's schema is made beside it."""
    shared = postgres.url(postgres.database())
    execute(shared, "CREATE TABLE others (id INTEGER)")
    assert run("database", "upgrade", "--backend-store-uri", shared).status == 0
    assert revision(shared) == HEAD


@pytest.mark.parametrize("action", ["upgrade", "check"])
def test_a_newer_schema_is_left_alone(run: Run, url: str, action: str) -> None:
    execute(url, "UPDATE alembic_version SET version_num = 'fffffffffff0'")
    result = run("database", action, "--backend-store-uri", url)
    assert result.status == NEWER
    assert f"newer than this release: it is at fffffffffff0, and this MLflow knows up to {HEAD}" in result.err
    assert "waiting" not in result.err, "it stays newer"
    assert revision(url) == "fffffffffff0"


@pytest.mark.parametrize("action", ["upgrade", "check"])
def test_newer_tables_of_ours_do(run: Run, url: str, action: str) -> None:
    assert run("database", "upgrade", "--backend-store-uri", url).status == 0
    execute(url, f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    assert run("database", action, "--wait", "0", "--backend-store-uri", url).status == 0


@contextmanager
def upgrading(url: str, *, log: Path) -> Iterator[Running]:
    """The command as a process, which waits long."""
    command: list[str | Path] = [script("workspace-authz"), "database", "upgrade"]
    environment = {**clean_environment(), "MLFLOW_BACKEND_STORE_URI": url, "PYTHONPATH": str(ROOT)}
    with running([*command, "--wait", str(_SECONDS)], log=log, environment=environment) as process:
        yield process


def test_a_second_upgrade_is_refused_while_one_runs(
    run: Run, postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given an upgrade that waits for a table, then another one refuses, and the first one ends well."""
    older = postgres.url(postgres.database())
    older_database(older, revision=BEFORE_WORKSPACES)
    engine = create_engine(older)
    with engine.connect() as connection, upgrading(older, log=tmp_path / "first.log") as first:
        connection.execute(text("LOCK TABLE experiments IN ACCESS EXCLUSIVE MODE"))
        first.wait_until(lambda: _waiting(engine) > 0, seconds=_SECONDS)
        with monkeypatch.context() as variables:
            variables.setenv("PGOPTIONS", "-c lock_timeout=2min")  # should it wait for the table, too
            second = run("database", "upgrade", "--backend-store-uri", older)
        assert (second.status, second.out) == (LOCKED, "")
        assert "another upgrade of the database" in second.err
        assert revision(older) == BEFORE_WORKSPACES
        connection.rollback()
        assert first.process.wait(_SECONDS) == 0
        assert f"was upgraded to {HEAD}" in first.output
    assert revision(older) == HEAD
    assert run("database", "upgrade", "--backend-store-uri", older).status == 0
    engine.dispose()


def _waiting(engine: Engine) -> int:
    """How many wait for a lock in this database."""
    query = "SELECT count(*) FROM pg_locks JOIN pg_database ON database = oid WHERE NOT granted"
    with engine.connect() as connection:
        return int(connection.execute(text(f"{query} AND datname = current_database()")).scalar_one())


def test_the_lock_is_one_for_all_processes(run: Run, url: str) -> None:
    engine = create_engine(url)
    with upgrade_lock(engine) as mine:
        assert mine
        assert run("database", "upgrade", "--backend-store-uri", url).status == LOCKED
        assert not ours(url)
    assert run("database", "upgrade", "--backend-store-uri", url).status == 0
    engine.dispose()


def test_a_migration_that_fails_changes_nothing(run: Run, postgres: Postgres) -> None:
    """Given a table in the way of a migration, then the command says so, and works once it is gone."""
    older = postgres.url(postgres.database())
    older_database(older, revision=BEFORE_WORKSPACES)
    execute(older, "CREATE TABLE workspaces (id INTEGER)")
    result = run("database", "upgrade", "--backend-store-uri", older)
    assert result.status == FAILED
    assert 'relation "workspaces" already exists' in result.err
    assert revision(older) == BEFORE_WORKSPACES
    execute(older, "DROP TABLE workspaces")
    assert run("database", "upgrade", "--backend-store-uri", older).status == 0


@pytest.mark.parametrize("action", ["upgrade", "check"])
@pytest.mark.parametrize("driver", ["postgresql", "postgresql+psycopg"])
def test_a_database_that_is_away_is_named_without_its_password(run: Run, action: str, driver: str) -> None:
    port = free_port()
    uri = f"{driver}://mlflow:{PASSWORD}@127.0.0.1:{port}/tracking"
    result = run("database", action, "--wait", "0", "--backend-store-uri", uri)
    assert (result.status, result.out) == (UNREACHABLE, "")
    assert f"the database tracking at 127.0.0.1:{port} does not answer: " in result.err
    assert "onnection refused" in result.err
    assert result.err.count("\n") == 1
    assert PASSWORD not in result.err


def test_the_wait_ends_when_the_database_comes(postgres: Postgres, tmp_path: Path) -> None:
    """Given a database that is not there yet, when it is made meanwhile, then the upgrade goes on."""
    name = postgres.database()
    execute_outside(postgres, f"ALTER DATABASE {name} RENAME TO {name}_away")
    with upgrading(postgres.url(name), log=tmp_path / "log") as process:
        process.wait_until(lambda: "waiting: " in process.output, seconds=_SECONDS)
        execute_outside(postgres, f"ALTER DATABASE {name}_away RENAME TO {name}")
        assert process.process.wait(_SECONDS) == 0
    assert revision(postgres.url(name)) == HEAD


def execute_outside(postgres: Postgres, statement: str) -> None:
    engine = create_engine(postgres.url("postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


@pytest.mark.parametrize("url", [SQLITE], indirect=True)
def test_the_registry_may_have_its_own_database(run: Run, url: str, tmp_path: Path) -> None:
    registry = f"sqlite:///{tmp_path / 'registry.db'}"
    older_database(registry, revision=BEFORE_WORKSPACES)
    both = ("--backend-store-uri", url, "--registry-store-uri", registry)
    assert run("database", "upgrade", *both).status == 0
    assert (revision(url), revision(registry)) == (HEAD, HEAD)
    assert (ours(url), ours(registry)) == (True, False)
    assert run("database", "check", *both).status == 0
    execute(registry, "UPDATE alembic_version SET version_num = 'fffffffffff0'")
    assert run("database", "check", *both).status == NEWER


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("", "Give MLflow's database"),
        ("./mlruns", "no database that SQLAlchemy knows"),
        (f"nosuch://mlflow:{PASSWORD}@host/name", "no database that SQLAlchemy knows"),
        (f"mysql+mysqldb://mlflow:{PASSWORD}@host/name", "[server-all]' brings those for"),
        (f"mysql://mlflow:{PASSWORD}@host/name", "and mysql+pymysql:"),
    ],
)
def test_what_is_no_database_is_one_sentence(run: Run, uri: str, said: str) -> None:
    result = run("database", "check", "--backend-store-uri", uri)
    assert (result.status, result.out) == (2, "")
    assert said in result.err
    assert result.err.count("\n") == 1
    assert PASSWORD not in result.err


def test_an_mlflow_without_its_functions_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    demand_for_command(DATABASE_COMMAND)
    monkeypatch.delattr(utils, "_initialize_tables")
    with pytest.raises(Exception, match="lacks what `workspace-authz database` relies on"):
        demand_for_command(DATABASE_COMMAND)
