"""Whether the installed MLflow has what this package uses beside MLflow's public interface.

A release that lacks some of it would end in a traceback or, worse, run with a replacement that nobody calls.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from functools import reduce
from importlib import import_module, metadata
from importlib.util import find_spec
from typing import Final

import click

from workspace_authz.errors import ConfigurationError
from workspace_authz.mlflow_adapter.options import from_parent

TESTED_RELEASES: Final = frozenset({"3.16.1", "3.17.2", "3.18.0"})
"""Releases that have all of it, by our own tests."""

RELIED_ON: Final[Mapping[str, tuple[str, ...]]] = {
    "mlflow.client": ("MlflowClient.create_run",),
    "mlflow.gateway.budget": ("calculate_existing_cost_for_windows",),
    "mlflow.gateway.guardrails": ("send_request",),
    "mlflow.genai.judges.adapters.utils": ("requests.post",),
    "mlflow.genai.judges.structured_judge": ("_resolve_gateway_uri",),
    "mlflow.server.handlers": ("MlflowClient", "_get_user", "_is_server_auth_enabled"),
    "mlflow.store.tracking.dbmodels.models": (
        "SqlExperiment.workspace",
        "SqlJob.params",
        "SqlJob.workspace",
        "SqlRun.run_uuid",
        "SqlTraceInfo.request_id",
    ),
    "mlflow.tracking.context.registry": ("_run_context_provider_registry.register",),
}
"""What no import statement looks for: it is replaced, or reached through something else."""

OPTIONAL_MODULES: Final = frozenset({"mlflow.genai.judges.structured_judge"})
"""Modules of :data:`RELIED_ON` that a release need not have (this one since 3.17)."""


def missing_symbols(
    importers: Sequence[str], relied_on: Mapping[str, tuple[str, ...]] = RELIED_ON
) -> list[str]:
    """What the installed MLflow lacks: first what the modules ``importers`` import, then ``relied_on``.

    Raises ``ImportError`` when something other than MLflow cannot be imported.
    """
    imported = [text for importer in importers for text in _failed_import(importer)]
    return imported or [
        f"{module}.{name}" for module, names in relied_on.items() for name in _missing(module, names)
    ]


def _failed_import(importer: str) -> Iterator[str]:
    try:
        import_module(importer)
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "mlflow":
            raise
        yield str(error).partition(" (")[0]  # without the path


def _missing(module: str, names: Sequence[str]) -> Iterator[str]:
    if module in OPTIONAL_MODULES and find_spec(module) is None:
        return
    imported = import_module(module)
    for name in names:
        try:
            reduce(getattr, name.split("."), imported)
        except AttributeError:
            yield name


def refuse_unknown_mlflow(importers: Sequence[str], *, tested: Container[str] = TESTED_RELEASES) -> None:
    """Stop with one sentence if the installed MLflow lacks something. ``importers`` are modules' names.

    Raises :class:`ConfigurationError`; in the ``mlflow server`` parent ``click.ClickException``. The parent
    does not look at a release that is among ``tested``: that takes as long as the start of a worker, and the
    workers wait for it.
    """
    in_parent, release = from_parent() is not None, metadata.version("mlflow")
    if in_parent and release in tested:
        return
    missing = missing_symbols(importers)
    if not missing:
        return
    message = (
        f"MLflow {release} lacks what workspace-authz relies on ({', '.join(missing)}): "
        "install a release that is supported (pip install 'workspace-authz[server]') "
        "or a newer workspace-authz."
    )
    raise click.ClickException(message) if in_parent else ConfigurationError(message)
