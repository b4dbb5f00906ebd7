"""Those who ask the workers again and again, and hold every answer against what is true."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from tests.invalidation.site import Right
from tests.invalidation.worker import Worker

ANSWER_SECONDS: Final = 9.0 + 6.0
"""The deadline of a verdict, and what a busy machine may add."""
_PAUSE_SECONDS: Final = 0.02
_AGREED: Final = 2


@dataclass(slots=True)
class Asker:
    """Somebody who asks one worker."""

    number: int
    worker: Worker
    right: Right
    token: str = field(repr=False)
    agreed: int = 0
    """Right answers in a row, asked for since the last change."""


class Audience:
    """All of them. ``bound`` is for how many seconds after a change an answer from before it may be given."""

    def __init__(self, workers: Sequence[Worker], *, bound: float) -> None:
        self._workers = workers
        self._bound = bound
        self._askers: list[Asker] = []
        self._tasks = {asyncio.create_task(self._watch_stalls())}
        self._stalled = 0.0
        """Seconds for which this process, in which all of it runs, stood still."""
        self._wrong: list[str] = []
        self._story: list[str] = []
        self._begun = time.monotonic()

    @property
    def rights(self) -> list[Right]:
        """What is asked for."""
        return list({asker.right.namespace: asker.right for asker in self._askers}.values())

    def tell(self, text: str) -> None:
        """What happened just now, for who reads a failure."""
        self._story.append(f"  {time.monotonic() - self._begun:6.2f} {text}")

    def join(self, right: Right, token: str) -> None:
        """Let the holder of ``token`` ask every worker from now on."""
        for number, worker in enumerate(self._workers):
            asker = Asker(number, worker, right, token)
            self._askers.append(asker)
            self._tasks.add(asyncio.create_task(self._keep_asking(asker)))

    async def leave(self) -> None:
        """Ask no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def agree(self, right: Right | None = None) -> None:
        """Wait until everybody, or who asks for ``right``, gets what is theirs, of every worker."""
        askers = [asker for asker in self._askers if right is None or asker.right is right]
        for asker in askers:
            asker.agreed = 0  # what they said before a change that was just made says nothing
        with suppress(TimeoutError):
            await self.until(lambda: all(asker.agreed >= _AGREED for asker in askers))
        late = [f"{each.right.switch.kind} by {each.number}" for each in askers if not each.agreed]
        assert not late, "\n".join([f"no agreement on {', '.join(late)}", *self._story])

    async def until(self, condition: Callable[[], bool]) -> None:
        """Raises ``TimeoutError`` long after it should have become true."""
        late = max((right.late for right in self.rights), default=0.0)
        async with asyncio.timeout(2 * (self._bound + late + ANSWER_SECONDS)):
            while not condition():
                self.check()
                await asyncio.sleep(_PAUSE_SECONDS / 2)
        self.check()

    def check(self) -> None:
        """Raises ``AssertionError`` when something was wrong."""
        assert not self._wrong, "\n".join([self._wrong[0], *self._story])
        for task in self._tasks:
            if task.done():
                task.result()

    async def _keep_asking(self, asker: Asker) -> None:
        ledger = asker.right.ledger
        while True:
            sent, changes = time.monotonic(), len(ledger.changes)
            allowed = await asker.worker.allows(asker.token, asker.right.namespace)
            self._judge(asker, allowed, sent=sent, came=time.monotonic())
            knows = changes == len(ledger.changes) and sent >= ledger.present.answered
            asker.agreed = asker.agreed + 1 if knows and allowed is ledger.present.allowed else 0
            await asyncio.sleep(_PAUSE_SECONDS)

    def _judge(self, asker: Asker, allowed: bool | None, *, sent: float, came: float) -> None:
        if came - sent > ANSWER_SECONDS + self._stalled:
            self._wrong.append(f"an answer took {came - sent:.1f} s")
        if allowed is None:
            return
        late = asker.right.ledger.lateness(allowed=allowed, sent=sent, came=came)
        bound = self._bound + asker.right.late + self._stalled
        if late > bound:
            word = "allowed" if allowed else "refused"
            self._wrong.append(
                f"{asker.right.switch.kind}: {word} by worker {asker.number} "
                f"{late:.2f} s after the change that ended it ({bound:.2f} s are allowed)"
            )

    async def _watch_stalls(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(_PAUSE_SECONDS)
            late = time.monotonic() - before - _PAUSE_SECONDS
            self._stalled += late if late > _PAUSE_SECONDS else 0.0
