"""What a running worker consists of."""

from __future__ import annotations

from dataclasses import dataclass

from workspace_authz.bindings.binder import Binder
from workspace_authz.enforcement.pipeline import Pipeline
from workspace_authz.telemetry.audit import AuditSink
from workspace_authz.workspaces.directory import Directory


@dataclass(frozen=True, slots=True)
class Runtime:
    """One worker's parts, already started."""

    pipeline: Pipeline
    audit: AuditSink
    body_bytes: int
    directory: Directory | None
    """The namespaces; None on a server without workspaces."""
    binder: Binder | None = None
    """Which namespace the data of each workspace belong to; None on a server without workspaces."""

    def problems(self) -> list[str]:
        """Why the worker is not ready to serve, as sentences that name no namespace; empty when it is."""
        if self.directory is None:
            return []
        state = self.directory.state
        if state.problem:
            return [state.problem]
        if not state.synced:
            return ["The namespaces have not been listed yet."]
        return [self.binder.problem] if self.binder is not None and self.binder.problem else []
