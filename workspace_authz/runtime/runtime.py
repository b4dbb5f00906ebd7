"""What a running worker consists of."""

from __future__ import annotations

from dataclasses import dataclass

from workspace_authz.authorizer.rbac.follower import RbacFollower
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
    rbac: RbacFollower | None = None
    """Roles and bindings; None where nothing follows them."""

    def problems(self) -> list[str]:
        """Why the worker is not ready to serve, as sentences that name no namespace; empty when it is."""
        if self.directory is None:
            return []
        state = self.directory.state
        if state.problem:
            return [state.problem]
        return [] if state.synced else ["The namespaces have not been listed yet."]

    def notes(self) -> list[str]:
        """What an operator should know of a worker that serves, as sentences that name no namespace."""
        if self.rbac is None or not self.rbac.problems:
            return []
        return [
            *self.rbac.problems,
            "Until then a decision holds for the settings allow_seconds and deny_seconds.",
        ]
