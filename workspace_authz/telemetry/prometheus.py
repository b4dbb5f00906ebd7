"""The metrics in Prometheus' text format, summed over all workers.

``prometheus_client``'s multiprocess mode does the sum: each worker counts in files of its own in a shared
directory, and the worker that is scraped adds up all files, MLflow's exporter's included.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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

_BUFFERED: Final = 500
"""The most verdicts that are buffered. Writing them takes a few milliseconds."""

_OUTCOMES: Final = ("allow", "deny", "error")
_CODES: Final = (
    *("INVALID_PARAMETER_VALUE", "UNAUTHENTICATED", "PERMISSION_DENIED", "RESOURCE_CONFLICT"),
    *("RESOURCE_DOES_NOT_EXIST", "ENDPOINT_NOT_FOUND", "DEADLINE_EXCEEDED"),
    *("REQUEST_LIMIT_EXCEEDED", "TEMPORARILY_UNAVAILABLE", "NOT_IMPLEMENTED", "INTERNAL_ERROR"),
)
_KINDS: Final = (
    *("SelfSubjectReview", "SelfSubjectAccessReview", "SelfSubjectRulesReview"),
    *("SubjectAccessReview", "TokenReview"),
)
_RESULTS: Final = ("ok", "unreachable", "nonsense", "401", "403", "404", "429", "5xx", "other")


class PrometheusMetrics:
    """:class:`~workspace_authz.telemetry.metrics.Metrics` of one worker.

    ``slot`` is the number of the worker's slot. A worker that takes over a slot continues its counters; its
    gauges start anew. Metrics are written to ``$PROMETHEUS_MULTIPROC_DIR``. There is one object of this class
    per process, because ``prometheus_client`` takes the process identifier from a global variable.

    Series with a fixed set of labels exist from the start with the value 0, because Prometheus computes no
    rate for a series that begins at 1. The counts of each request are buffered until :meth:`flush`: writing
    them one by one would be a fifth of the CPU time of a warm request. Use it from one event loop only.
    """

    def __init__(self, slot: int) -> None:
        identifier = str(slot)
        values.ValueClass = values.MultiProcessValue(process_identifier=lambda: identifier)
        mark_process_dead(slot)
        self.registry = CollectorRegistry()
        judged = self._histogram(
            "request_seconds",
            "Time from a request's arrival to its verdict",
            label="outcome",
            buckets=_REQUEST_BUCKETS,
        )
        self._judged = {outcome: judged.labels(outcome) for outcome in _OUTCOMES}
        refused = self._counter("refusals_total", "Refused requests, by error code.", "code")
        self._refused = {code: refused.labels(code) for code in _CODES}
        decisions = "Decisions on authorization questions, by resource, outcome and source."
        self._decisions = self._counter("decisions_total", decisions, "resource", "outcome", "source")
        self._verdicts: list[tuple[str, str, float]] = []
        """Outcome, code and seconds of each verdict since the last flush."""
        self._answers: dict[tuple[str, str, str], int] = {}
        """How often each combination of resource, outcome and source occurred since the last flush."""
        self._add_api_metrics()
        narrowed = "Lists restricted to the objects that the caller may see, in the request or in the answer."
        self._narrowed = self._counter("narrowed_lists_total", narrowed, "where")
        loads = "New serving certificates that a worker loaded, or could not use."
        certificates = self._counter("certificate_loads_total", loads, "result")
        self._certificates = {True: certificates.labels("ok"), False: certificates.labels("failed")}
        self._start_at_zero()

    def _add_api_metrics(self) -> None:
        asked = "Requests to the Kubernetes API server for callers, by kind and result."
        self._asked = self._counter("api_requests_total", asked, "kind", "result")
        asked_seconds = self._histogram(
            "api_request_seconds",
            "Time that the Kubernetes API server took",
            label="kind",
            buckets=_API_BUCKETS,
        )
        self._asked_seconds = {kind: asked_seconds.labels(kind) for kind in _KINDS}
        retried = "Reviews that were asked again, by kind and reason."
        self._retried = self._counter("api_retries_total", retried, "kind", "reason")
        self._circuit = Gauge(
            f"{PREFIX}api_circuit_open",
            "Workers that send no reviews because the API server does not answer.",
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        opened = "Times that the circuit of a worker opened."
        self._opened = self._counter("api_circuit_openings_total", opened)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"{PREFIX}{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, *, label: str, buckets: Sequence[float]) -> Histogram:
        text = f"{text}, by {label}."
        return Histogram(f"{PREFIX}{name}", text, [label], buckets=buckets, registry=self.registry)

    def _start_at_zero(self) -> None:
        """Create the most frequent series with the value 0."""
        for kind in _KINDS:
            self._asked.labels(kind, "ok")
            self._retried.labels(kind, "unreachable")
        for where in ("request", "answer"):
            self._narrowed.labels(where)

    def judged(self, outcome: str, *, code: str, seconds: float) -> None:
        """See :class:`Metrics`."""
        self._verdicts.append((outcome, code, seconds))
        if len(self._verdicts) >= _BUFFERED:
            self.flush()

    def decided(self, resource: str, *, outcome: str, source: str) -> None:
        """See :class:`Metrics`."""
        answer = (resource, outcome, source)
        self._answers[answer] = self._answers.get(answer, 0) + 1

    def flush(self) -> None:
        """See :class:`Metrics`."""
        verdicts, self._verdicts = self._verdicts, []
        answers, self._answers = self._answers, {}
        for outcome, code, seconds in verdicts:
            self._judged[outcome].observe(seconds)
            if code:
                self._refused[code if code in self._refused else "INTERNAL_ERROR"].inc()
        for answer, times in answers.items():
            self._decisions.labels(*answer).inc(times)

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


def exposition(directory: Path, *, vacant: Iterable[int]) -> bytes:
    """The metrics of all workers in Prometheus' text format.

    ``vacant`` are the slots whose workers have ended; their gauges are removed. Takes some milliseconds, so
    it must not run on the event loop.
    """
    for slot in vacant:
        mark_process_dead(slot, str(directory))
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(directory))
    return generate_latest(registry)
