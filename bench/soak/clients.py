"""Clients that know what they may do, and hold every answer against it."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

import aiohttp

from bench.soak.cases import Case
from bench.soak.outage import Outages

PATHS: Final = (
    "/api/2.0/mlflow/experiments/search?max_results=1",
    "/api/2.0/mlflow/registered-models/search?max_results=1",
)
_MEANINGS: Final = {200: True, 403: False}
_AWAY: Final = 503
_TOLD: Final = 20


@dataclass(frozen=True, slots=True)
class Bounds:
    """What ends the run as a failure; in seconds."""

    stale: float
    """An answer that was wrong for so long already when it was asked for."""
    answer: float
    """A request that takes longer."""


@dataclass(slots=True)
class Tally:
    """What all clients have seen."""

    bounds: Bounds
    outages: Outages = field(default_factory=Outages)
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    """The first of them."""
    violated: int = 0

    def violation(self, text: str) -> None:
        """Something that must never be."""
        self.violated += 1
        if len(self.violations) < _TOLD:
            self.violations.append(text)

    def judge(self, case: Case, status: int, *, sent: float, came: float) -> None:
        """Hold one answer against what was allowed meanwhile."""
        self.latencies.append(came - sent)
        self.statuses[status] += 1
        if came - sent > self.bounds.answer:
            self.violation(f"{case.switch.kind}: an answer took {came - sent:.1f} s")
        if status == _AWAY and self.outages.excuse(sent=sent, came=came):
            return
        allowed = _MEANINGS.get(status)
        if allowed is None:
            self.violation(f"{case.switch.kind}: HTTP {status}")
            return
        late = case.ledger.lateness(allowed=allowed, sent=sent, came=came)
        if late > self.bounds.stale:
            verb = "allowed" if allowed else "refused"
            self.violation(f"{case.switch.kind}: {verb} {late:.2f} s after the change that ended it")


@dataclass(slots=True)
class Client:
    """One account that asks again and again, of any server."""

    case: Case
    token: str = field(repr=False)
    urls: tuple[str, ...]
    pause: float
    """Seconds between an answer and the next request, on average."""
    dice: random.Random
    _agreed: tuple[int, int] = (0, 0)
    """How many of the latest answers in a row agree with which number of changes."""

    def agreed(self, times: int) -> bool:
        """Whether it got the right answer so often in a row, asked for after the latest change."""
        number, answers = self._agreed
        return number == len(self.case.ledger.changes) and answers >= times

    async def run(self, session: aiohttp.ClientSession, tally: Tally) -> None:
        """Ask until cancelled."""
        while True:
            await asyncio.sleep(self.dice.uniform(0, 2 * self.pause))
            sent = time.monotonic()
            try:
                status = await self._ask(session, tally.bounds.answer)
            except (aiohttp.ClientError, TimeoutError) as error:
                tally.violation(f"{self.case.switch.kind}: {type(error).__name__} instead of an answer")
                continue
            tally.judge(self.case, status, sent=sent, came=time.monotonic())
            self._note(_MEANINGS.get(status), sent)

    async def _ask(self, session: aiohttp.ClientSession, seconds: float) -> int:
        async with session.get(
            self.dice.choice(self.urls) + self.dice.choice(PATHS),
            headers={"Authorization": f"Bearer {self.token}", "X-MLFLOW-WORKSPACE": self.case.namespace},
            timeout=aiohttp.ClientTimeout(total=2 * seconds),
        ) as response:
            await response.read()
            return response.status

    def _note(self, allowed: bool | None, sent: float) -> None:
        number, present = len(self.case.ledger.changes), self.case.ledger.present
        if allowed is not present.allowed or sent < present.answered:
            self._agreed = (number, 0)
        else:
            before = self._agreed[1] if self._agreed[0] == number else 0
            self._agreed = (number, before + 1)
