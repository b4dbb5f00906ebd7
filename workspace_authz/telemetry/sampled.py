"""Metrics that are sampled once a second: caches, informers and the audit queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge

from workspace_authz.telemetry.prometheus import PREFIX

_Mode = Literal["livesum", "livemin", "max"]
"""How ``prometheus_client`` merges a gauge of several processes."""


class CacheStatistics(Protocol):
    """A cache that counts its look-ups."""

    @property
    def hits(self) -> int:
        """Look-ups that found a value."""

    @property
    def misses(self) -> int:
        """Look-ups that found none."""

    def __len__(self) -> int:
        """The number of entries."""


@dataclass(frozen=True, slots=True)
class InformerSample:
    """The state of one informer."""

    synced: bool
    """The first list is complete."""
    following: bool
    """No change can have been missed."""
    last_contact: float | None
    """When the API server last sent something, in seconds since the epoch."""


class SampledMetrics:
    """Records the state of one worker's parts. Counters grow by the difference to the last sample.

    A gauge shows the sum over the live workers; an informer's gauge shows the worst value among them.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._last: dict[tuple[str, str], int] = {}
        self._hits = self._counter("cache_hits_total", "Look-ups in a cache that found a value.", "cache")
        self._misses = self._counter("cache_misses_total", "Look-ups in a cache that found none.", "cache")
        self._entries = self._gauge("cache_entries", "Entries in a cache, summed over all workers.", "cache")
        self._coalesced = self._counter(
            "coalesced_total", "Questions that waited for the same one in flight.", "question"
        )
        self._dropped = self._counter(
            "audit_dropped_total", "Audit records that were lost: the queue was full, or a write failed."
        )
        self._history_dropped = self._counter(
            "audit_history_dropped_total",
            "Decisions that are missing on the audit page: there were too many at a time.",
        )
        self._busy = self._gauge("handler_threads_busy", "Threads in which handlers of MLflow run now.")
        self._full = self._gauge(
            "handler_threads_full",
            "Workers in which all shared threads are in use, so that everybody's requests wait.",
        )
        self._waiting = self._gauge(
            "handler_requests_waiting", "Requests that wait for a thread of their share."
        )
        self._throttled = self._counter(
            "handler_requests_refused_total", "Requests answered 429: their share of threads was in use."
        )
        self._synced = self._informer("synced", "1 when the first list is complete in every worker.")
        self._last_contact = self._informer(
            "last_contact_timestamp_seconds",
            "When the API server last sent something, in the worker where that was longest ago.",
        )
        self._following = self._informer("following", "1 when every worker receives all changes.")
        self._uncovered_routes = self._server(
            "uncovered_routes", "Routes of MLflow without a rule, which are refused."
        )
        self._missing_functions = self._server(
            "missing_functions", "Functions that are relied on and that this MLflow lacks."
        )
        self._ready = self._gauge("workers_ready", "Workers without a problem.")
        self._expected_workers = self._server("workers_expected", "Workers that the server was started with.")

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"{PREFIX}{name}", text, labels, registry=self._registry)

    def _gauge(self, name: str, text: str, *labels: str, mode: _Mode = "livesum") -> Gauge:
        return Gauge(f"{PREFIX}{name}", text, labels, registry=self._registry, multiprocess_mode=mode)

    def _informer(self, name: str, text: str) -> Gauge:
        return self._gauge(f"informer_{name}", text, "resource", mode="livemin")

    def _server(self, name: str, text: str) -> Gauge:
        """Of what every worker sees alike."""
        return self._gauge(name, text, mode="max")

    def cache(self, name: str, statistics: CacheStatistics) -> None:
        """Record one cache."""
        self._increase(self._hits.labels(name), ("hits", name), to=statistics.hits)
        self._increase(self._misses.labels(name), ("misses", name), to=statistics.misses)
        self._entries.labels(name).set(len(statistics))

    def coalesced(self, question: str, total: int) -> None:
        """Record how often this kind of question has waited for the same question in flight."""
        self._increase(self._coalesced.labels(question), ("coalesced", question), to=total)

    def handlers(self, *, busy: int, full: bool, waiting: int, refused: int) -> None:
        """Record the threads of MLflow's handlers and the requests that wait for one."""
        self._busy.set(busy)
        self._full.set(int(full))
        self._waiting.set(waiting)
        self._increase(self._throttled, ("refused", ""), to=refused)

    def audit_dropped(self, total: int) -> None:
        """Record the number of lost audit records."""
        self._increase(self._dropped, ("dropped", ""), to=total)

    def history_dropped(self, total: int) -> None:
        """Record the number of decisions that were not kept for the audit page."""
        self._increase(self._history_dropped, ("history dropped", ""), to=total)

    def informer(self, resource: str, sample: InformerSample) -> None:
        """Record one informer."""
        self._synced.labels(resource).set(int(sample.synced))
        self._following.labels(resource).set(int(sample.following))
        self._last_contact.labels(resource).set(sample.last_contact or 0)

    def server(self, *, uncovered_routes: int, missing_functions: int, expected_workers: int) -> None:
        """Record what does not change while the server runs."""
        self._uncovered_routes.set(uncovered_routes)
        self._missing_functions.set(missing_functions)
        self._expected_workers.set(expected_workers)

    def ready(self, *, ready: bool) -> None:
        """Record whether this worker has no problem."""
        self._ready.set(int(ready))

    def _increase(self, counter: Counter, key: tuple[str, str], *, to: int) -> None:
        counter.inc(to - self._last.get(key, 0))
        self._last[key] = to
