"""What a worker reads from the cluster with the server's own credential."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from workspace_authz.aio.clock import Clock
from workspace_authz.aio.supervisor import Supervisor
from workspace_authz.authorizer.generations import Generations
from workspace_authz.authorizer.rbac.index import RbacIndex
from workspace_authz.authorizer.rbac.source import RbacSource
from workspace_authz.authorizer.rbac.watcher import RbacWatcher
from workspace_authz.kubernetes.api_probe import ApiServerProbe
from workspace_authz.kubernetes.connection import Connection
from workspace_authz.kubernetes.informer_state import InformerState
from workspace_authz.runtime.health import Check, informer_problem
from workspace_authz.runtime.own_reviews import OwnReviews
from workspace_authz.runtime.worker_config import WorkerConfig
from workspace_authz.workspaces.artifact_roots import artifact_buckets
from workspace_authz.workspaces.directory import Directory
from workspace_authz.workspaces.root_watcher import ArtifactRoots


@dataclass(frozen=True, slots=True)
class Cluster:
    """The cluster's namespaces, its RBAC objects, and whether the API server answers."""

    directory: Directory | None
    """The namespaces that are workspaces; None on a server without workspaces."""
    generations: Generations
    index: RbacIndex
    rbac: RbacWatcher
    rights: RbacSource | None
    """Where callers could hold rights by RBAC; None where another authorizer may grant rights too."""
    api_probe: ApiServerProbe
    roots: ArtifactRoots | None = None
    """The artifact roots that namespaces choose; None where they choose none."""
    own: OwnReviews | None = None
    """What the server asks about callers with its own account; None where it asks nothing."""

    def follow(self, supervisor: Supervisor) -> None:
        """Start to watch the cluster in background tasks. Waits for no answer."""
        if self.directory is not None:
            supervisor.run("namespaces", self.directory.run)
        if self.roots is not None:
            supervisor.run("artifact_roots", self.roots.run)
        supervisor.run("rbac", self.rbac.run)
        supervisor.run("api_probe", self.api_probe.run)
        if self.own is not None:
            supervisor.run("own_rights", self.own.rights.run)

    def checks(self) -> dict[str, Check]:
        """The checks of the cluster: each returns what keeps the worker from serving."""
        checks: dict[str, Check] = {"kubernetes-api": lambda: self.api_probe.problem}
        if (directory := self.directory) is not None:
            checks["namespaces"] = lambda: informer_problem(directory.state, "The namespaces")
        if (roots := self.roots) is not None:
            checks["artifact-roots"] = lambda: roots.problem
        if (own := self.own) is not None:
            checks["own-reviews"] = lambda: own.rights.problem
        return checks

    def informers(self) -> dict[str, InformerState]:
        """The state of each informer, by resource."""
        namespaces = {"namespaces": self.directory.state} if self.directory else {}
        return {**namespaces, **(self.roots.states if self.roots else {}), **self.rbac.states}

    def notes(self) -> Sequence[str]:
        """What an operator should know of a worker that serves nevertheless."""
        return (*self.rbac.notes(), *(self.roots.notes() if self.roots else ()))


def cluster_over(
    connection: Connection, config: WorkerConfig, *, own: OwnReviews | None = None, clock: Clock
) -> Cluster:
    """The cluster behind ``connection``, not watched yet."""
    generations, index = Generations(time.monotonic), RbacIndex()
    rbac = RbacWatcher(
        connection,
        generations=generations,
        index=index,
        clock=clock,
        namespace=config.single_namespace,
    )
    rbac_only = config.settings.workspace_candidates == "rbac"
    return Cluster(
        directory=Directory(connection, config.policy, clock=clock) if config.policy else None,
        generations=generations,
        index=index,
        rbac=rbac,
        rights=RbacSource(index, generations) if rbac_only else None,
        api_probe=ApiServerProbe(connection, clock=clock),
        roots=_roots(connection, config, clock=clock),
        own=own,
    )


def _roots(connection: Connection, config: WorkerConfig, *, clock: Clock) -> ArtifactRoots | None:
    """They matter in MLflow's own process, where experiments are made."""
    buckets = artifact_buckets(config.settings.artifact_buckets)
    if buckets is None or config.policy is None or config.mlflow is not None:
        return None
    return ArtifactRoots(connection, buckets, clock=clock)
