"""What every door needs of the running process."""

from __future__ import annotations

from typing import Protocol

from workspace_authz.pipeline.pipeline import Pipeline
from workspace_authz.telemetry.audit import AuditSink
from workspace_authz.telemetry.metrics import Metrics


class Judge(Protocol):
    """Judges requests, and keeps account of it."""

    @property
    def pipeline(self) -> Pipeline:
        """Judges requests."""

    @property
    def audit(self) -> AuditSink:
        """Takes one record per request."""

    @property
    def metrics(self) -> Metrics:
        """Counts requests and decisions."""

    @property
    def body_bytes(self) -> int:
        """The largest body that is read."""
