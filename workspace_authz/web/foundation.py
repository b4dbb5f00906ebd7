"""What of MLflow we rely on that is not its public interface, looked for before anything is imported from it.

A release that lacks one of these names would end in a traceback or, worse, run with a replacement that
nobody calls. ``tests/web/test_foundation.py`` holds the list against the imports of the package.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import reduce
from importlib import import_module, metadata
from typing import Final

import click

from workspace_authz.errors import ConfigurationError
from workspace_authz.web.options import from_parent

NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "mlflow.client": ("MlflowClient.create_run",),
    "mlflow.entities": ("Run", "Workspace"),
    "mlflow.exceptions": ("MlflowException",),
    "mlflow.protos": ("mlflow_artifacts_pb2", "model_registry_pb2", "service_pb2", "webhooks_pb2"),
    "mlflow.protos.databricks_pb2": ("RESOURCE_DOES_NOT_EXIST", "TEMPORARILY_UNAVAILABLE"),
    "mlflow.server": ("app", "handlers"),
    "mlflow.server.fastapi_app": ("create_fastapi_app",),
    "mlflow.server.fastapi_security": (
        "CORSBlockingMiddleware",
        "HostValidationMiddleware",
        "get_allowed_origins",
    ),
    "mlflow.server.handlers": (
        "MlflowClient",
        "_get_model_registry_store",
        "_get_request_message",
        "_get_tracking_store",
        "_get_user",
    ),
    "mlflow.server.security_utils": ("CORS_BLOCKED_MSG", "should_block_cors_request"),
    "mlflow.server.workspace_helpers": ("WORKSPACE_HEADER_NAME", "resolve_workspace_for_request_if_enabled"),
    "mlflow.store.model_registry.dbmodels": ("models",),
    "mlflow.store.tracking.dbmodels": ("models",),
    "mlflow.store.tracking.dbmodels.models": (
        "SqlExperiment.workspace",
        "SqlJob.params",
        "SqlJob.workspace",
        "SqlRun.run_uuid",
        "SqlTraceInfo.request_id",
    ),
    "mlflow.store.workspace.abstract_store": ("AbstractStore",),
    "mlflow.tracing.utils": ("generate_mlflow_trace_id_from_otel_trace_id",),
    "mlflow.tracking.context": ("registry",),
    "mlflow.tracking.context.abstract_context": ("RunContextProvider",),
    "mlflow.tracking.context.default_context": ("_get_user",),
    "mlflow.tracking.context.registry": ("_run_context_provider_registry.register",),
    "mlflow.utils": ("search_utils",),
    "mlflow.utils.workspace_context": ("clear_server_request_workspace", "set_server_request_workspace"),
    "mlflow.utils.workspace_utils": ("DEFAULT_WORKSPACE_NAME",),
}
"""Names by module; those after a dot are the attributes of the one before."""


def lacking(needed: Mapping[str, tuple[str, ...]] = NEEDED) -> list[str]:
    """What the installed MLflow does not have."""
    return [f"{module}.{name}" for module, names in needed.items() for name in _missing(module, names)]


def _missing(module: str, names: tuple[str, ...]) -> Iterator[str]:
    try:
        imported = import_module(module)
    except ImportError:
        yield from names
        return
    for name in names:
        try:
            reduce(getattr, name.split("."), imported)
        except AttributeError:
            yield name


def refuse_unknown_mlflow(needed: Mapping[str, tuple[str, ...]] = NEEDED) -> None:
    """Raise :class:`ConfigurationError` (click's in the ``mlflow server`` parent) if anything is missing."""
    missing = lacking(needed)
    if not missing:
        return
    message = (
        f"MLflow {metadata.version('mlflow')} lacks what workspace-authz relies on ({', '.join(missing)}): "
        "install a release that is supported (pip install 'workspace-authz[server]') "
        "or a newer workspace-authz."
    )
    raise ConfigurationError(message) if from_parent() is None else click.ClickException(message)
