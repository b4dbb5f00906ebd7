"""The state of every workspace for an administrator, from its claim, its data and its namespace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from workspace_authz.tenancy.claims import Claim


class State(StrEnum):
    """What a server does with a workspace."""

    CLAIMED = "claimed"
    """The data belong to the present namespace. The server serves the workspace."""
    UNCLAIMED = "unclaimed"
    """It has data and no claim. A server makes one when it starts."""
    TERMINATING = "terminating"
    """Its namespace is being deleted."""
    CLOSED = "closed"
    """The data belong to another namespace: the present one was made again, or is in another cluster."""
    ORPHAN = "orphan"
    """There is no namespace."""


@dataclass(frozen=True, slots=True)
class ClusterNamespace:
    """A namespace that the cluster has."""

    uid: str
    terminating: bool = False
    """It is being deleted."""


@dataclass(frozen=True, slots=True)
class WorkspaceStatus:
    """All that is known of one workspace."""

    workspace: str
    claim: Claim | None
    namespace: ClusterNamespace | None
    objects: Mapping[str, int]
    """How many objects of each kind it holds; kinds without any are left out."""

    @property
    def state(self) -> State:
        """The state that follows from claim and namespace."""
        if self.namespace is None:
            return State.ORPHAN
        if self.namespace.terminating:
            return State.TERMINATING
        if self.claim is None:
            return State.UNCLAIMED
        return State.CLAIMED if self.claim.uid == self.namespace.uid else State.CLOSED


def workspace_statuses(
    *,
    claims: Mapping[str, Claim],
    namespaces: Mapping[str, ClusterNamespace],
    objects: Mapping[str, Mapping[str, int]],
) -> list[WorkspaceStatus]:
    """Every workspace that is claimed or holds data, sorted by name. All three mappings are by workspace."""
    return [
        WorkspaceStatus(
            workspace=name,
            claim=claims.get(name),
            namespace=namespaces.get(name),
            objects=objects.get(name, {}),
        )
        for name in sorted({*claims, *objects})
    ]
