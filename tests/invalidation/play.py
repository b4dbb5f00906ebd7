"""One plan played on a site, while workers are asked all the time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from typing import Any, Final

from tests.harness.plane import User
from tests.invalidation.asking import ANSWER_SECONDS, Audience
from tests.invalidation.site import LABEL, Site
from tests.invalidation.way import LAG_SECONDS
from tests.invalidation.worker import Worker, working
from workspace_authz.catalog.compile import CompiledCatalog
from workspace_authz.devplane.api import until
from workspace_authz.kubernetes.informer_state import Timing
from workspace_authz.settings.settings import Settings

Step = tuple[Any, ...]

HEALTHY_SECONDS: Final = 5.0
"""For so long after the API server's answer to a change a worker whose watches are well may say what was true
before: far less than the 60 s that a decision lives, far more than the 0.1 s of a quiet machine."""
ALLOW_SECONDS: Final = 2.0
"""How long a yes lives while a watch is down."""
SILENCE_SECONDS: Final = 3.0
"""After which a watch that says nothing counts as down (75 s unless tests say otherwise)."""
SETTLING_SECONDS: Final = 0.4
IDENTITY_SECONDS: Final = 2.0

SETTINGS: Final = Settings(
    allow_seconds=ALLOW_SECONDS,
    deny_seconds=1.0,
    settling_seconds=SETTLING_SECONDS,
    identity_seconds=IDENTITY_SECONDS,
    rejections_per_second=10_000,
)
_DOWN: Final = frozenset({"take_unheard", "restart"})
_SILENT: Final = "take_in_silence"


class Play:
    """Steps of plans are its methods."""

    def __init__(self, site: Site, workers: Sequence[Worker], steps: Sequence[Step]) -> None:
        self._site = site
        self._workers = workers
        names = {step[0] for step in steps}
        bound = HEALTHY_SECONDS
        if names & _DOWN:
            bound += ALLOW_SECONDS
        if _SILENT in names:
            bound += SILENCE_SECONDS + ALLOW_SECONDS
        self._audience = Audience(workers, bound=bound)
        self._unmet = {kind: list(right.tokens) for kind, right in site.rights.items()}

    async def run(self, steps: Sequence[Step]) -> None:
        """Play; then everything heals, all agree, and what is still granted is taken away."""
        try:
            for kind in self._site.rights:
                await self.meet(kind)
            for name, *arguments in steps:
                await getattr(self, name)(*arguments)
                self._audience.check()
            for number in range(len(self._workers)):
                await self.heal(number)
            await self.agree()
            await self.wait_until_old()
            for kind, right in self._site.rights.items():
                if right.granted:
                    await self.turn(kind)
            await self.agree()
        finally:
            await self._audience.leave()

    # What an administrator does.

    async def turn(self, kind: str) -> None:
        """Give a right or take it away."""
        for way in self._site.ways:
            way.forget()
        await self._turn(kind)

    async def take_behind(self, kind: str) -> None:
        """Take a right away while API servers answer that hear of it later than the watches do."""
        await self._given(kind)
        with ExitStack() as stack:
            for way in self._site.ways:
                stack.enter_context(way.lag())
            await self._turn(kind)
            await asyncio.sleep(2 * LAG_SECONDS)
        await self.agree()

    async def take_meanwhile(self, kind: str, number: int) -> None:
        """Take a right away while a yes is on its way to a worker."""
        right, way = self._site.rights[kind], self._site.ways[number]
        if not self._unmet[kind]:
            return
        await self._given(kind)
        token, worker = self._unmet[kind].pop(), self._workers[number]
        with way.hold(worker.subject(token)) as delayed:
            asking = asyncio.create_task(worker.allows(token, right.namespace))
            async with asyncio.timeout(ANSWER_SECONDS):
                await delayed.given.wait()
            await self.turn(kind)
            await self.agree()
            await self.wait_until_old()
        await asking
        self._audience.join(right, token)
        await self.agree()

    async def take_unheard(self, kind: str, number: int) -> None:
        """Take a right away while a worker gets no watches."""
        await self._given(kind)
        self._site.ways[number].refuse()
        await self._audience.until(lambda: not self._workers[number].following)
        await self.turn(kind)
        await self.agree()

    async def take_in_silence(self, kind: str, number: int) -> None:
        """Take a right away while a worker's watches say nothing."""
        await self._given(kind)
        self._site.ways[number].mute = True
        await self.turn(kind)
        await self.agree()

    async def end(self, how: str) -> None:
        """Somebody's account, namespace or token ends."""
        right = await self._site.ending(how)
        right.late += IDENTITY_SECONDS if how == "account" else 0.0
        self._audience.join(right, right.tokens[0])
        self._audience.tell(f"{right.namespace} will end by its {how}")
        if how != "token":
            await self._audience.agree(right)
            right.ledger.begin(allowed=False)
            await self._site.change(right.switch.revoke)
            right.ledger.answered()
            self._audience.tell(f"{right.namespace} has ended")

    # What happens to workers.

    async def meet(self, kind: str) -> None:
        """Somebody who was not seen before begins to ask."""
        if self._unmet[kind]:
            self._audience.join(self._site.rights[kind], self._unmet[kind].pop())

    async def delay(self, number: int, seconds: float) -> None:
        """A worker's watches are late."""
        self._site.ways[number].delay = seconds

    async def cut(self, number: int) -> None:
        """A worker's watches end."""
        self._site.ways[number].cut()

    async def heal(self, number: int) -> None:
        """All of that is over."""
        self._site.ways[number].heal()
        await self._audience.until(lambda: self._workers[number].following)

    async def restart(self) -> None:
        """The API server ends and starts again."""
        self._audience.tell("the API server ends")
        lost = [right for right in self._audience.rights if right.granted and self._site.forgetful]
        for right in lost:
            right.ledger.begin(allowed=False)
        await self._site.restart()
        for right in lost:
            right.ledger.answered()
        self._audience.tell("the API server is back")

    # Time.

    async def wait_until_old(self) -> None:
        """So long that what is asked from now on is kept for as long as it may."""
        await asyncio.sleep(SETTLING_SECONDS + 0.3)

    async def agree(self) -> None:
        """Wait until everybody gets what is theirs, of every worker."""
        await self._audience.agree()

    async def _given(self, kind: str) -> None:
        """It is granted, and has been for long."""
        if not self._site.rights[kind].granted:
            await self.turn(kind)
        await self.agree()
        await self.wait_until_old()

    async def _turn(self, kind: str) -> None:
        right = self._site.rights[kind]
        await self._site.turn(right)
        self._audience.tell(f"{kind} {'given' if right.granted else 'taken'}")


def _named(site: Site) -> list[Mapping[str, User]]:
    """Whom each worker knows by name only: the first nobody, the others everybody in the users file."""
    return [{} if number == 0 else site.users for number, _ in enumerate(site.ways)]


@asynccontextmanager
async def _workers(site: Site, catalog: CompiledCatalog, timing: Timing) -> AsyncIterator[list[Worker]]:
    files = [site.kubeconfig(way) for way in site.ways]
    label = f"{LABEL}=yes"
    async with AsyncExitStack() as stack:
        workers = [
            await stack.enter_async_context(
                working(file, catalog, settings=SETTINGS, timing=timing, label=label, named=named)
            )
            for file, named in zip(files, _named(site), strict=True)
        ]

        async def ready() -> bool:
            return all(worker.following for worker in workers)

        async with asyncio.timeout(60):
            await until(ready)
        yield workers


async def play(site: Site, catalog: CompiledCatalog, steps: Sequence[Step]) -> None:
    """Play ``steps`` with new workers. Raises ``AssertionError`` with the story."""
    silence = SILENCE_SECONDS if any(step[0] == _SILENT for step in steps) else 75.0
    for way in site.ways:
        way.heal()
    timing = Timing(silence=silence, first_delay=0.05, longest_delay=0.2)
    async with _workers(site, catalog, timing) as workers:
        await Play(site, workers, steps).run(steps)
