"""Decisions on their way into the database: gathered, bounded, written off the requests' way."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DataError, OperationalError

from tests.harness.fakes import ManualClock
from tests.harness.mlflow_database import engine, templates, url
from workspace_authz.database import audit
from workspace_authz.database.audit import AuditRow, Bounds, Wanted
from workspace_authz.database.threads import DatabaseThreads
from workspace_authz.errors import MisconfiguredError, UnavailableError
from workspace_authz.history import history as module
from workspace_authz.history.events import AskedRight, Event, decoded_checks, encoded_checks, owner_of
from workspace_authz.history.history import MOST_OF_USER, MOST_WAITING, History

__all__ = ["engine", "templates", "url"]

EVENT = Event(
    namespace_uid="uid-a",
    username="alice",
    method="POST",
    operation="CreateExperiment",
    decision="allow",
    status=200,
    code="",
    asked=(AskedRight("create", "experiments", "", "allow"),),
)


class Database:
    """MLflow's database, which can be away."""

    def __init__(self, engine: Engine | None) -> None:
        self.engine = engine
        self.away = False

    def __call__(self) -> Engine | None:
        if self.away:
            raise OperationalError("SELECT 1", {}, Exception("away"))
        return self.engine


@pytest.fixture
def database(engine: Engine) -> Database:
    return Database(engine)


@pytest.fixture
def history(database: Database, clock: ManualClock) -> Iterator[History]:
    threads = DatabaseThreads(database, "the audit page")
    yield History(threads, threads, days=7, bounds=Bounds(1000), clock=clock, uid_of={"team-a": "uid-a"}.get)
    threads.close()


async def kept(history: History) -> Sequence[AuditRow]:
    return [kept.row for kept in await history.read(Wanted("uid-a"), most=10_000)]


async def test_a_decision_is_kept_with_all_that_it_was(history: History, clock: ManualClock) -> None:
    history.note(EVENT)
    await history.flush()
    (row,) = await kept(history)
    at = int(clock.time() * 1000)
    assert (row.username, row.owner, row.method, row.operation) == (
        "alice",
        owner_of("alice"),
        "POST",
        "CreateExperiment",
    )
    assert (row.decision, row.status, row.code, row.times) == ("allow", 200, "", 1)
    assert (row.first_at, row.last_at, row.id >> audit.ID_BITS) == (at, at, at)
    assert decoded_checks(row.checks) == (list(EVENT.asked), 0)


async def test_equal_decisions_of_a_moment_are_one_row(history: History, clock: ManualClock) -> None:
    for _ in range(1000):
        history.note(EVENT)
        clock.advance(0.001)
    history.note(replace(EVENT, status=500))
    await history.flush()
    history.note(EVENT)
    clock.advance(1)
    await history.flush()
    rows = await kept(history)
    assert [(row.times, row.status) for row in rows] == [(1, 200), (1, 500), (1000, 200)]
    assert rows[-1].last_at - rows[-1].first_at == pytest.approx(999, abs=1)


async def test_one_user_takes_no_more_than_their_share(history: History) -> None:
    for number in range(MOST_OF_USER + 50):
        history.note(replace(EVENT, operation=f"Operation{number}"))
    history.note(replace(EVENT, username="bob"))
    assert history.dropped == 50
    await history.flush()
    assert {row.username for row in await kept(history)} == {"alice", "bob"}
    history.note(EVENT)
    assert history.dropped == 50


async def test_all_users_together_take_no_more_than_there_is(history: History) -> None:
    """Given a flood by many users, then it is cut off, counted, and equal decisions still count."""
    for number in range(MOST_WAITING + 500):
        history.note(replace(EVENT, username=f"user-{number}"))
    assert history.dropped == 500
    history.note(replace(EVENT, username="user-0"))
    assert history.dropped == 500
    await history.flush()
    rows = await kept(history)
    assert len(rows) == MOST_WAITING
    assert rows[-1].times == 2


async def test_while_the_database_is_away_nothing_is_lost_but_what_is_too_much(
    history: History, database: Database, clock: ManualClock
) -> None:
    """Given a database that is away, when it comes back, then what was noted is there, once and in order."""
    database.away = True
    history.note(EVENT)
    await history.flush()
    clock.advance(1)
    for number in range(MOST_WAITING + 7):
        history.note(replace(EVENT, username=f"user-{number}"))
    for _ in range(3):
        await history.flush()
    with pytest.raises(UnavailableError):
        await kept(history)
    assert history.dropped == 7
    database.away = False
    for _ in range(2):
        await history.flush()
    rows = await kept(history)
    assert len(rows) == MOST_WAITING + 1
    assert rows[-1].username == "alice"
    assert history.dropped == 7


async def test_a_write_whose_answer_was_lost_is_not_made_twice(
    history: History, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_rows: Callable[[Engine, Sequence[AuditRow]], None] = audit.add_rows

    def lost(engine: Engine, rows: Sequence[AuditRow]) -> None:
        add_rows(engine, rows)
        raise OperationalError("COMMIT", {}, Exception("the connection is gone"))

    history.note(EVENT)
    monkeypatch.setattr(module, "add_rows", lost)
    await history.flush()
    monkeypatch.setattr(module, "add_rows", add_rows)
    clock.advance(1)
    history.note(replace(EVENT, username="bob"))
    for _ in range(2):
        await history.flush()
    assert [row.username for row in await kept(history)] == ["bob", "alice"]
    assert history.dropped == 0


async def test_ids_that_another_worker_took_are_counted_and_end_nothing(
    history: History, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secrets.randbelow", lambda _: 0)
    for _ in range(2):
        history.note(EVENT)
        history.note(EVENT)
        await history.flush()  # the clock stands still
    assert len(await kept(history)) == 1
    assert history.dropped == 2


async def test_a_batch_that_the_database_can_never_take_is_counted_and_stops_no_other(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(engine: Engine, rows: Sequence[AuditRow]) -> None:
        raise DataError("INSERT", {}, Exception("Incorrect string value"))

    history.note(EVENT)
    with monkeypatch.context() as patched:
        patched.setattr(module, "add_rows", refused)
        await history.flush()
    assert history.dropped == 1
    history.note(replace(EVENT, username="bob"))
    await history.flush()
    assert [row.username for row in await kept(history)] == ["bob"]


async def test_a_table_that_was_dropped_is_made_again(history: History, engine: Engine) -> None:
    history.note(EVENT)
    await history.flush()
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE workspace_authz_audit"))
    history.note(EVENT)
    for _ in range(2):
        await history.flush()
    assert len(await kept(history)) == 1


async def test_what_is_older_than_the_setting_is_not_shown(history: History, clock: ManualClock) -> None:
    history.note(EVENT)
    await history.flush()
    clock.advance(7 * 24 * 3600 - 1)
    assert len(await kept(history)) == 1
    clock.advance(2)
    assert await kept(history) == []


async def test_without_an_sql_database_nothing_is_kept_and_nothing_is_counted(
    history: History, database: Database
) -> None:
    database.engine = None
    history.note(EVENT)
    await history.flush()
    assert history.dropped == 0
    with pytest.raises(MisconfiguredError, match="must be an SQL database"):
        await kept(history)


async def test_the_last_decisions_are_written_when_the_server_stops(
    history: History, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    history.note(EVENT)
    await history.close()
    assert len(await kept(history)) == 1
    database.away = True
    history.note(EVENT)
    history.note(EVENT)
    await history.close()
    assert "2 decisions are missing on the audit page" in caplog.text


@pytest.mark.parametrize(
    "name", ["x" * 5000, "nul\x00and\x1bescape", "\ud800half", "日本語 'quoted' \"; DROP TABLE", "🦀" * 300]
)
async def test_every_name_can_be_stored(history: History, name: str) -> None:
    history.note(
        replace(
            EVENT,
            username=name,
            operation=name,
            method=name,
            asked=(AskedRight("get", "datasets", name, "no"),),
        )
    )
    await history.flush()
    (row,) = await kept(history)
    assert row.owner == owner_of(name)
    assert "\x00" not in row.username + row.checks
    assert row.checks.isascii()
    ((asked,), _) = decoded_checks(row.checks)
    assert len(asked.name) <= 250


@pytest.mark.parametrize("checks", ["", "{}", "[]", "[[[1]],0]", "null", '[[["a","b","c","d",0]],"x"]'])
def test_checks_of_another_release_are_left_out(checks: str) -> None:
    assert decoded_checks(checks) == ([], 0)


def test_checks_are_small() -> None:
    """Even eight of the longest names: a row is read and shown whole."""
    asked = tuple(
        AskedRight("update", "gatewaymodeldefinitions", "é" * 9000, "allow", True) for _ in range(8)
    )
    encoded = encoded_checks(replace(EVENT, asked=asked))
    assert len(encoded) < 16_000
    assert json.loads(encoded)[1] == 0
