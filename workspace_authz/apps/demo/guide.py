"""Take the tour: run its steps and note what came of each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from workspace_authz.apps.demo.performers import Performer
from workspace_authz.apps.demo.tour import Stage, Step

_AGAIN_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Row:
    """A step that was taken."""

    step: Step
    credential: str
    got: str
    detail: str
    seconds: float

    @property
    def as_expected(self) -> bool:
        """Whether the step came out as the tour says."""
        return self.got == self.step.expected


async def take(stage: Stage, everybody: Mapping[str, Performer]) -> Sequence[Row]:
    """The rows of one stage, in the tour's order. Raises ``DemoError`` when somebody cannot even try."""
    if not stage.together:
        return [await _take(step, everybody[step.who]) for step in stage.steps]
    people = dict.fromkeys(step.who for step in stage.steps)
    async with asyncio.TaskGroup() as group:
        tasks = {
            name: group.create_task(_in_order([s for s in stage.steps if s.who == name], everybody[name]))
            for name in people
        }
    done = {name: iter(task.result()) for name, task in tasks.items()}
    return [next(done[step.who]) for step in stage.steps]


async def _in_order(steps: Sequence[Step], performer: Performer) -> Sequence[Row]:
    return [await _take(step, performer) for step in steps]


async def _take(step: Step, performer: Performer, *, clock: Callable[[], float] = time.monotonic) -> Row:
    begin = clock()
    while True:
        result = await performer.perform(step)
        seconds = clock() - begin
        if result.got == step.expected or seconds >= step.within:
            return Row(step, performer.credential, result.got, result.detail, seconds)
        await asyncio.sleep(_AGAIN_SECONDS)
