"""A purged workspace leaves nothing, and nothing else is touched."""

from __future__ import annotations

import pytest
from mlflow.entities.entity_type import EntityAssociationType
from sqlalchemy import Engine, event, insert

from tests.tenancy.contents import Rows, everything, fill
from workspace_authz.mlflow_adapter.store import purge
from workspace_authz.mlflow_adapter.store.owned_rows import UNOWNED_TABLES, mlflow_tables, owned_rows
from workspace_authz.mlflow_adapter.store.purge import delete_rows
from workspace_authz.mlflow_adapter.store.workspace_data import count_rows, workspaces_with_data

A, B = "team-a", "team-ab"

KEYS = {
    EntityAssociationType.EXPERIMENT: ("experiments", "experiment_id"),
    EntityAssociationType.EVALUATION_DATASET: ("evaluation_datasets", "dataset_id"),
    EntityAssociationType.RUN: ("runs", "run_uuid"),
    EntityAssociationType.MODEL: ("logged_models", "model_id"),
    EntityAssociationType.TRACE: ("trace_info", "request_id"),
}
"""Where the id of a linked object is."""

LINKED = {value for name, value in vars(EntityAssociationType).items() if name.isupper()} - {
    EntityAssociationType.PROMPT_VERSION
}
"""What an association may link, without prompt versions: their ids are names, which others use, too."""


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


@pytest.mark.parametrize("side", ["source", "destination"])
@pytest.mark.parametrize("kind", sorted(LINKED))
def test_a_purge_deletes_what_links_an_object_to_something_shared(
    engine: Engine, kind: str, side: str
) -> None:
    """Given a link between an object and a prompt version, then it is deleted with its object's workspace.

    MLflow writes such a link for a trace (``SqlAlchemyStore.link_prompts_to_trace``).
    """
    table, key = KEYS[kind]
    shared = "destination" if side == "source" else "source"
    links = next(table for table in mlflow_tables() if table.name == "entity_associations")

    def link(number: int, rows: Rows) -> None:
        values = {
            "association_id": f"link-{number}",
            f"{side}_type": kind,
            f"{side}_id": str(rows[table][key]),
            f"{shared}_type": EntityAssociationType.PROMPT_VERSION,
            f"{shared}_id": "prompt/1",
        }
        with engine.begin() as connection:
            connection.execute(insert(links).values({**rows["entity_associations"], **values}))

    link(2, fill(engine, B, number=2))
    before = everything(engine)
    link(1, fill(engine, A, number=1))
    assert count_rows(engine, A)["entity_associations"] == 2
    delete_rows(engine, A, progress=lambda *_: None)
    assert everything(engine) == before


@pytest.mark.parametrize("side", ["source", "destination"])
@pytest.mark.parametrize(
    ("table", "key"), [("runs", "run_uuid"), ("datasets", "dataset_uuid"), ("logged_models", "model_id")]
)
def test_a_purge_deletes_the_inputs_of_runs_on_either_side(
    engine: Engine, table: str, key: str, side: str
) -> None:
    """Given an input of which one side is gone already, then the other tells whose it is."""
    rows = fill(engine, A, number=1)
    inputs = next(table for table in mlflow_tables() if table.name == "inputs")
    gone = "destination" if side == "source" else "source"
    values = {"input_uuid": "link", f"{side}_id": rows[table][key], f"{gone}_id": "gone"}
    with engine.begin() as connection:
        connection.execute(insert(inputs).values({**rows["inputs"], **values}))
    assert count_rows(engine, A)["inputs"] == 2
    delete_rows(engine, A, progress=lambda *_: None)
    assert everything(engine)["inputs"] == set()


def test_a_purge_goes_in_batches(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
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
