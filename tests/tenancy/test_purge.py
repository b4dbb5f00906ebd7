"""A purged workspace leaves nothing, and nothing else is touched."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, event, insert

from tests.tenancy.contents import everything, fill
from workspace_authz.mlflow_adapter.store import purge
from workspace_authz.mlflow_adapter.store.owned_rows import UNOWNED_TABLES, mlflow_tables, owned_rows
from workspace_authz.mlflow_adapter.store.purge import delete_rows
from workspace_authz.mlflow_adapter.store.workspace_data import count_rows, workspaces_with_data

A, B = "team-a", "team-ab"


@pytest.fixture(autouse=True)
def _with_foreign_keys(engine: Engine) -> None:
    """SQLite looks at them only if it is told to, as MLflow does."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys = ON"))
        engine.dispose()


def test_every_table_of_mlflow_is_known() -> None:
    """A new one that nothing leads to fails here, and needs a look at whose its rows are."""
    assert {found.table.name for found in owned_rows(A)} == {
        table.name for table in mlflow_tables()
    } - UNOWNED_TABLES


def test_a_purge_deletes_every_row_of_the_workspace_and_no_other(engine: Engine) -> None:
    """Given a row in every table for two workspaces, when one is purged, then the rest is as before."""
    fill(engine, B, number=2)
    before = everything(engine)
    rows = fill(engine, A, number=1)
    assert count_rows(engine, A).keys() == rows.keys()
    told: dict[str, int] = {}
    total = delete_rows(engine, A, progress=told.__setitem__)
    assert everything(engine) == before
    assert count_rows(engine, A) == {}
    assert A not in workspaces_with_data([engine])
    assert told == dict.fromkeys(rows, 1)
    assert total == len(rows)


def test_a_purge_goes_in_portions(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given more runs than go in one transaction, then progress is told after each, and none is left."""
    monkeypatch.setattr(purge, "BATCH", 3)
    rows = fill(engine, A, number=1)
    tables = {table.name: table for table in mlflow_tables()}
    run, metric = dict(rows["runs"]), dict(rows["metrics"])
    with engine.begin() as connection:
        for number in range(7):
            connection.execute(insert(tables["runs"]).values({**run, "run_uuid": f"run-{number}"}))
            for step in range(2):
                connection.execute(
                    insert(tables["metrics"]).values({**metric, "run_uuid": f"run-{number}", "step": step})
                )
    told: list[int] = []
    delete_rows(engine, A, progress=lambda table, count: told.append(count) if table == "metrics" else None)
    assert told == [5, 11, 15]
    assert count_rows(engine, A) == {}


def test_a_purge_that_was_cut_off_is_finished_by_the_next(engine: Engine) -> None:
    rows = fill(engine, A, number=1)

    class CutOffError(Exception):
        pass

    def stop(table: str, count: int) -> None:
        if table == "runs":
            raise CutOffError

    with pytest.raises(CutOffError):
        delete_rows(engine, A, progress=stop)
    left = count_rows(engine, A)
    assert 0 < len(left) < len(rows)
    delete_rows(engine, A, progress=lambda *_: None)
    assert count_rows(engine, A) == {}
