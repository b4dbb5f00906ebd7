"""What a worker knows and does for people who look at permissions: their own, and each other's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from workspace_authz.aio.fair_share import FairShare, Shares
from workspace_authz.authorizer.generations import Generations
from workspace_authz.authorizer.rbac.index import RbacIndex
from workspace_authz.identity.audiences import Audiences
from workspace_authz.kubernetes.callers_objects import CallersObjects, ImpersonatedObjects
from workspace_authz.kubernetes.objects import Objects
from workspace_authz.kubernetes.reviews import Reviews
from workspace_authz.types import Caller

PLACES: Final = 8
"""Connections of a worker over which people read and write objects: nobody's reviews wait for them."""
_SHARES: Final = Shares(total=PLACES, caller=2, workspace=4, waiting=10, waiting_seconds=4.0)
_LOOKS: Final = Shares(total=16, caller=2, workspace=6, waiting=10, waiting_seconds=4.0)


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
    identity_seconds: float = 15.0
    """How long this server remembers the owner of a token."""
    share: FairShare = field(default_factory=lambda: FairShare(_SHARES))
    """Of the connections over which people read and write objects."""
    looks: FairShare = field(default_factory=lambda: FairShare(_LOOKS))
    """Of the requests that ask who holds what."""

    impersonated: ImpersonatedObjects | None = None
    """The Kubernetes API as callers without such a token; None unless an operator has turned it on."""

    @property
    def follows_rbac(self) -> bool:
        """Whether the index is up to date."""
        return self.generations.followed_since is not None

    def granting(self, caller: Caller) -> Objects | None:
        """The Kubernetes API as ``caller``, for what they grant; None where they must do it themselves.

        Raises ``ForbiddenError`` where the server must not act as them.
        """
        objects = self.objects.of(caller)
        if objects is None and self.impersonated is not None:
            return self.impersonated.of(caller)
        return objects
