"""What is counted, and how the page of several workers reads."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import values

from tests.operations.exposition import Page
from workspace_authz.aio.cache import ExpiringCache
from workspace_authz.errors import HeadersTooLargeError, RequestError
from workspace_authz.telemetry.prometheus import PrometheusMetrics, exposition
from workspace_authz.telemetry.sampled import InformerSample, SampledMetrics


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    return tmp_path


def page(directory: Path, *vacant: int) -> Page:
    return Page.read(exposition(directory, vacant=vacant).decode())


def test_requests_are_counted_by_outcome_and_refusals_by_code(directory: Path) -> None:
    metrics = PrometheusMetrics(0)
    metrics.judged("allow", code="", seconds=0.0002)
    metrics.judged("deny", code="PERMISSION_DENIED", seconds=0.003)
    metrics.judged("error", code="A_CODE_OF_TOMORROW", seconds=20)
    metrics.flush()

    read = page(directory)
    seconds = "workspace_authz_request_seconds"
    assert [read.total(f"{seconds}_count", outcome=of) for of in ("allow", "deny", "error")] == [1, 1, 1]
    assert read.total(f"{seconds}_bucket", outcome="allow", le="0.0001") == 0
    assert read.total(f"{seconds}_bucket", outcome="allow", le="0.00025") == 1
    assert read.total(f"{seconds}_bucket", outcome="error", le="10.0") == 0
    assert read.total("workspace_authz_refusals_total", code="PERMISSION_DENIED") == 1
    assert read.total("workspace_authz_refusals_total", code="INTERNAL_ERROR") == 1


def test_what_is_gathered_is_counted_once_and_is_bounded(directory: Path) -> None:
    metrics = PrometheusMetrics(0)
    for _ in range(3):
        metrics.judged("allow", code="", seconds=0)
        metrics.decided("experiments", outcome="allow", source="cache")
    assert page(directory).total("workspace_authz_request_seconds_count") == 0
    for _ in range(2):
        metrics.flush()
    assert page(directory).total("workspace_authz_request_seconds_count") == 3
    assert page(directory).total("workspace_authz_decisions_total") == 3
    for _ in range(500):
        metrics.judged("allow", code="", seconds=0)
    assert page(directory).total("workspace_authz_request_seconds_count") == 503


def test_workers_are_added_up_and_a_successor_counts_on(directory: Path) -> None:
    first, second = PrometheusMetrics(0), PrometheusMetrics(1)
    successor = PrometheusMetrics(0)
    for metrics in (first, second, second, successor):
        metrics.decided("experiments", outcome="allow", source="cache")
        metrics.flush()
    successor.circuit(is_open=True)
    second.circuit(is_open=True)

    read = page(directory)
    decisions = "workspace_authz_decisions_total"
    assert read.total(decisions, resource="experiments", outcome="allow", source="cache") == 4
    assert read.total("workspace_authz_api_circuit_open") == 2
    assert page(directory, 1).total("workspace_authz_api_circuit_open") == 1
    assert page(directory, 1).total(decisions) == 4


def test_a_successor_does_not_start_with_the_state_of_the_one_before(directory: Path) -> None:
    PrometheusMetrics(0).circuit(is_open=True)
    PrometheusMetrics(0)
    assert page(directory).total("workspace_authz_api_circuit_open") == 0


def test_questions_to_the_api_server_are_counted_by_kind_and_result(directory: Path) -> None:
    metrics = PrometheusMetrics(0)
    for result in ("ok", "200", "503", "599", "418", "unreachable"):
        metrics.asked("SelfSubjectReview", result=result, seconds=0.01)
    metrics.retried("SelfSubjectReview", reason="429")
    metrics.narrowed("request")

    read = page(directory)
    asked = "workspace_authz_api_requests_total"
    found = {
        result: read.total(asked, result=result)
        for result in ("ok", "nonsense", "5xx", "other", "unreachable")
    }
    assert found == {"ok": 1, "nonsense": 1, "5xx": 2, "other": 1, "unreachable": 1}
    assert read.total("workspace_authz_api_request_seconds_count", kind="SelfSubjectReview") == 6
    assert read.total("workspace_authz_api_retries_total", reason="429") == 1
    assert read.total("workspace_authz_narrowed_lists_total", where="request") == 1


def test_what_is_sampled_twice_is_counted_once(directory: Path) -> None:
    sampled = SampledMetrics(PrometheusMetrics(0).registry)
    cache: ExpiringCache[str, int] = ExpiringCache(size=2, monotonic=lambda: 0.0)
    cache.put("a", 1, seconds=1)
    cache.get("a")
    cache.get("b")
    for _ in range(2):
        sampled.cache("names", cache)
        sampled.coalesced("identity", 3)
        sampled.audit_dropped(2)

    read = page(directory)
    assert read.total("workspace_authz_cache_hits_total", cache="names") == 1
    assert read.total("workspace_authz_cache_misses_total", cache="names") == 1
    assert read.total("workspace_authz_cache_entries", cache="names") == 1
    assert read.total("workspace_authz_coalesced_total", question="identity") == 3
    assert read.total("workspace_authz_audit_dropped_total") == 2


def test_an_informer_is_as_good_as_in_the_worker_that_is_worst_off(directory: Path) -> None:
    first = SampledMetrics(PrometheusMetrics(0).registry)
    first.informer("namespaces", InformerSample(synced=True, following=True, last_contact=2000.0))
    second = SampledMetrics(PrometheusMetrics(1).registry)
    second.informer("namespaces", InformerSample(synced=True, following=False, last_contact=1000.0))

    read = page(directory)
    assert read.total("workspace_authz_informer_synced", resource="namespaces") == 1
    assert read.total("workspace_authz_informer_following", resource="namespaces") == 0
    assert read.total("workspace_authz_informer_last_contact_timestamp_seconds") == 1000


def every_code() -> set[str]:
    found, waiting = set(), [RequestError]
    while waiting:
        kind = waiting.pop()
        if kind is not HeadersTooLargeError:  # answered before the guard, which counts
            found.add(kind.code)
        waiting += kind.__subclasses__()
    return found


@pytest.mark.parametrize("code", sorted(every_code()))
def test_every_refusal_of_ours_is_counted_under_its_own_code(directory: Path, code: str) -> None:
    metrics = PrometheusMetrics(0)
    metrics.judged("deny", code=code, seconds=0)
    metrics.flush()
    assert page(directory).total("workspace_authz_refusals_total", code=code) == 1
