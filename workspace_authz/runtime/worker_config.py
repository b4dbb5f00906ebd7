"""The configuration of one worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from workspace_authz.catalog.compile import CompiledCatalog
from workspace_authz.mlflow_adapter.remote.client import MlflowAddress
from workspace_authz.settings.settings import Settings
from workspace_authz.telemetry.workers import WorkerRegistry
from workspace_authz.workspaces.policy import NamespacePolicy
from workspace_authz.workspaces.requested import WorkspaceRule


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """Everything that is decided before the event loop runs."""

    settings: Settings
    catalog: CompiledCatalog
    single_namespace: str | None
    """The one namespace of a server without workspaces; None on a server with workspaces."""
    policy: NamespacePolicy | None
    """Which namespaces are workspaces; None on a server without workspaces."""
    workers: WorkerRegistry
    """The workers of this server."""
    uncovered_routes: int = 0
    """How many of MLflow's routes have no rule."""
    missing_functions: int = 0
    """How much of what is relied on MLflow lacks."""
    artifact_root: str | None = None
    """MLflow's default artifact root."""
    artifacts_destination: str | None = None
    """Where the server keeps artifacts for its clients; None where it does not."""
    databases: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The URIs of MLflow's stores, by what they are called."""
    mlflow: MlflowAddress | None = None
    """Where MLflow runs; None in MLflow's own process."""
    origins: Sequence[str] = ()
    """Those of the server's public URLs, as browsers write them."""
    static_prefix: str = ""
    """What stands before all of MLflow's paths."""

    @property
    def writes_caller(self) -> bool:
        """Whether the caller is written where MLflow records a person."""
        return self.mlflow is None or self.settings.forward_auth_stamps == "demanded"

    @property
    def rule(self) -> WorkspaceRule:
        """How the workspace of a request is found."""
        return WorkspaceRule(
            single=self.single_namespace,
            default=self.policy.default_workspace if self.policy else None,
            service_account=self.settings.service_account_workspace,
        )
