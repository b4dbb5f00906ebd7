"""The parts of a running worker."""

from __future__ import annotations

from dataclasses import dataclass, field

from workspace_authz.pipeline.pipeline import Pipeline
from workspace_authz.runtime.health import Health
from workspace_authz.runtime.metrics_page import MetricsPage
from workspace_authz.telemetry.audit import AuditSink
from workspace_authz.telemetry.metrics import Metrics, NoMetrics
from workspace_authz.workspaces.directory import Directory


@dataclass(frozen=True, slots=True)
class Runtime:
    """One worker's parts. They have been started already."""

    pipeline: Pipeline
    audit: AuditSink
    body_bytes: int
    """The largest request body in which names are looked for."""
    directory: Directory | None
    """The namespaces that are workspaces; None on a server without workspaces."""
    metrics: Metrics = field(default_factory=NoMetrics)
    health: Health = field(default_factory=Health)
    metrics_page: MetricsPage | None = None
    """None where nothing is counted."""
