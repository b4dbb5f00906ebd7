"""What a worker has loaded by the time that it serves is taken out of garbage collection.

A full collection looks at every object that could be part of a cycle. MLflow's modules, its tables and ours
are 400,000, which is some tenths of a second in which every thread stands still; and MLflow's writes leave so
many cycles (SQLAlchemy's) that this happens every few hundred requests. None of those objects ends before the
process does, so not looking at them loses nothing but the chance to free the little that is in use right now
and is part of a cycle. What comes later is collected as ever.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Final

from workspace_authz.aio.clock import Clock
from workspace_authz.runtime.health import Health

_LOOK_SECONDS: Final = 0.5


async def rest(health: Health, clock: Clock, *, freeze: Callable[[], None] = gc.freeze) -> None:
    """Wait until this worker has no problem, then ``freeze``; once, for each time would leak a little."""
    while any(health.own().values()):
        await clock.sleep(_LOOK_SECONDS)
    freeze()
