"""Any history of a namespace: nobody reads what was written under another one, unless it was adopted."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run
from mlflow.store.db.utils import _initialize_tables, create_sqlalchemy_engine
from mlflow.store.tracking.dbmodels.models import SqlExperiment
from sqlalchemy import Engine, create_engine, insert, select

from tests.harness.fakes import ManualClock
from workspace_authz.errors import ForbiddenError
from workspace_authz.mlflow_adapter.store.purge import delete_rows
from workspace_authz.tenancy.claims import adopt, read_claim, release
from workspace_authz.tenancy.registry import Databases, TenancyRegistry

WORKSPACE, WORKERS = "team-a", 2
SETTINGS = settings(max_examples=50, stateful_step_count=30)
WORKER = st.integers(0, WORKERS - 1)


class Clock(ManualClock):
    """Never waits."""

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)


class History(RuleBasedStateMachine):
    """One name, the namespaces that have it one after the other, and two workers that hear of them late."""

    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        shutil.copyfile(self.template, self.directory / "mlflow.db")
        self.engine: Engine = create_engine(f"sqlite:///{self.directory / 'mlflow.db'}")
        self.loop = asyncio.Runner()
        self.clock = Clock()
        self.made = self.written = 0
        self.now: str | None = None
        self.seen: list[str | None] = [None] * WORKERS
        """The namespace as each worker knows it."""
        self.owner: dict[str, str] = {}
        """By experiment, the namespace that it was written under or adopted for."""
        self.workers: list[TenancyRegistry] = []

    @initialize()
    def begin(self) -> None:
        self.workers = [self._start() for _ in range(WORKERS)]

    @precondition(lambda self: self.now is None)
    @rule()
    def create(self) -> None:
        self.made += 1
        self.now = f"uid-{self.made}"

    @precondition(lambda self: self.now is not None)
    @rule()
    def remove(self) -> None:
        self.now = None

    @rule(worker=WORKER)
    def hear(self, worker: int) -> None:
        """The watch of a worker reports."""
        self.seen[worker] = self.now

    @rule(worker=WORKER)
    def write(self, worker: int) -> None:
        uid = self.seen[worker]
        if uid is not None and self._allowed(worker, uid, writes=True):
            self.written += 1
            name = f"experiment-{self.written}"
            self.owner[name] = uid
            with self.engine.begin() as connection:
                connection.execute(
                    insert(SqlExperiment).values(name=name, workspace=WORKSPACE, lifecycle_stage="active")
                )

    @rule(worker=WORKER)
    def read(self, worker: int) -> None:
        uid = self.seen[worker]
        if uid is not None and self._allowed(worker, uid, writes=False):
            assert {self.owner[name] for name in self._data()} <= {uid}

    @rule(seconds=st.sampled_from([0.5, 61.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @precondition(lambda self: self.now is not None and self._up_to_date())
    @rule()
    def adopt(self) -> None:
        assert self.now is not None
        adopt(self.engine, WORKSPACE, uid=self.now, by="root")
        self.owner = dict.fromkeys(self.owner, self.now)
        for worker in range(WORKERS):
            assert self._allowed(worker, self.now, writes=False)

    @precondition(lambda self: self._up_to_date() and self._unused())
    @rule()
    def purge(self) -> None:
        delete_rows(self.engine, WORKSPACE, progress=lambda *_: None)
        release(self.engine, WORKSPACE)
        self.owner = {}
        if self.now is not None:
            assert self._allowed(0, self.now, writes=False)

    @rule(worker=WORKER)
    def restart(self, worker: int) -> None:
        self.seen[worker] = self.now
        self.workers[worker].close()
        self.workers[worker] = self._start()

    @invariant()
    def whatever_holds_data_is_claimed(self) -> None:
        if self._data():
            assert read_claim(self.engine, WORKSPACE) is not None

    def teardown(self) -> None:
        for worker in self.workers:
            worker.close()
        self.loop.close()
        self.engine.dispose()
        shutil.rmtree(self.directory)

    async def uid(self, name: str) -> str | None:
        return self.now if name == WORKSPACE else None

    def _start(self) -> TenancyRegistry:
        tenancy = TenancyRegistry(Databases(lambda: self.engine, lambda: [self.engine]), clock=self.clock)
        self.loop.run(tenancy.prepare(self))
        return tenancy

    def _allowed(self, worker: int, uid: str, *, writes: bool) -> bool:
        try:
            self.loop.run(self.workers[worker].check(WORKSPACE, uid, writes=writes))
        except ForbiddenError:
            return False
        return True

    def _data(self) -> list[str]:
        with self.engine.connect() as connection:
            query = select(SqlExperiment.name).where(SqlExperiment.workspace == WORKSPACE)
            return list(connection.execute(query).scalars())

    def _up_to_date(self) -> bool:
        """An administrator acts minutes after the change, and the watches report within milliseconds."""
        return all(seen == self.now for seen in self.seen)

    def _unused(self) -> bool:
        """What the command demands: the workspace is claimed, and not for the present namespace."""
        claim = read_claim(self.engine, WORKSPACE)
        return claim is not None and claim.uid != self.now


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> type[History]:
    """Histories over fresh copies of a database with MLflow's tables."""
    file = tmp_path_factory.mktemp("histories") / "mlflow.db"
    engine = create_sqlalchemy_engine(f"sqlite:///{file}")
    _initialize_tables(engine)
    engine.dispose()
    return type("FreshHistory", (History,), {"template": file})


def test_nobody_inherits(history: type[History]) -> None:
    run(history, settings=SETTINGS)


def test_the_histories_find_a_server_that_forgets_to_ask(
    history: type[History], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test of the test: without the comparison, a history is found in which somebody inherits."""

    async def careless(self: TenancyRegistry, workspace: str, uid: str, *, writes: bool) -> None:
        return

    monkeypatch.setattr(TenancyRegistry, "check", careless)
    with pytest.raises(AssertionError):
        run(history, settings=settings(SETTINGS, phases=[Phase.generate], report_multiple_bugs=False))
