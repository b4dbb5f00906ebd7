"""Whether MLflow's stores answer, asked in the background: a probe of the server must not ask them itself."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final

from workspace_authz.aio.clock import Clock
from workspace_authz.aio.supervisor import Supervisor
from workspace_authz.mlflow_adapter.store.questions import artifact_question, database_questions
from workspace_authz.runtime.worker_config import WorkerConfig


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a store is asked, in seconds."""

    usual: float = 5.0
    while_away: float = 1.0
    answer: float = 4.0
    """How long an answer may take."""


_DATABASES: Final = Pace()
_ARTIFACTS: Final = Pace(usual=30.0, while_away=2.0, answer=10.0)
"""A request to a bucket may cost money."""


class StoreProbe:
    """Asks one store again and again. :meth:`run` belongs into a supervised task.

    ``ask`` blocks, and returns None or a sentence; ``what`` names the store at its beginning. A thread
    of its own asks, one question at a time: a store that hangs takes no thread of others. It is a daemon,
    because the process must not wait for it at its end.
    """

    def __init__(
        self, ask: Callable[[], str | None], *, what: str, clock: Clock, pace: Pace = _DATABASES
    ) -> None:
        self._ask = ask
        self._away = f"{what} does not answer."
        self._clock = clock
        self._pace = pace
        self._pending: Future[str | None] | None = None
        self._answered = False
        self.problem: str | None = f"{what} has not been asked yet."
        """As of the last answer."""

    @property
    def obstacle(self) -> str | None:
        """The problem of a store that has never answered."""
        return None if self._answered else self.problem

    @property
    def note(self) -> str | None:
        """The problem of a store that has answered before."""
        return self.problem if self._answered else None

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            self.problem = await self._result()
            self._answered = self._answered or self.problem is None
            await self._clock.sleep(self._pace.while_away if self.problem else self._pace.usual)

    async def _result(self) -> str | None:
        if self._pending is None:
            self._pending = _in_thread(self._ask)
        asked = asyncio.wrap_future(self._pending)
        done, _ = await asyncio.wait({asked}, timeout=self._pace.answer)
        if not done:
            return self._away
        self._pending = None
        return self._away if asked.cancelled() else asked.result()


def _in_thread(ask: Callable[[], str | None]) -> Future[str | None]:
    """Ask in a daemon thread. The future is cancelled if ``ask`` raises; the thread's traceback is logged."""
    future: Future[str | None] = Future()

    def run() -> None:
        try:
            result = ask()
        except BaseException:
            future.cancel()
            raise
        if future.set_running_or_notify_cancel():
            future.set_result(result)

    threading.Thread(target=run, name="store-probe", daemon=True).start()
    return future


@dataclass(frozen=True, slots=True)
class StoreProbes:
    """The probes of a worker's stores."""

    databases: Sequence[StoreProbe] = ()
    artifacts: StoreProbe | None = None

    def start(self, supervisor: Supervisor) -> None:
        """Ask in the background."""
        for number, probe in enumerate(self.databases):
            supervisor.run(f"database probe {number}", probe.run)
        if self.artifacts is not None:
            supervisor.run("artifact probe", self.artifacts.run)

    def database_problem(self) -> str | None:
        """Why MLflow cannot work: it keeps everything but artifacts there."""
        return next((probe.problem for probe in self.databases if probe.problem), None)

    def artifact_problem(self) -> str | None:
        """Why no artifact could ever be served. A store that has answered once makes a note only."""
        return self.artifacts.obstacle if self.artifacts else None

    def notes(self) -> Sequence[str]:
        """What is away while the rest works."""
        return [self.artifacts.note] if self.artifacts and self.artifacts.note else []


def store_probes(config: WorkerConfig, *, clock: Clock) -> StoreProbes:
    """Probes of the stores of this server. Nothing is asked yet."""
    databases = [
        StoreProbe(each.ask, what=each.what, clock=clock) for each in database_questions(config.databases)
    ]
    question = artifact_question(config.artifacts_destination)
    if question is None:
        return StoreProbes(databases)
    artifacts = StoreProbe(question.ask, what="The artifact store", clock=clock, pace=_ARTIFACTS)
    return StoreProbes(databases, artifacts)
