"""What a worker shows of itself every second."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import values

from tests.harness.fakes import ManualClock
from tests.operations.exposition import Page
from workspace_authz.aio.cache import ExpiringCache
from workspace_authz.aio.coalesce import Coalescer
from workspace_authz.aio.fair_share import FairShare, Shares
from workspace_authz.aio.statistics import Statistics
from workspace_authz.kubernetes.informer_state import InformerState
from workspace_authz.runtime.handler_threads import HandlerThreads
from workspace_authz.runtime.health import Health, informer_problem
from workspace_authz.runtime.sampler import Observed, Sampler
from workspace_authz.telemetry.audit import NoAudit
from workspace_authz.telemetry.prometheus import PrometheusMetrics, exposition
from workspace_authz.telemetry.sampled import SampledMetrics
from workspace_authz.telemetry.workers import WorkerRegistry


class Clock(ManualClock):
    """The epoch began 500 s before this clock's own beginning."""

    def time(self) -> float:
        return self.now + 500

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("one look does not sleep")


def test_its_parts_and_its_problems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    clock = Clock()
    registry = WorkerRegistry(tmp_path, expected=2, monotonic=clock.monotonic)
    slot = registry.register()
    state = InformerState(synced=True, last_contact=990.0, problem="It cannot be followed.")
    health = Health({"namespaces": lambda: informer_problem(state, "The namespaces")}, workers=registry)
    cache: ExpiringCache[str, int] = ExpiringCache(size=1, monotonic=clock.monotonic)
    cache.get("nothing")
    counted = PrometheusMetrics(slot.number)
    observed = Observed(
        statistics=[Statistics({"names": cache}, {"identity": Coalescer()})],
        informers=lambda: {"namespaces": state},
        audit=NoAudit(),
        flush=counted.flush,
    )
    counted.judged("allow", code="", seconds=0)
    metrics = SampledMetrics(counted.registry)

    Sampler(observed, health, metrics=metrics, slot=slot, clock=clock).sample()

    page = Page.read(exposition(tmp_path, vacant=()).decode())
    assert page.total("workspace_authz_request_seconds_count", outcome="allow") == 1
    assert page.total("workspace_authz_cache_misses_total", cache="names") == 1
    assert page.total("workspace_authz_informer_last_contact_timestamp_seconds") == 1490
    assert page.total("workspace_authz_informer_following") == 0
    assert page.total("workspace_authz_workers_ready") == 0
    assert health.all() == {
        "workers": "1 of 2 worker processes answer.",
        "namespaces": "It cannot be followed.",
    }


class LossyAudit(NoAudit):
    """Has lost records."""

    dropped = 2


def test_lost_audit_records_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    clock, audit = Clock(), LossyAudit()
    registry = WorkerRegistry(tmp_path, expected=1, monotonic=clock.monotonic)
    slot = registry.register()
    metrics = SampledMetrics(PrometheusMetrics(slot.number).registry)
    observed = Observed(
        statistics=[], informers=dict, audit=audit, history_dropped=lambda: 10 * audit.dropped
    )
    sampler = Sampler(observed, Health(workers=registry), metrics=metrics, slot=slot, clock=clock)

    for total in (2, 5):
        audit.dropped = total
        sampler.sample()
        page = Page.read(exposition(tmp_path, vacant=()).decode())
        assert page.total("workspace_authz_audit_dropped_total") == total
        assert page.total("workspace_authz_audit_history_dropped_total") == 10 * total


async def test_a_pool_without_a_shared_thread_is_told_and_so_is_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    clock = Clock()
    registry = WorkerRegistry(tmp_path, expected=1, monotonic=clock.monotonic)
    slot = registry.register()
    metrics = SampledMetrics(PrometheusMetrics(slot.number).registry)
    threads = HandlerThreads(FairShare(Shares(total=2, caller=2, workspace=2, waiting=0, waiting_seconds=0)))
    observed = Observed(statistics=[], informers=dict, audit=NoAudit(), threads=threads)
    sampler = Sampler(observed, Health(workers=registry), metrics=metrics, slot=slot, clock=clock)

    def told() -> float:
        sampler.sample()
        page = Page.read(exposition(tmp_path, vacant=()).decode())
        return page.total("workspace_authz_handler_threads_full")

    async with threads.share.place(TimeoutError(), caller="fay", workspace=None):
        assert told() == 0
        async with threads.share.place(TimeoutError(), caller="fay", workspace=None):
            assert told() == 1
            assert [note.split(" are")[0] for note in threads.notes()] == [
                "All 2 shared threads of MLflow's handlers"
            ]
    assert told() == 0


async def test_who_is_well_again_says_so_before_the_second_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    clock = _Sleeper()
    registry = WorkerRegistry(tmp_path, expected=1, monotonic=clock.monotonic)
    slot = registry.register()
    health = Health(
        {"kubernetes-api": lambda: None if len(clock.slept) > 2 else "It is away."}, workers=registry
    )
    observed = Observed(statistics=[], informers=dict, audit=NoAudit())
    metrics = SampledMetrics(PrometheusMetrics(slot.number).registry)

    with pytest.raises(TimeoutError):
        await Sampler(observed, health, metrics=metrics, slot=slot, clock=clock).run()

    assert not any(registry.checks().values())
    assert sum(clock.slept[:3]) < 0.5
    assert clock.slept[3] == 1.0


class _Sleeper(Clock):
    """Notes how long it is slept, and ends the fourth sleep."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if len(self.slept) == 4:
            raise TimeoutError


def test_what_is_not_followed_yet_is_a_problem() -> None:
    assert informer_problem(InformerState(), "The namespaces") == "The namespaces have not been listed yet."
    assert informer_problem(InformerState(synced=True), "The namespaces") is None
