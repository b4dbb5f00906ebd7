"""The app of ``workspace-authz serve``: the door for proxies, with probes, metrics and audit."""

from __future__ import annotations

import logging
import os
from functools import partial
from typing import Final

from workspace_authz.aio.asgi import App
from workspace_authz.catalog.compile import CompiledCatalog, compile_catalog
from workspace_authz.doors.certificate import CertificateMiddleware, count_reload
from workspace_authz.doors.forward_auth.door import ForwardAuthDoor
from workspace_authz.doors.forward_auth.senders import senders_of
from workspace_authz.doors.lifespan import BackgroundMiddleware
from workspace_authz.doors.metrics import MetricsMiddleware
from workspace_authz.doors.probes import ProbesMiddleware
from workspace_authz.doors.request_head import RequestHeadMiddleware
from workspace_authz.errors import ConfigurationError
from workspace_authz.mlflow_adapter.compat import find_gaps, refused_operations
from workspace_authz.mlflow_adapter.inventory import installed_app, uncovered_routes
from workspace_authz.mlflow_adapter.relied_on import PATCHED
from workspace_authz.mlflow_adapter.remote.client import MlflowAddress
from workspace_authz.restrictions.shared_sources import refuse_overlap, shared_sources
from workspace_authz.runtime import process
from workspace_authz.runtime.build import running
from workspace_authz.runtime.worker_config import WorkerConfig
from workspace_authz.settings.settings import Settings, load_settings, resolve_single_namespace
from workspace_authz.telemetry.workers import worker_registry_of
from workspace_authz.workspaces.artifact_roots import artifact_buckets
from workspace_authz.workspaces.policy import NamespacePolicy

_NOT_PATCHED: Final = (
    "Refused here: workspace-authz makes this operation safe within MLflow's own process, and the MLflow "
    "behind this proxy runs without it."
)

_log = logging.getLogger(__name__)


def create_app() -> App:
    """The ASGI app that uvicorn serves. Raises :class:`ConfigurationError`."""
    settings = load_settings()
    door = ForwardAuthDoor(judge=process.require, senders=senders_of(settings))
    measured = MetricsMiddleware(door, static_prefix="", runtime=process.require)
    probed = ProbesMiddleware(measured, static_prefix="", runtime=process.current)
    kept = BackgroundMiddleware(probed, partial(running, _config(settings)))
    return RequestHeadMiddleware(CertificateMiddleware(kept, on_load=count_reload), runtime=process.current)


def _config(settings: Settings) -> WorkerConfig:
    if settings.sign_in_configuration is not None:
        raise ConfigurationError(
            "WORKSPACE_AUTHZ_SESSION_KEYS is set, but sessions are kept in MLflow's database, which "
            "`workspace-authz serve` has not: unset it, and let a proxy sign people in."
        )
    single = resolve_single_namespace(settings, mlflow_workspaces=not settings.namespace)
    buckets = artifact_buckets(settings.artifact_buckets)
    refuse_overlap(
        shared_sources(settings.model_sources),
        roots=(settings.mlflow_artifact_root, *(buckets.roots if buckets else ())),
    )
    catalog = catalog_of(settings)
    return WorkerConfig(
        settings=settings,
        catalog=catalog,
        single_namespace=single,
        policy=_policy(settings) if single is None else None,
        workers=worker_registry_of(os.environ),
        artifact_root=settings.mlflow_artifact_root,
        mlflow=MlflowAddress("".join(settings.mlflow_origin), settings.mlflow_token_file),
    )


def _policy(settings: Settings) -> NamespacePolicy:
    return NamespacePolicy.from_uri(
        "kubernetes://",
        label_selector=settings.workspace_label_selector,
        default_workspace=settings.default_workspace,
        namespace_exclude_globs=settings.namespace_exclude_globs,
    )


def catalog_of(settings: Settings) -> CompiledCatalog:
    """The rules for the MLflow that is installed here, which must be of the same release as the other.

    What patches in MLflow's process protect is refused to everybody. Raises :class:`ConfigurationError`.
    """
    gaps = find_gaps()
    for gap in gaps:
        _log.warning("%s", gap)
    refused = {**refused_operations(gaps), **dict.fromkeys(PATCHED, _NOT_PATCHED)}
    catalog = compile_catalog(static_prefix=settings.mlflow_origin[1], refused=refused)
    uncovered = uncovered_routes(installed_app(), catalog)
    for route in uncovered:
        _log.warning("no rule covers %s: it is refused", route)
    if settings.strict and (uncovered or gaps):
        raise ConfigurationError(
            "WORKSPACE_AUTHZ_STRICT is set, and MLflow has a route without a rule or lacks what is relied on."
        )
    return catalog.without(uncovered)
