"""Once a second: what is not counted as it happens, and a word to the other workers.

A worker with a problem looks more often: traffic waits for its word that all is well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from workspace_authz.aio.clock import Clock
from workspace_authz.aio.statistics import Statistics
from workspace_authz.kubernetes.informer_state import InformerState
from workspace_authz.runtime.health import Health
from workspace_authz.telemetry.audit import AuditSink
from workspace_authz.telemetry.sampled import InformerNumbers, SampledMetrics
from workspace_authz.telemetry.workers import REPORT_SECONDS, WorkerSlot

_PROBLEM_SECONDS: Final = 0.05
"""Between two looks while there is a problem."""


@dataclass(frozen=True, slots=True)
class Observed:
    """The parts of a worker that are looked at."""

    numbers: Sequence[Statistics]
    informers: Callable[[], Mapping[str, InformerState]]
    """By resource."""
    audit: AuditSink
    flush: Callable[[], None] = lambda: None
    """Writes what was counted and gathered."""


class Sampler:
    """Looks at ``observed`` and reports ``health`` to the crew. Run :meth:`run` in a supervised task."""

    def __init__(
        self, observed: Observed, health: Health, *, metrics: SampledMetrics, seat: WorkerSlot, clock: Clock
    ) -> None:
        self._observed = observed
        self._health = health
        self._metrics = metrics
        self._seat = seat
        self._clock = clock

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            ready = self.sample()
            await self._clock.sleep(REPORT_SECONDS if ready else _PROBLEM_SECONDS)

    def sample(self) -> bool:
        """Once; whether all is well."""
        self._observed.flush()
        for numbers in self._observed.numbers:
            for name, cache in numbers.caches.items():
                self._metrics.cache(name, cache)
            for name, shared in numbers.shared.items():
                self._metrics.coalesced(name, shared.joined)
        for resource, state in self._observed.informers().items():
            self._metrics.informer(resource, self._informer(state))
        self._metrics.audit_dropped(self._observed.audit.dropped)
        checks = self._health.own()
        ready = not any(checks.values())
        self._metrics.ready(ready=ready)
        self._seat.report(checks)
        return ready

    def _informer(self, state: InformerState) -> InformerNumbers:
        heard = state.last_contact
        return InformerNumbers(
            synced=state.synced,
            following=state.followed_since is not None,
            contact=None if heard is None else self._clock.time() - (self._clock.monotonic() - heard),
        )
