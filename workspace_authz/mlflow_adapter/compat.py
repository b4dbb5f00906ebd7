"""What of MLflow we rely on beside its public interface, looked for before a server starts.

A release that lacks something would end in a traceback or, worse, run with a replacement that nobody calls.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from functools import reduce
from importlib import import_module, metadata
from typing import Final

import click

from workspace_authz.errors import ConfigurationError
from workspace_authz.mlflow_adapter.options import from_parent

APP: Final = "workspace_authz.doors.assembly"
"""Imports everything that a guarded server imports from MLflow."""

KNOWN: Final = frozenset({"3.16.1", "3.17.2"})
"""Releases that have all of it, by our own tests."""

TOUCHED: Final[Mapping[str, tuple[str, ...]]] = {
    "mlflow.client": ("MlflowClient.create_run",),
    "mlflow.gateway.guardrail_utils": ("get_server_base_url",),
    "mlflow.gateway.guardrails": ("send_request",),
    "mlflow.genai.judges.adapters.utils": ("requests.post",),
    "mlflow.server.handlers": ("MlflowClient", "_get_user"),
    "mlflow.store.tracking.dbmodels.models": (
        "SqlExperiment.workspace",
        "SqlJob.params",
        "SqlJob.workspace",
        "SqlRun.run_uuid",
        "SqlTraceInfo.request_id",
    ),
    "mlflow.tracking.context.registry": ("_run_context_provider_registry.register",),
}
"""What no import statement looks for: replaced, or reached by way of something else."""


def lacking(importers: Sequence[str] = (APP,), touched: Mapping[str, tuple[str, ...]] = TOUCHED) -> list[str]:
    """What the installed MLflow does not have."""
    imported = [text for module in importers for text in _not_imported(module)]
    return imported or [
        f"{module}.{name}" for module in touched for name in _missing(module, touched[module])
    ]


def _not_imported(module: str) -> Iterator[str]:
    try:
        import_module(module)
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "mlflow":
            raise
        yield str(error).partition(" (")[0]  # without the path


def _missing(module: str, names: Sequence[str]) -> Iterator[str]:
    imported = import_module(module)
    for name in names:
        try:
            reduce(getattr, name.split("."), imported)
        except AttributeError:
            yield name


def refuse_unknown_mlflow(known: Container[str] = KNOWN) -> None:
    """Raise :class:`ConfigurationError` (click's in the ``mlflow server`` parent) if anything is missing.

    The parent trusts what is known: to look takes as long as the workers' own start, which waits for it.
    """
    in_parent, release = from_parent() is not None, metadata.version("mlflow")
    if in_parent and release in known:
        return
    missing = lacking()
    if not missing:
        return
    message = (
        f"MLflow {release} lacks what workspace-authz relies on ({', '.join(missing)}): "
        "install a release that is supported (pip install 'workspace-authz[server]') "
        "or a newer workspace-authz."
    )
    raise click.ClickException(message) if in_parent else ConfigurationError(message)
