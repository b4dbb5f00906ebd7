"""All routes of MLflow 3.18, one module per family."""

from __future__ import annotations

from dataclasses import replace

from workspace_authz.catalog import (
    artifacts,
    datasets,
    experiments,
    gateway,
    gateway_calls,
    graphql,
    jobs,
    logged_models,
    mcp,
    registry,
    review_queues,
    server,
    skills,
    traces,
)
from workspace_authz.catalog.assistant import assistant_routes
from workspace_authz.catalog.identity_stamps import STAMPS
from workspace_authz.catalog.model import Guarded, Route


def all_routes(*, assistant: bool = False) -> tuple[Route, ...]:
    """Every route of MLflow. Routes of FastAPI keep MLflow's order, because the first match is taken."""
    routes = (
        *experiments.ROUTES,
        *traces.ROUTES,
        *logged_models.ROUTES,
        *review_queues.ROUTES,
        *jobs.ROUTES,
        *registry.ROUTES,
        *datasets.ROUTES,
        *gateway.ROUTES,
        *gateway_calls.ROUTES,
        *mcp.ROUTES,
        *skills.ROUTES,
        *artifacts.ROUTES,
        *assistant_routes(enabled=assistant),
        *graphql.ROUTES,
        *server.ROUTES,
    )
    return tuple(map(_stamped, routes))


def _stamped(route: Route) -> Route:
    served = isinstance(route.policy, Guarded)
    return replace(route, stamps=STAMPS.get(route.operation, ())) if served else route
