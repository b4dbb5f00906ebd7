"""What a worker knows of the cluster by itself, with the server's own credential."""

from __future__ import annotations

import time
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
from workspace_authz.runtime.health import Check, following
from workspace_authz.runtime.worker_config import WorkerConfig
from workspace_authz.workspaces.directory import Directory


@dataclass(frozen=True, slots=True)
class Cluster:
    """Its namespaces, its roles and bindings, and whether it answers at all."""

    directory: Directory | None
    """The namespaces; None on a server without workspaces."""
    generations: Generations
    rbac: RbacWatcher
    rights: RbacSource | None
    """Where callers could hold rights; None where roles and bindings do not tell everything."""
    api_probe: ApiServerProbe

    def follow(self, supervisor: Supervisor) -> None:
        """Begin, in the background. Nothing here waits for an answer."""
        if self.directory is not None:
            supervisor.run("namespaces", self.directory.run)
        supervisor.run("rbac", self.rbac.run)
        supervisor.run("api_probe", self.api_probe.run)

    def checks(self) -> dict[str, Check]:
        """What keeps the worker from serving, as far as the cluster goes."""
        checks: dict[str, Check] = {"kubernetes-api": lambda: self.api_probe.problem}
        if (directory := self.directory) is not None:
            checks["namespaces"] = lambda: following(directory.state, "The namespaces")
        return checks

    def informers(self) -> dict[str, InformerState]:
        """How well each resource is being followed, by its name."""
        namespaces = {"namespaces": self.directory.state} if self.directory else {}
        return {**namespaces, **self.rbac.states}


def cluster_over(connection: Connection, blueprint: WorkerConfig, clock: Clock) -> Cluster:
    """The cluster behind ``connection``, not followed yet."""
    generations, index = Generations(time.monotonic), RbacIndex()
    rbac = RbacWatcher(
        connection,
        generations=generations,
        index=index,
        clock=clock,
        namespace=blueprint.single_namespace,
    )
    rbac_only = blueprint.settings.workspace_candidates == "rbac"
    return Cluster(
        directory=Directory(connection, blueprint.policy, clock=clock) if blueprint.policy else None,
        generations=generations,
        rbac=rbac,
        rights=RbacSource(index, generations) if rbac_only else None,
        api_probe=ApiServerProbe(connection, clock=clock),
    )
