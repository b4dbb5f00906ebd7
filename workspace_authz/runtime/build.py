"""Builds and starts one worker: its connections, caches, informers and pipeline."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Final

from workspace_authz.aio.clock import Clock, SystemClock
from workspace_authz.aio.supervisor import Supervisor
from workspace_authz.database.threads import DatabaseThreads
from workspace_authz.identity.audiences import Audiences
from workspace_authz.kubernetes.callers_objects import CallersObjects, ImpersonatedObjects
from workspace_authz.kubernetes.configuration import ApiConfiguration, load_configuration
from workspace_authz.kubernetes.connection import Connection, caller_connection, server_connection
from workspace_authz.kubernetes.retries import ReviewPriorities, review_priorities
from workspace_authz.kubernetes.reviews import ApiReviews
from workspace_authz.mlflow_adapter.store.engines import tracking_engine
from workspace_authz.pipeline.pipeline import Pipeline
from workspace_authz.runtime import process
from workspace_authz.runtime.cluster import Cluster, cluster_over
from workspace_authz.runtime.data import Data, data_of
from workspace_authz.runtime.handler_threads import HandlerThreads, handler_threads
from workspace_authz.runtime.health import Health
from workspace_authz.runtime.history import history_of
from workspace_authz.runtime.history import start as start_history
from workspace_authz.runtime.metrics_page import MetricsPage
from workspace_authz.runtime.own_reviews import own_reviews
from workspace_authz.runtime.people import PLACES, People
from workspace_authz.runtime.pipeline import ClusterParts, MLflowParts, build_pipeline
from workspace_authz.runtime.runtime import Runtime
from workspace_authz.runtime.sampler import Observed, Sampler
from workspace_authz.runtime.sign_in import BrowserSessions, browser_sessions
from workspace_authz.runtime.worker_config import WorkerConfig
from workspace_authz.settings.settings import Settings
from workspace_authz.telemetry.audit import open_audit_sink
from workspace_authz.telemetry.metrics import Metrics
from workspace_authz.telemetry.prometheus import PrometheusMetrics
from workspace_authz.telemetry.sampled import SampledMetrics
from workspace_authz.telemetry.workers import WorkerRegistry

_LOOK_SECONDS: Final = 0.5
"""How often a worker that starts checks whether it is ready."""


@asynccontextmanager
async def running(config: WorkerConfig) -> AsyncIterator[Runtime]:
    """Start a worker, make it the runtime of this process, and stop it when the block ends.

    Needs no answer of the API server: a worker also starts in an outage and reports it in its readiness.
    """
    settings, clock = config.settings, SystemClock()
    configuration = await load_configuration(settings.kubeconfig)
    async with AsyncExitStack() as stack:
        audit = open_audit_sink(settings)
        stack.callback(audit.close)
        callers, people, server, acting = _connections(configuration, settings, stack=stack)
        slot = config.workers.register()
        stack.callback(slot.release)
        data = await stack.enter_async_context(data_of(config, clock))
        metrics = PrometheusMetrics(slot.number)
        stack.callback(metrics.flush)
        own = await stack.enter_async_context(own_reviews(configuration, settings, metrics=metrics))
        browser = await stack.enter_async_context(_browser(config, stack, clock=clock))
        cluster = cluster_over(server, config, own=own, clock=clock)
        history = await stack.enter_async_context(history_of(config, cluster.directory, clock=clock))
        supervisor = Supervisor()
        stack.push_async_callback(supervisor.close)
        pipeline = _pipeline(config, callers, cluster=cluster, data=data, browser=browser, metrics=metrics)
        threads = handler_threads(settings)
        runtime = Runtime(
            pipeline=pipeline,
            audit=audit,
            body_bytes=settings.body_bytes,
            directory=cluster.directory,
            artifact_roots=cluster.roots,
            metrics=metrics,
            health=_health(config, cluster=cluster, data=data, threads=threads),
            metrics_page=_metrics_page(pipeline, config.workers, metrics=metrics),
            request_bytes=settings.request_bytes,
            share=threads.share,
            obstacle=data.obstacle,
            browser=browser,
            people=_people(cluster, people, acting=acting, config=config),
            history=history,
        )
        observed = _observed(runtime, cluster=cluster, data=data, threads=threads)
        sampler = Sampler(observed, runtime.health, metrics=_sampled(metrics, config), slot=slot, clock=clock)
        _start(supervisor, runtime, cluster=cluster, data=data, sampler=sampler)
        stack.callback(process.uninstall)
        yield runtime


def _connections(
    configuration: ApiConfiguration, settings: Settings, *, stack: AsyncExitStack
) -> tuple[Connection, Connection, Connection, Connection | None]:
    """For callers, for what people do with their own token, the server's own, and one over which it acts as
    people, if it may; until the stack ends."""
    callers = caller_connection(configuration, limit=settings.api_connections)
    stack.push_async_callback(callers.close)
    people = caller_connection(configuration, limit=PLACES)
    stack.push_async_callback(people.close)
    server = server_connection(configuration)
    stack.push_async_callback(server.close)
    if not settings.impersonate_for_grants:
        return callers, people, server, None
    acting = server_connection(configuration, limit=PLACES)
    stack.push_async_callback(acting.close)
    return callers, people, server, acting


def _people(
    cluster: Cluster, connection: Connection, *, acting: Connection | None, config: WorkerConfig
) -> People:
    settings, seconds = config.settings, config.settings.api_timeout_seconds
    return People(
        cluster.index,
        cluster.generations,
        CallersObjects(connection, timeout=seconds),
        rbac_only=cluster.rights is not None,
        reviews=ApiReviews(connection, timeout=seconds),
        audiences=Audiences(settings.audience_names, only=settings.audiences_only),
        origins=config.origins,
        impersonated=ImpersonatedObjects(acting, timeout=seconds) if acting is not None else None,
        identity_seconds=settings.identity_seconds,
    )


def _start(
    supervisor: Supervisor, runtime: Runtime, *, cluster: Cluster, data: Data, sampler: Sampler
) -> None:
    """Start the work in the background, and make ``runtime`` that of this process."""
    cluster.follow(supervisor)
    data.prepare(supervisor, cluster.directory)
    if runtime.browser is not None:
        runtime.browser.start(supervisor)
    start_history(runtime.history, supervisor)
    supervisor.run("gc freeze", partial(freeze_when_ready, runtime.health, SystemClock()))
    supervisor.run("sampler", sampler.run)
    process.install(runtime)


def _reviews(api: ApiReviews, settings: Settings, *, metrics: Metrics, clock: Clock) -> ReviewPriorities:
    return review_priorities(
        api,
        places=settings.api_connections,
        seconds=settings.api_timeout_seconds,
        clock=clock,
        metrics=metrics,
    )


def _pipeline(
    config: WorkerConfig,
    callers: Connection,
    *,
    cluster: Cluster,
    data: Data,
    browser: BrowserSessions | None,
    metrics: Metrics,
) -> Pipeline:
    settings, own = config.settings, cluster.own
    api = ApiReviews(callers, timeout=settings.api_timeout_seconds, metrics=metrics)
    reviews = _reviews(api, settings, metrics=metrics, clock=SystemClock())
    return build_pipeline(
        ClusterParts(
            reviews.known,
            unverified=reviews.unverified,
            subject_reviews=own.subjects if own else None,
            token_reviews=own.tokens if own else None,
            unverified_token_reviews=own.unverified if own else None,
            server_time=own.time_beside(api.server_time.now) if own else api.server_time.now,
            workspaces=cluster.directory,
            artifact_roots=cluster.roots,
            generations=cluster.generations,
            sessions=browser.authenticator if browser else None,
            issuers=browser.issuers if browser else {},
            rbac=cluster.rights,
        ),
        MLflowParts(
            reading=data.reading,
            store=data.objects,
            artifact_root=config.artifact_root,
            tenancy=data.tenancy if cluster.directory is not None else None,
            cipher=data.cipher,
            writes_caller=config.writes_caller,
        ),
        settings=settings,
        catalog=config.catalog,
        rule=config.rule,
    )


def _browser(
    config: WorkerConfig, stack: AsyncExitStack, *, clock: Clock
) -> AbstractAsyncContextManager[BrowserSessions | None]:
    """The sessions of people in a browser, in MLflow's database."""
    database = DatabaseThreads(tracking_engine, "sessions")
    stack.callback(database.close)
    return browser_sessions(
        config.settings, database, origins=config.origins, path=config.static_prefix, clock=clock
    )


def _metrics_page(pipeline: Pipeline, workers: WorkerRegistry, *, metrics: Metrics) -> MetricsPage:
    return MetricsPage(
        identity=pipeline.identity, authorizer=pipeline.authorizer, workers=workers, flush=metrics.flush
    )


def _observed(runtime: Runtime, *, cluster: Cluster, data: Data, threads: HandlerThreads) -> Observed:
    pipeline = runtime.pipeline
    return Observed(
        statistics=(
            *pipeline.identity.statistics,
            *pipeline.authorizer.statistics,
            data.objects.statistics,
        ),
        informers=cluster.informers,
        audit=runtime.audit,
        threads=threads,
        history_dropped=lambda: 0 if runtime.history is None else runtime.history.dropped,
        flush=runtime.metrics.flush,
    )


def _sampled(metrics: PrometheusMetrics, config: WorkerConfig) -> SampledMetrics:
    sampled = SampledMetrics(metrics.registry)
    sampled.server(
        uncovered_routes=config.uncovered_routes,
        missing_functions=config.missing_functions,
        expected_workers=config.workers.expected,
    )
    return sampled


def _health(config: WorkerConfig, *, cluster: Cluster, data: Data, threads: HandlerThreads) -> Health:
    checks = cluster.checks() | data.checks(cluster.directory)
    return Health(
        checks, notes=lambda: (*cluster.notes(), *threads.notes(), *data.notes()), workers=config.workers
    )


async def freeze_when_ready(health: Health, clock: Clock, *, freeze: Callable[[], None] = gc.freeze) -> None:
    """Wait until this worker has no problem, then exclude all loaded objects from garbage collection, once.

    A full collection visits every container object. MLflow's modules and tables and ours are 400,000 objects,
    which takes some tenths of a second in which every thread stands still. MLflow's writes leave so many
    reference cycles (SQLAlchemy's) that this happens every few hundred requests. The loaded objects live as
    long as the process, so nothing is lost by not visiting them. Objects made later are collected as before.
    """
    while any(health.own().values()):
        await clock.sleep(_LOOK_SECONDS)
    freeze()
