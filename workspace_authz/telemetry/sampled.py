"""What is not counted as it happens but looked at every second: caches, informers, the audit's queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge

from workspace_authz.telemetry.prometheus import PREFIX


class CacheNumbers(Protocol):
    """A cache that counts."""

    @property
    def hits(self) -> int:
        """Look-ups that found something."""

    @property
    def misses(self) -> int:
        """Look-ups that did not."""

    def __len__(self) -> int:
        """Entries."""


@dataclass(frozen=True, slots=True)
class InformerNumbers:
    """How well one resource is followed."""

    synced: bool
    following: bool
    """No change can have been missed."""
    contact: float | None
    """When the API server was last heard, in seconds since the epoch."""


class SampledMetrics:
    """Takes the state of one worker's parts: gauges, and the rise of counts since the last time.

    Gauges say what the live workers have together, or, of informers, what the one has that is worst off.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._taken: dict[tuple[str, str], int] = {}
        self._hits = self._counter("cache_hits_total", "Look-ups in a cache that found something.", "cache")
        self._misses = self._counter("cache_misses_total", "Look-ups in a cache that did not.", "cache")
        self._entries = Gauge(
            f"{PREFIX}cache_entries",
            "Entries in a cache, of all workers together.",
            ["cache"],
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._coalesced = self._counter(
            "coalesced_total", "Questions that waited for the same one in flight.", "question"
        )
        self._dropped = self._counter(
            "audit_dropped_total", "Audit records that found the queue full or could not be written."
        )
        self._synced = self._informer("synced", "1 when the first list is complete in every worker.")
        self._contact = self._informer(
            "last_contact_timestamp_seconds", "When the API server was last heard, in the worker worst off."
        )
        self._following = self._informer("following", "1 when every worker hears of all changes.")
        self._uncovered = Gauge(
            f"{PREFIX}uncovered_routes",
            "Routes of MLflow without a rule, which are refused.",
            registry=registry,
            multiprocess_mode="max",
        )
        self._ready = Gauge(
            f"{PREFIX}workers_ready",
            "Workers without a problem.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._expected = Gauge(
            f"{PREFIX}workers_expected",
            "Workers that the server was started with.",
            registry=registry,
            multiprocess_mode="max",
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"{PREFIX}{name}", text, labels, registry=self._registry)

    def _informer(self, name: str, text: str) -> Gauge:
        return Gauge(
            f"{PREFIX}informer_{name}",
            text,
            ["resource"],
            registry=self._registry,
            multiprocess_mode="livemin",
        )

    def cache(self, name: str, numbers: CacheNumbers) -> None:
        """Look at one cache."""
        self._rise(self._hits.labels(name), ("hits", name), numbers.hits)
        self._rise(self._misses.labels(name), ("misses", name), numbers.misses)
        self._entries.labels(name).set(len(numbers))

    def coalesced(self, question: str, total: int) -> None:
        """How often a kind of question has waited for the same one."""
        self._rise(self._coalesced.labels(question), ("coalesced", question), total)

    def audit_dropped(self, total: int) -> None:
        """How many records have been dropped."""
        self._rise(self._dropped, ("dropped", ""), total)

    def informer(self, resource: str, numbers: InformerNumbers) -> None:
        """Look at one informer."""
        self._synced.labels(resource).set(int(numbers.synced))
        self._following.labels(resource).set(int(numbers.following))
        self._contact.labels(resource).set(numbers.contact or 0)

    def server(self, *, uncovered: int, expected: int) -> None:
        """What does not change while the server runs."""
        self._uncovered.set(uncovered)
        self._expected.set(expected)

    def ready(self, *, ready: bool) -> None:
        """Whether this worker has no problem."""
        self._ready.set(int(ready))

    def _rise(self, counter: Counter, key: tuple[str, str], total: int) -> None:
        counter.inc(total - self._taken.get(key, 0))
        self._taken[key] = total
