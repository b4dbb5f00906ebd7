"""What a running worker consists of."""

from __future__ import annotations

from dataclasses import dataclass, field

from workspace_authz.pipeline.pipeline import Pipeline
from workspace_authz.runtime.health import Health
from workspace_authz.runtime.scrape import Scrape
from workspace_authz.telemetry.audit import AuditSink
from workspace_authz.telemetry.metrics import Metrics, NoMetrics
from workspace_authz.workspaces.directory import Directory


@dataclass(frozen=True, slots=True)
class Runtime:
    """One worker's parts, already started."""

    pipeline: Pipeline
    audit: AuditSink
    body_bytes: int
    directory: Directory | None
    """The namespaces; None on a server without workspaces."""
    metrics: Metrics = field(default_factory=NoMetrics)
    health: Health = field(default_factory=Health)
    scrape: Scrape | None = None
    """Shows the metrics; None where nothing is counted."""
