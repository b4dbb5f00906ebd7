"""Claims in a running worker: at the start, at the first write, and how a workspace is closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest
from mlflow.store.tracking.dbmodels.models import SqlExperiment
from sqlalchemy import Engine, create_engine, insert

from tests.harness.fakes import ManualClock
from workspace_authz.errors import ForbiddenError, UnavailableError
from workspace_authz.tenancy.claims import NO_NAMESPACE, Reason, adopt, read_claims
from workspace_authz.tenancy.registry import MATCH_SECONDS, Databases, TenancyRegistry

WS = "team-a"


@dataclass
class Namespaces:
    """The namespaces' UIDs; what is asked for is written down, and the first ``failures`` questions fail."""

    uids: dict[str, str] = field(default_factory=dict)
    failures: int = 0
    asked: list[str] = field(default_factory=list)

    async def uid(self, name: str) -> str | None:
        self.asked.append(name)
        if self.failures:
            self.failures -= 1
            raise UnavailableError("the API server is away")
        return self.uids.get(name)


class Clock(ManualClock):
    """Never waits."""

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)


@dataclass
class Worker:
    """One worker process of a server."""

    tenancy: TenancyRegistry
    clock: Clock
    engine: Engine
    queries: int = 0

    def count(self) -> Engine:
        """The engine, and one more time that the database was needed."""
        self.queries += 1
        return self.engine


Start = Callable[[], Worker]


@pytest.fixture
def start(url: str) -> Iterator[Start]:
    """Start a worker on the database."""
    with ExitStack() as stack:

        def start() -> Worker:
            engine, clock = create_engine(url), Clock()
            stack.callback(engine.dispose)
            worker: Worker = Worker(
                TenancyRegistry(Databases(lambda: worker.count(), lambda: [engine]), clock=clock),
                clock,
                engine,
            )
            stack.callback(worker.tenancy.close)
            return worker

        yield start


async def started(start: Start, namespaces: Namespaces | None = None) -> Worker:
    worker = start()
    await worker.tenancy.prepare(namespaces or Namespaces())
    return worker


def add_experiment(engine: Engine, workspace: str) -> None:
    with engine.begin() as connection:
        connection.execute(
            insert(SqlExperiment).values(
                name="e", workspace=workspace, lifecycle_stage="active", artifact_location="x"
            )
        )


async def test_at_the_start_what_holds_data_is_claimed_for_the_namespace_that_is_there(start: Start) -> None:
    """Given data of a time before us, then they are the present namespace's, or nobody's if it is missing."""
    worker = start()
    for workspace in (WS, "team-gone"):
        add_experiment(worker.engine, workspace)
    await worker.tenancy.prepare(Namespaces({WS: "uid-1", "team-empty": "uid-9"}))
    rows = read_claims(worker.engine)
    assert {name: (row.uid, row.reason) for name, row in rows.items()} == {
        WS: ("uid-1", Reason.START),
        "team-gone": (NO_NAMESPACE, Reason.START),
    }
    await worker.tenancy.check(WS, "uid-1", writes=False)
    with pytest.raises(ForbiddenError):
        await worker.tenancy.check("team-gone", "uid-2", writes=False)


async def test_a_restart_claims_nothing_again(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    """Given a claimed workspace, when its namespace was made again during a restart, then it is closed."""
    first = start()
    add_experiment(first.engine, WS)
    await first.tenancy.prepare(Namespaces({WS: "uid-1"}))
    namespaces = Namespaces({WS: "uid-2"})
    second = await started(start, namespaces)
    assert namespaces.asked == []
    assert caplog.messages == []
    with pytest.raises(ForbiddenError, match=f"workspace-authz workspaces adopt {WS}"):
        await second.tenancy.check(WS, "uid-2", writes=True)


async def test_until_the_start_is_through_nobody_gets_in(start: Start) -> None:
    worker = start()
    assert worker.tenancy.problem
    with pytest.raises(UnavailableError):
        await worker.tenancy.check(WS, "uid-1", writes=False)


async def test_the_start_goes_on_when_the_api_server_is_back(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    worker = start()
    add_experiment(worker.engine, WS)
    namespaces = Namespaces({WS: "uid-1"}, failures=2)
    await worker.tenancy.prepare(namespaces)
    assert namespaces.asked == [WS] * 3
    assert [line.levelname for line in caplog.records] == ["WARNING", "WARNING"]
    assert caplog.messages[-1] == "The workspaces are claimed for their namespaces now."
    assert worker.tenancy.problem is None
    assert read_claims(worker.engine)[WS].uid == "uid-1"


async def test_reading_claims_nothing_and_the_first_write_does(start: Start) -> None:
    worker = await started(start)
    await worker.tenancy.check(WS, "uid-1", writes=False)
    assert read_claims(worker.engine) == {}
    await worker.tenancy.check(WS, "uid-2", writes=True)
    assert read_claims(worker.engine)[WS].uid == "uid-2"
    with pytest.raises(ForbiddenError):
        await worker.tenancy.check(WS, "uid-1", writes=False)


async def test_what_is_known_asks_the_database_no_more_for_a_while(start: Start) -> None:
    worker = await started(start)
    await worker.tenancy.check(WS, "uid-1", writes=True)
    before = worker.queries
    for _ in range(3):
        await worker.tenancy.check(WS, "uid-1", writes=False)
    assert worker.queries == before
    worker.clock.advance(MATCH_SECONDS)
    await worker.tenancy.check(WS, "uid-1", writes=False)
    assert worker.queries == before + 1


async def test_adopting_works_for_the_next_request_of_every_worker(start: Start) -> None:
    one, two = await started(start), await started(start)
    await one.tenancy.check(WS, "uid-1", writes=True)
    for worker in (one, two):
        with pytest.raises(ForbiddenError):
            await worker.tenancy.check(WS, "uid-2", writes=False)
    adopt(one.engine, WS, uid="uid-2", by="root")
    for worker in (one, two):
        await worker.tenancy.check(WS, "uid-2", writes=False)
    row = read_claims(one.engine)[WS]
    assert (row.reason, row.by) == (Reason.ADOPTED, "root")


async def test_two_workers_write_first_and_one_namespace_wins(start: Start) -> None:
    """Given workers that know different namespaces of one name, when all write, then they agree on one."""
    workers = [await started(start) for _ in range(6)]
    for number in range(10):
        outcomes = await asyncio.gather(
            *(
                worker.tenancy.check(f"race-{number}", f"uid-{index % 2}", writes=True)
                for index, worker in enumerate(workers)
            ),
            return_exceptions=True,
        )
        winner = read_claims(workers[0].engine)[f"race-{number}"].uid
        for index, outcome in enumerate(outcomes):
            assert isinstance(outcome, ForbiddenError) is (f"uid-{index % 2}" != winner), outcome


async def test_a_database_that_is_away_is_no_decision(start: Start) -> None:
    worker = await started(start)
    worker.engine.dispose()
    broken = create_engine("sqlite:////nowhere/at/all.db")
    worker.engine = broken
    with pytest.raises(UnavailableError):
        await worker.tenancy.check(WS, "uid-1", writes=False)


async def test_a_namespace_without_a_uid_is_no_match_for_data_without_a_namespace(start: Start) -> None:
    worker = start()
    add_experiment(worker.engine, WS)
    await worker.tenancy.prepare(Namespaces())
    assert read_claims(worker.engine)[WS].uid == NO_NAMESPACE
    for writes in (False, True):
        with pytest.raises(UnavailableError):
            await worker.tenancy.check(WS, "", writes=writes)


async def test_a_backend_without_sql_closes_everything() -> None:
    class Impatient(Clock):
        async def sleep(self, seconds: float) -> None:
            raise TimeoutError

    tenancy = TenancyRegistry(Databases(lambda: None, lambda: []), clock=Impatient())
    with pytest.raises(TimeoutError):
        await tenancy.prepare(Namespaces())
    assert "SQL" in (tenancy.problem or "")
    with pytest.raises(UnavailableError):
        await tenancy.check(WS, "uid-1", writes=False)
    tenancy.close()


async def test_every_worker_gets_the_same_key_also_when_the_database_is_late(start: Start) -> None:
    engine, away = start().engine, create_engine("sqlite:////nowhere/at/all.db")
    late = iter([away, away])
    registries = [
        TenancyRegistry(Databases(found, lambda: []), clock=Clock())
        for found in (lambda: engine, lambda: next(late, engine))
    ]
    first, second = [await tenancy.key("pages") for tenancy in registries]
    assert first == second
    assert first
    assert next(late, None) is None
    for tenancy in registries:
        tenancy.close()
    away.dispose()


async def test_without_sql_there_is_no_shared_key() -> None:
    tenancy = TenancyRegistry(Databases(lambda: None, lambda: []), clock=Clock())
    assert await tenancy.key("pages") is None
    tenancy.close()
