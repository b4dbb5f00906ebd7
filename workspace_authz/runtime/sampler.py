"""Samples metrics and reports this worker's health to the other workers, once a second.

A worker with a problem does so more often, because traffic waits until it reports that the problem is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from workspace_authz.aio.clock import Clock
from workspace_authz.aio.fair_share import FairShare
from workspace_authz.aio.statistics import Statistics
from workspace_authz.kubernetes.informer_state import InformerState
from workspace_authz.runtime.health import Health
from workspace_authz.telemetry.audit import AuditSink
from workspace_authz.telemetry.sampled import InformerSample, SampledMetrics
from workspace_authz.telemetry.workers import REPORT_SECONDS, WorkerSlot

_PROBLEM_SECONDS: Final = 0.05
"""The interval while there is a problem."""


class Threads(Protocol):
    """The threads of MLflow's handlers."""

    @property
    def share(self) -> FairShare:
        """Who uses them."""

    @property
    def busy(self) -> int:
        """How many run something now."""

    @property
    def full(self) -> bool:
        """Whether the next request waits, whoever sends it."""


@dataclass(frozen=True, slots=True)
class Observed:
    """The parts of a worker that are sampled."""

    statistics: Sequence[Statistics]
    informers: Callable[[], Mapping[str, InformerState]]
    """The state of each informer, by resource."""
    audit: AuditSink
    threads: Threads | None = None
    """None where no handlers run."""
    history_dropped: Callable[[], int] = lambda: 0
    """How many decisions were not kept for the audit page."""
    flush: Callable[[], None] = lambda: None
    """Writes buffered metrics."""


class Sampler:
    """Samples ``observed`` and writes ``health`` to the worker's ``slot``.

    :meth:`run` belongs into a supervised task.
    """

    def __init__(
        self, observed: Observed, health: Health, *, metrics: SampledMetrics, slot: WorkerSlot, clock: Clock
    ) -> None:
        self._observed = observed
        self._health = health
        self._metrics = metrics
        self._slot = slot
        self._clock = clock

    async def run(self) -> None:
        """Sample again and again until cancelled."""
        while True:
            ready = self.sample()
            await self._clock.sleep(REPORT_SECONDS if ready else _PROBLEM_SECONDS)

    def sample(self) -> bool:
        """Sample once. Returns whether this worker has no problem."""
        self._observed.flush()
        for statistics in self._observed.statistics:
            for name, cache in statistics.caches.items():
                self._metrics.cache(name, cache)
            for name, coalescer in statistics.coalescers.items():
                self._metrics.coalesced(name, coalescer.coalesced)
        for resource, state in self._observed.informers().items():
            self._metrics.informer(resource, self._informer(state))
        if self._observed.threads is not None:
            threads, share = self._observed.threads, self._observed.threads.share
            self._metrics.handlers(
                busy=threads.busy, full=threads.full, waiting=share.waiting, refused=share.refused
            )
        self._metrics.audit_dropped(self._observed.audit.dropped)
        self._metrics.history_dropped(self._observed.history_dropped())
        checks = self._health.own()
        ready = not any(checks.values())
        self._metrics.ready(ready=ready)
        self._slot.report(checks)
        return ready

    def _informer(self, state: InformerState) -> InformerSample:
        last = state.last_contact
        return InformerSample(
            synced=state.synced,
            # What is not installed is looked for every few seconds.
            following=state.followed_since is not None or state.absent,
            last_contact=None if last is None else self._clock.time() - (self._clock.monotonic() - last),
        )
