"""Garbage collection leaves alone what a worker has loaded, once that is all there."""

from __future__ import annotations

from workspace_authz.runtime.build import freeze_when_ready
from workspace_authz.runtime.health import Health


class Clock:
    """Time in which a problem goes away."""

    def __init__(self) -> None:
        self.slept = 0

    def monotonic(self) -> float:
        return 0.0

    def time(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        self.slept += 1


async def test_it_is_done_once_and_not_before_the_worker_is_ready() -> None:
    clock, frozen = Clock(), list[int]()
    health = Health({"namespaces": lambda: "not yet" if clock.slept < 3 else None})

    await freeze_when_ready(health, clock, freeze=lambda: frozen.append(clock.slept))

    assert frozen == [3]
