"""The metrics in Prometheus' text form, summed over all workers by ``prometheus_client``'s multiprocess mode.

Each worker counts into files of its own in a shared directory; whichever worker is scraped adds up all of
them, those of MLflow's exporter too.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
PREFIX: Final = "workspace_authz_"

_REQUEST_BUCKETS: Final = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025),
    *(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
_API_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

_OUTCOMES: Final = ("allow", "deny", "error")
_CODES: Final = (
    *("INVALID_PARAMETER_VALUE", "UNAUTHENTICATED", "PERMISSION_DENIED"),
    *("RESOURCE_DOES_NOT_EXIST", "ENDPOINT_NOT_FOUND", "DEADLINE_EXCEEDED"),
    *("REQUEST_LIMIT_EXCEEDED", "TEMPORARILY_UNAVAILABLE", "INTERNAL_ERROR"),
)
_KINDS: Final = ("SelfSubjectReview", "SelfSubjectAccessReview", "SelfSubjectRulesReview")
_RESULTS: Final = ("ok", "unreachable", "nonsense", "401", "403", "404", "429", "5xx", "other")


class PrometheusMetrics:
    """:class:`~workspace_authz.telemetry.metrics.Metrics` of one worker.

    ``seat`` tells the workers apart; a worker in the seat of another counts on from there, and its gauges
    start anew. Counts go to ``$PROMETHEUS_MULTIPROC_DIR``. Sets a global of ``prometheus_client``, which is
    how that library takes a process identifier, so there is one object of this class per process. What has
    a fixed set of labels is there from the start, as 0: a rate from nothing to one would go unseen.
    """

    def __init__(self, seat: int) -> None:
        values.ValueClass = values.MultiProcessValue(process_identifier=lambda: str(seat))
        mark_process_dead(seat)
        registry = self.registry = CollectorRegistry()
        judged = Histogram(
            f"{PREFIX}request_seconds",
            "Time from a request's arrival to its verdict, by outcome.",
            ["outcome"],
            buckets=_REQUEST_BUCKETS,
            registry=registry,
        )
        self._judged = {outcome: judged.labels(outcome) for outcome in _OUTCOMES}
        refused = Counter(
            f"{PREFIX}refusals_total", "Refused requests, by error code.", ["code"], registry=registry
        )
        self._refused = {code: refused.labels(code) for code in _CODES}
        self._decisions = Counter(
            f"{PREFIX}decisions_total",
            "Answers to questions about rights, by resource, outcome and source.",
            ["resource", "outcome", "source"],
            registry=registry,
        )
        self._decided: dict[tuple[str, str, str], Counter] = {}
        self._asked = Counter(
            f"{PREFIX}api_requests_total",
            "Requests to the Kubernetes API server for callers, by kind and result.",
            ["kind", "result"],
            registry=registry,
        )
        asked_seconds = Histogram(
            f"{PREFIX}api_request_seconds",
            "Time that the Kubernetes API server took, by kind.",
            ["kind"],
            buckets=_API_BUCKETS,
            registry=registry,
        )
        self._asked_seconds = {kind: asked_seconds.labels(kind) for kind in _KINDS}
        self._retried = Counter(
            f"{PREFIX}api_retries_total",
            "Reviews that were asked again, by kind and reason.",
            ["kind", "reason"],
            registry=registry,
        )
        self._circuit = Gauge(
            f"{PREFIX}api_circuit_open",
            "Workers that hold reviews back because the API server does not answer.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._opened = Counter(
            f"{PREFIX}api_circuit_openings_total",
            "Times that a worker began to hold reviews back.",
            registry=registry,
        )
        self._narrowed = Counter(
            f"{PREFIX}narrowed_lists_total",
            "Lists kept to single objects, in the request or in the answer.",
            ["where"],
            registry=registry,
        )
        certificates = Counter(
            f"{PREFIX}certificate_loads_total",
            "New serving certificates that a worker took up, or could not use.",
            ["result"],
            registry=registry,
        )
        self._certificates = {
            loaded: certificates.labels("ok" if loaded else "failed") for loaded in (True, False)
        }
        for kind in _KINDS:
            self._asked.labels(kind, "ok")
            self._retried.labels(kind, "unreachable")
        for where in ("request", "answer"):
            self._narrowed.labels(where)

    def judged(self, outcome: str, *, code: str, seconds: float) -> None:
        """See :class:`Metrics`."""
        self._judged[outcome].observe(seconds)
        if code:
            self._refused[code if code in self._refused else "INTERNAL_ERROR"].inc()

    def decided(self, resource: str, *, outcome: str, source: str) -> None:
        """See :class:`Metrics`."""
        key = (resource, outcome, source)
        counter = self._decided.get(key)
        if counter is None:
            counter = self._decided[key] = self._decisions.labels(*key)
        counter.inc()

    def asked(self, kind: str, *, result: str, seconds: float) -> None:
        """See :class:`Metrics`."""
        self._asked.labels(kind, _bounded(result)).inc()
        self._asked_seconds[kind].observe(seconds)

    def retried(self, kind: str, *, reason: str) -> None:
        """See :class:`Metrics`."""
        self._retried.labels(kind, _bounded(reason)).inc()

    def circuit(self, *, is_open: bool) -> None:
        """See :class:`Metrics`."""
        self._circuit.set(int(is_open))
        if is_open:
            self._opened.inc()

    def narrowed(self, where: str) -> None:
        """See :class:`Metrics`."""
        self._narrowed.labels(where).inc()

    def certificate(self, *, loaded: bool) -> None:
        """See :class:`Metrics`."""
        self._certificates[loaded].inc()


def _bounded(result: str) -> str:
    if result in _RESULTS:
        return result
    if result.startswith("2"):
        return "nonsense"
    return "5xx" if result.startswith("5") else "other"


def exposition(directory: Path, *, gone: Iterable[int]) -> bytes:
    """What all workers have counted. ``gone`` are the seats of those that have ended: their gauges end, too.

    Takes some milliseconds; not for the event loop.
    """
    for seat in gone:
        mark_process_dead(seat, str(directory))
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(directory))
    return generate_latest(registry)
