"""The server itself: the UI's files, probes, workspaces, demo data, telemetry."""

from __future__ import annotations

from typing import Final

from workspace_authz.catalog.build import ajax, all_of, at_path, experiments, models, right, rpc
from workspace_authz.catalog.model import (
    AnyRight,
    Authenticated,
    Mount,
    Public,
    Refused,
    Route,
    Server,
)
from workspace_authz.types import Resource, Verb

_PUBLIC_ROUTES: Final[tuple[Route, ...]] = (
    *at_path("GET", "/", "Index", Public()),
    *at_path("GET", "/static-files/{path:path}", "StaticFile", Public()),
    # The same files, by the route that Flask makes for its static folder.
    *at_path("GET", "/build/{filename:path}", "StaticFolder", Public(), mount=Mount.ROOT),
    *at_path("GET", "/version", "Version", Public()),
    *at_path("GET", "/health", "Health", Public(), server=Server.FASTAPI),
    *rpc("GET", "3.0/mlflow/server-info", "GetServerInfo", Public(), server=Server.FASTAPI),
)

_NAMESPACES: Final = Refused(
    "Workspaces are Kubernetes namespaces: they are created, changed and deleted in Kubernetes."
)
_WORKSPACES: Final = "3.0/mlflow/workspaces"
_WORKSPACE: Final = f"{_WORKSPACES}/{{workspace_name}}"
_WORKSPACE_ROUTES: Final[tuple[Route, ...]] = (
    *rpc("GET", _WORKSPACES, "ListWorkspaces", AnyRight(listing=True)),
    *rpc("GET", _WORKSPACE, "GetWorkspace", AnyRight(parameter="workspace_name")),
    *rpc("POST", _WORKSPACES, "CreateWorkspace", _NAMESPACES),
    *rpc("PATCH", _WORKSPACE, "UpdateWorkspace", _NAMESPACES),
    *rpc("DELETE", _WORKSPACE, "DeleteWorkspace", _NAMESPACES),
)

# mlflow.demo.generate_all_demos sets MLFLOW_WORKSPACE, which is the process's, and threads of other requests
# that have no workspace of their own fall back to it.
_DEMO_DATA: Final = Refused(
    "Making demo data is refused: meanwhile MLflow switches its whole process to one workspace."
)
# Experiments, datasets and prompts with names of MLflow's choice.
_DELETE_DEMO: Final = all_of(
    experiments(Verb.DELETE), right(Verb.DELETE, Resource.DATASETS), models(Verb.DELETE)
)
_DEMO_ROUTES: Final[tuple[Route, ...]] = (
    *ajax("POST", "3.0/mlflow/demo/generate", "GenerateDemo", _DEMO_DATA),
    *ajax("POST", "3.0/mlflow/demo/delete", "DeleteDemo", _DELETE_DEMO),
)

_TELEMETRY: Final = Authenticated("The UI's own usage statistics belong to no workspace and hold no objects.")
_TELEMETRY_ROUTES: Final[tuple[Route, ...]] = (
    *ajax("GET", "3.0/mlflow/ui-telemetry", "GetUiTelemetry", _TELEMETRY),
    *ajax("POST", "3.0/mlflow/ui-telemetry", "PostUiTelemetry", _TELEMETRY),
    *at_path(
        "GET",
        "/metrics",
        "PrometheusMetrics",
        Refused("MLflow's own exporter is shown as part of workspace-authz's /metrics, and only there."),
        mount=Mount.ROOT,
    ),
)

ROUTES: Final[tuple[Route, ...]] = (
    *_PUBLIC_ROUTES,
    *_WORKSPACE_ROUTES,
    *_DEMO_ROUTES,
    *_TELEMETRY_ROUTES,
)
