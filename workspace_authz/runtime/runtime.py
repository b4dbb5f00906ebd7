"""The parts of a running worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from workspace_authz.aio.fair_share import FairShare
from workspace_authz.history.history import History
from workspace_authz.pipeline.pipeline import Pipeline
from workspace_authz.runtime.handler_threads import fair_share
from workspace_authz.runtime.health import Health
from workspace_authz.runtime.metrics_page import MetricsPage
from workspace_authz.runtime.people import People
from workspace_authz.runtime.sign_in import BrowserSessions
from workspace_authz.settings.settings import Settings
from workspace_authz.telemetry.audit import AuditSink
from workspace_authz.telemetry.metrics import Metrics, NoMetrics
from workspace_authz.workspaces.directory import Directory
from workspace_authz.workspaces.root_watcher import ArtifactRoots


@dataclass(frozen=True, slots=True)
class Runtime:
    """One worker's parts. They have been started already."""

    pipeline: Pipeline
    audit: AuditSink
    body_bytes: int
    """The largest request body that is read."""
    directory: Directory | None
    """The namespaces that are workspaces; None on a server without workspaces."""
    metrics: Metrics = field(default_factory=NoMetrics)
    health: Health = field(default_factory=Health)
    metrics_page: MetricsPage | None = None
    """None where nothing is counted."""
    request_bytes: int = Settings.model_construct().request_bytes
    """The largest request body that is handed on, except in an upload of an artifact."""
    obstacle: Callable[[], str | None] = lambda: None
    """Why no request can be judged at all, as a sentence."""
    share: FairShare = field(default_factory=lambda: fair_share(Settings.model_construct()))
    """Shares the threads of MLflow's handlers."""
    browser: BrowserSessions | None = None
    """The sessions of people in a browser; None where nobody signs in."""
    people: People | None = None
    """For people who look at permissions; None where RBAC is not at hand."""
    history: History | None = None
    """Keeps what was decided, for the audit page; None where nothing is kept."""
    artifact_roots: ArtifactRoots | None = None
    """The artifact roots that namespaces choose; None where they choose none."""
