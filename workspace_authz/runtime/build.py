"""The only place where the parts are joined: one process's connections, caches, informer and pipeline."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from workspace_authz.aio.clock import Clock, SystemClock
from workspace_authz.aio.supervisor import Supervisor
from workspace_authz.kubernetes.configuration import load_configuration
from workspace_authz.kubernetes.connection import server_connection
from workspace_authz.kubernetes.lines import caller_transport
from workspace_authz.kubernetes.retries import ReviewPriorities, review_priorities
from workspace_authz.kubernetes.reviews import ApiReviews
from workspace_authz.pipeline.pipeline import Pipeline
from workspace_authz.runtime import process
from workspace_authz.runtime.audit_sink import open_audit_sink
from workspace_authz.runtime.cluster import Cluster, cluster_over
from workspace_authz.runtime.gc_freeze import rest
from workspace_authz.runtime.health import Health
from workspace_authz.runtime.mlflow_data import Data, mlflow_data
from workspace_authz.runtime.pipeline import build_pipeline
from workspace_authz.runtime.runtime import Runtime
from workspace_authz.runtime.sampler import Observed, Sampler
from workspace_authz.runtime.scrape import Scrape
from workspace_authz.runtime.worker_config import WorkerConfig
from workspace_authz.settings import Settings
from workspace_authz.telemetry.metrics import Metrics
from workspace_authz.telemetry.prometheus import PrometheusMetrics
from workspace_authz.telemetry.sampled import SampledMetrics


@asynccontextmanager
async def running(blueprint: WorkerConfig) -> AsyncIterator[Runtime]:
    """Start a worker's parts, install them in the process's process, and end them with the block.

    Needs no answer of the API server: a worker starts in an outage and says so in its readiness.
    """
    settings, crew, clock = blueprint.settings, blueprint.crew, SystemClock()
    configuration = await load_configuration(settings.kubeconfig)
    async with AsyncExitStack() as stack:
        audit = open_audit_sink(settings)
        stack.callback(audit.close)
        callers = caller_transport(configuration, limit=settings.api_connections)
        stack.push_async_callback(callers.close)
        server = server_connection(configuration)
        stack.push_async_callback(server.close)
        seat = crew.join()
        stack.callback(seat.leave)
        data = mlflow_data(workspaces=blueprint.policy is not None, clock=clock)
        stack.callback(data.close)
        supervisor = Supervisor()
        stack.push_async_callback(supervisor.close)

        metrics = PrometheusMetrics(seat.number)
        stack.callback(metrics.flush)
        cluster = cluster_over(server, blueprint, clock)
        api = ApiReviews(callers, timeout=settings.api_timeout_seconds, metrics=metrics)
        ways = _ways(api, settings, metrics=metrics, clock=clock)
        pipeline = _pipeline(blueprint, ways, cluster, data=data, server_time=api.server_time.now)
        health = Health(cluster.checks() | data.checks(cluster.directory), cluster.rbac.notes, crew)
        scrape = Scrape(pipeline.authenticator, ways.known, crew, metrics.flush)
        runtime = Runtime(pipeline, audit, settings.body_bytes, cluster.directory, metrics, health, scrape)
        cluster.follow(supervisor)
        data.prepare(supervisor, cluster.directory)
        observed = _observed(runtime, cluster, data)
        sampled = _sampled(metrics, blueprint)
        supervisor.run("rest", partial(rest, health, clock))
        supervisor.run("sampler", Sampler(observed, health, metrics=sampled, seat=seat, clock=clock).run)
        process.install(runtime)
        stack.callback(process.remove)
        yield runtime


def _ways(api: ApiReviews, settings: Settings, *, metrics: Metrics, clock: Clock) -> ReviewPriorities:
    return review_priorities(
        api,
        places=settings.api_connections,
        seconds=settings.api_timeout_seconds,
        clock=clock,
        metrics=metrics,
    )


def _pipeline(
    blueprint: WorkerConfig,
    ways: ReviewPriorities,
    cluster: Cluster,
    *,
    data: Data,
    server_time: Callable[[], float | None],
) -> Pipeline:
    return build_pipeline(
        ways.known,
        unverified=ways.unverified,
        server_time=server_time,
        settings=blueprint.settings,
        catalog=blueprint.catalog,
        rule=blueprint.rule,
        workspaces=cluster.directory,
        objects=data.objects,
        artifact_root=blueprint.artifact_root,
        tenancy=data.tenancy if cluster.directory is not None else None,
        seal=data.seal,
        generations=cluster.generations,
        rbac=cluster.rights,
    )


def _observed(runtime: Runtime, cluster: Cluster, data: Data) -> Observed:
    pipeline = runtime.pipeline
    return Observed(
        numbers=(pipeline.authenticator.numbers, *pipeline.authorizer.numbers, data.objects.numbers),
        informers=cluster.informers,
        audit=runtime.audit,
        flush=runtime.metrics.flush,
    )


def _sampled(metrics: PrometheusMetrics, blueprint: WorkerConfig) -> SampledMetrics:
    sampled = SampledMetrics(metrics.registry)
    sampled.server(uncovered=blueprint.uncovered, expected=blueprint.crew.expected)
    return sampled
