"""The options of ``mlflow server``, as its parent process and its workers see them.

MLflow 3.17.2 tells the parent through click's context and the workers through environment variables
(``mlflow.server._run_server``).
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

import click

_TRUE: Final = frozenset({"true", "1"})
_DEFAULT_WORKERS: Final = 4
_DATABASES: Final = {
    "backend_store_uri": ("The database", "_MLFLOW_SERVER_FILE_STORE"),
    "registry_store_uri": ("The model registry's database", "_MLFLOW_SERVER_REGISTRY_STORE"),
    "read_replica_backend_store_uri": (
        "The database's read replica",
        "_MLFLOW_SERVER_READ_REPLICA_BACKEND_STORE",
    ),
}
"""MLflow's options, what they are called in sentences, and the variables of workers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """The options of the server that the guard depends on."""

    server: str
    """``uvicorn``, ``gunicorn`` or ``waitress``."""
    workspaces: bool
    workspace_store_uri: str | None
    static_prefix: str
    serve_artifacts: bool
    artifacts_only: bool
    workers: int = 1
    """How many processes will serve. Only the parent knows."""
    http: str | None = None
    """uvicorn's ``--http`` as the command line gives it. Only the parent knows."""
    proxy_headers: bool | None = None
    """uvicorn's ``--proxy-headers`` as the command line gives it, None without it. Only the parent knows."""
    artifact_root: str | None = None
    """Where MLflow puts new artifacts (``--default-artifact-root``). None where MLflow chooses."""
    artifacts_destination: str | None = None
    """Where the server keeps artifacts for its clients (``--artifacts-destination``)."""
    databases: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The URIs of MLflow's stores, by what they are called. They may hold passwords."""


def from_parent() -> ServerOptions | None:
    """The options of the ``mlflow server`` command that runs in this process; None in any other process."""
    context = click.get_current_context(silent=True)
    if context is None or "gunicorn_opts" not in context.params:
        return None
    return _from_parameters(context.params)


def _from_parameters(parameters: Mapping[str, Any]) -> ServerOptions:
    server = "uvicorn"
    if parameters.get("gunicorn_opts") is not None:
        server = "gunicorn"
    elif parameters.get("waitress_opts") is not None:
        server = "waitress"
    return ServerOptions(
        server=server,
        workspaces=bool(parameters.get("enable_workspaces")),
        workspace_store_uri=parameters.get("workspace_store_uri"),
        static_prefix=parameters.get("static_prefix") or "",
        serve_artifacts=bool(parameters.get("serve_artifacts", True)),
        artifacts_only=bool(parameters.get("artifacts_only")),
        workers=_workers(parameters),
        http=_http(parameters),
        proxy_headers=_proxy_headers(parameters),
        artifact_root=parameters.get("default_artifact_root"),
        artifacts_destination=parameters.get("artifacts_destination"),
        databases=_databases({name: parameters.get(name) for name in _DATABASES}),
    )


def _workers(parameters: Mapping[str, Any]) -> int:
    """As ``_run_server`` and uvicorn count: four by default, one with ``--reload``."""
    reloads = parameters.get("dev") or "--reload" in (parameters.get("uvicorn_opts") or "").split()
    return 1 if reloads else parameters.get("workers") or _DEFAULT_WORKERS


def _http(parameters: Mapping[str, Any]) -> str | None:
    """As uvicorn reads it: ``--http VALUE`` or ``--http=VALUE``, and the last one counts."""
    options = shlex.split(parameters.get("uvicorn_opts") or "")
    chosen = None
    for option, following in pairwise([*options, ""]):
        if option == "--http":
            chosen = following
        elif option.startswith("--http="):
            chosen = option.removeprefix("--http=")
    return chosen


def _proxy_headers(parameters: Mapping[str, Any]) -> bool | None:
    """As uvicorn reads it: the last one of a flag and its opposite counts."""
    flags = {"--proxy-headers": True, "--no-proxy-headers": False}
    given = [flags[option] for option in shlex.split(parameters.get("uvicorn_opts") or "") if option in flags]
    return given[-1] if given else None


def from_environment(environ: Mapping[str, str]) -> ServerOptions:
    """The options of the server that this process is a worker of."""

    def flag(name: str) -> bool:
        return environ.get(name, "").lower() in _TRUE

    return ServerOptions(
        server=environ.get("_MLFLOW_SGI_NAME", "uvicorn"),
        workspaces=flag("MLFLOW_ENABLE_WORKSPACES"),
        workspace_store_uri=environ.get("MLFLOW_WORKSPACE_STORE_URI"),
        static_prefix=environ.get("_MLFLOW_STATIC_PREFIX", ""),
        serve_artifacts=flag("_MLFLOW_SERVER_SERVE_ARTIFACTS"),
        artifacts_only=flag("_MLFLOW_SERVER_ARTIFACTS_ONLY"),
        artifact_root=environ.get("_MLFLOW_SERVER_ARTIFACT_ROOT"),
        artifacts_destination=environ.get("_MLFLOW_SERVER_ARTIFACT_DESTINATION"),
        databases=_databases({name: environ.get(variable) for name, (_, variable) in _DATABASES.items()}),
    )


def _databases(given: Mapping[str, str | None]) -> Mapping[str, str]:
    return {_DATABASES[name][0]: uri for name, uri in given.items() if uri}
