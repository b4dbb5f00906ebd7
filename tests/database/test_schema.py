"""Our tables in MLflow's database: made once, by however many processes, and in nobody's way."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from mlflow.store.db import utils
from sqlalchemy import Engine, create_engine, text

from workspace_authz.database.keys import KEY_BYTES, shared_key
from workspace_authz.database.schema import METADATA, VERSION_TABLE, migrate


def test_the_migrations_make_the_tables_that_the_code_reads(engine: Engine) -> None:
    migrate(engine)
    ours = {table.name for table in METADATA.sorted_tables}
    options = {"compare_type": True, "include_name": lambda name, kind, _: kind != "table" or name in ours}
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts=options), METADATA) == []


def test_many_processes_migrate_at_once(url: str) -> None:
    """Given no tables of ours, when eight replicas start together, then each finds them and none fails."""
    engines = [create_engine(url) for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(migrate, engines))
    with engines[0].connect() as connection:
        versions = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalars().all()
    assert len(versions) == 1
    for engine in engines:
        engine.dispose()


def test_a_migration_that_was_cut_off_is_finished(engine: Engine) -> None:
    """Given a table without the record that it was made, as MySQL may leave it, then all is made good."""
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(text(f"DELETE FROM {VERSION_TABLE}"))
        connection.execute(text("DROP TABLE workspace_authz_keys"))
    migrate(engine)
    assert shared_key(engine, "anything")


def test_tables_of_a_newer_release_are_left_alone(engine: Engine) -> None:
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    migrate(engine)
    assert shared_key(engine, "anything")


def test_mlflow_upgrades_and_starts_beside_our_tables(engine: Engine) -> None:
    """MLflow's ``db upgrade`` and the check at its start see their own tables and version only."""
    before = utils._get_schema_version(engine)
    migrate(engine)
    utils._upgrade_db(engine)
    utils._verify_schema(engine)
    assert utils._all_tables_exist(engine)
    assert utils._get_schema_version(engine) == before
    assert VERSION_TABLE.startswith("alembic_")


def test_every_process_has_the_same_key_and_each_purpose_another(url: str) -> None:
    engines = [create_engine(url) for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        keys = set(threads.map(lambda engine: shared_key(engine, "pages"), engines))
    assert len(keys) == 1
    other = shared_key(engines[0], "something else")
    assert other not in keys
    assert len(other) == KEY_BYTES
    for engine in engines:
        engine.dispose()


@pytest.mark.parametrize("purpose", ["", "x" * 64])
def test_a_purpose_is_any_short_text(engine: Engine, purpose: str) -> None:
    assert shared_key(engine, purpose) == shared_key(engine, purpose)
