"""What a worker knows and does for people who look at permissions: their own, and each other's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workspace_authz.authorizer.generations import Generations
from workspace_authz.authorizer.rbac.index import RbacIndex
from workspace_authz.identity.audiences import Audiences
from workspace_authz.kubernetes.objects import CallersObjects
from workspace_authz.kubernetes.reviews import Reviews


@dataclass(frozen=True, slots=True)
class People:
    """Who holds what, and the way to the API server for what people do with their own token."""

    index: RbacIndex
    generations: Generations
    objects: CallersObjects
    """The Kubernetes API as a caller, with the caller's own token."""
    rbac_only: bool
    """Whether no other authorizer grants rights, so that the index knows all of them."""

    reviews: Reviews
    """Asked with the token of a caller, or with a new one."""
    audiences: Audiences
    """Of this server."""
    origins: Sequence[str] = ()
    """Where people reach this server, as an operator has said."""

    @property
    def follows_rbac(self) -> bool:
        """Whether the index is up to date."""
        return self.generations.followed_since is not None
