"""The only place where the parts are joined: one process's connections, caches, informer and pipeline."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from workspace_authz.aio.clock import SystemClock
from workspace_authz.aio.supervisor import Supervisor
from workspace_authz.authorizer.coherence import Coherence
from workspace_authz.authorizer.rbac.follower import RbacFollower
from workspace_authz.authorizer.rbac.index import RbacIndex
from workspace_authz.authorizer.rbac.source import RbacSource
from workspace_authz.bindings.binder import Binder, Databases
from workspace_authz.catalog.compile import CompiledCatalog
from workspace_authz.enforcement.sealing import SharedSeal
from workspace_authz.kubernetes.connection import load_configuration, server_connection
from workspace_authz.kubernetes.informer_state import InformerState
from workspace_authz.kubernetes.lines import caller_posts
from workspace_authz.kubernetes.patience import lanes
from workspace_authz.kubernetes.pulse import Pulse
from workspace_authz.kubernetes.reviews import ApiReviews
from workspace_authz.lookup.objects import (
    StoreObjects,
    data_engines,
    registry_sessions,
    tracking_engine,
    tracking_sessions,
)
from workspace_authz.runtime import cell
from workspace_authz.runtime.health import Check, Health, following
from workspace_authz.runtime.joined import build_pipeline
from workspace_authz.runtime.runtime import Runtime
from workspace_authz.runtime.sampler import Observed, Sampler
from workspace_authz.runtime.scrape import Scrape
from workspace_authz.runtime.sink import open_audit_sink
from workspace_authz.settings import Settings
from workspace_authz.telemetry.crew import Crew
from workspace_authz.telemetry.prometheus import PrometheusMetrics
from workspace_authz.telemetry.sampled import SampledMetrics
from workspace_authz.workspaces.directory import Directory
from workspace_authz.workspaces.policy import NamespacePolicy
from workspace_authz.workspaces.requested import WorkspaceRule

_PAGE_TOKENS: Final = "page tokens"


@dataclass(frozen=True, slots=True)
class Blueprint:
    """Everything that is decided before the event loop runs."""

    settings: Settings
    catalog: CompiledCatalog
    single_namespace: str | None
    policy: NamespacePolicy | None
    """Which namespaces are workspaces; None on a server without workspaces."""
    crew: Crew
    """The workers of this server."""
    uncovered: int = 0
    """How many of MLflow's routes have no rule."""
    artifact_root: str | None = None
    """MLflow's default artifact root."""

    @property
    def rule(self) -> WorkspaceRule:
        """How the workspace of a request is found."""
        return WorkspaceRule(
            single=self.single_namespace,
            default=self.policy.default_workspace if self.policy else None,
            service_account=self.settings.service_account_workspace,
        )


@asynccontextmanager
async def running(blueprint: Blueprint) -> AsyncIterator[Runtime]:
    """Start a worker's parts, install them in the process's cell, and end them with the block.

    Needs no answer of the API server: a worker starts in an outage and says so in its readiness.
    """
    settings = blueprint.settings
    configuration = await load_configuration(settings.kubeconfig)
    async with AsyncExitStack() as stack:
        audit = open_audit_sink(settings)
        stack.callback(audit.close)
        callers = caller_posts(configuration, limit=settings.api_connections)
        stack.push_async_callback(callers.close)
        server = server_connection(configuration)
        stack.push_async_callback(server.close)
        clock = SystemClock()
        seat = blueprint.crew.join()
        stack.callback(seat.leave)
        binder = Binder(Databases(tracking_engine, data_engines), clock=clock)
        stack.callback(binder.close)
        supervisor = Supervisor()
        stack.push_async_callback(supervisor.close)
        seal = SharedSeal()
        supervisor.run("page token key", partial(_share_key, seal, binder))
        directory: Directory | None = None
        if blueprint.policy is not None:
            directory = Directory(server, blueprint.policy, clock=clock)
            supervisor.run("namespaces", directory.run)
            supervisor.run("bindings", partial(binder.prepare, directory))
        coherence, index = Coherence(time.monotonic), RbacIndex()
        rbac = RbacFollower(
            server,
            coherence=coherence,
            index=index,
            clock=clock,
            namespace=blueprint.single_namespace,
        )
        supervisor.run("rbac", rbac.run)
        pulse = Pulse(server, clock=clock)
        supervisor.run("pulse", pulse.run)
        objects = StoreObjects(
            tracking_sessions,
            registry=registry_sessions,
            workspaces=blueprint.policy is not None,
            monotonic=time.monotonic,
        )
        stack.callback(objects.close)
        metrics = PrometheusMetrics(seat.number)
        api = ApiReviews(callers, timeout=settings.api_timeout_seconds, metrics=metrics)
        ways = lanes(
            api,
            places=settings.api_connections,
            seconds=settings.api_timeout_seconds,
            clock=clock,
            metrics=metrics,
        )
        pipeline = build_pipeline(
            ways.known,
            strangers=ways.strangers,
            server_time=api.server_time.now,
            settings=settings,
            catalog=blueprint.catalog,
            rule=blueprint.rule,
            workspaces=directory,
            objects=objects,
            artifact_root=blueprint.artifact_root,
            bindings=binder if directory is not None else None,
            seal=seal,
            coherence=coherence,
            rbac=RbacSource(index, coherence) if settings.workspace_candidates == "rbac" else None,
        )
        health = Health(_checks(pulse, directory, binder), rbac.notes, blueprint.crew)
        sampled = SampledMetrics(metrics.registry)
        sampled.server(uncovered=blueprint.uncovered, expected=blueprint.crew.expected)
        observed = Observed(
            numbers=(pipeline.authenticator.numbers, *pipeline.authorizer.numbers, objects.numbers),
            informers=lambda: _informers(directory, rbac),
            audit=audit,
        )
        supervisor.run("sampler", Sampler(observed, health, metrics=sampled, seat=seat, clock=clock).run)
        scrape = Scrape(pipeline.authenticator, ways.known, blueprint.crew)
        runtime = Runtime(pipeline, audit, settings.body_bytes, directory, metrics, health, scrape)
        cell.install(runtime)
        stack.callback(cell.remove)
        yield runtime


async def _share_key(seal: SharedSeal, binder: Binder) -> None:
    """Let every worker and replica open the page tokens of the others."""
    key = await binder.key(_PAGE_TOKENS)
    seal.use((key or secrets.token_bytes(32)).hex())


def _checks(pulse: Pulse, directory: Directory | None, binder: Binder) -> dict[str, Check]:
    checks: dict[str, Check] = {"kubernetes-api": lambda: pulse.problem}
    if directory is not None:
        checks["namespaces"] = lambda: following(directory.state, "The namespaces")
        checks["bindings"] = lambda: binder.problem
    return checks


def _informers(directory: Directory | None, rbac: RbacFollower) -> dict[str, InformerState]:
    return {**({"namespaces": directory.state} if directory else {}), **rbac.states}
