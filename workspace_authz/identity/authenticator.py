"""How callers are authenticated: an authenticator per kind of credential, and a chain that asks them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from workspace_authz.aio.statistics import Statistics
from workspace_authz.errors import UnauthenticatedError
from workspace_authz.identity.credentials import HOW_TO, what_came
from workspace_authz.types import Caller, Credential


@dataclass(frozen=True, slots=True)
class Presented:
    """What an authenticator looks at in a request."""

    headers: Sequence[tuple[bytes, bytes]]
    """Names in lower case."""
    peer: str = ""
    """The client's address; empty where there is none."""
    gateway: bool = False
    """The route is one of MLflow's AI gateway."""
    method: str = "GET"


class Authenticator(Protocol):
    """Authenticates callers by one kind of credential."""

    async def authenticate(
        self, presented: Presented, *, unverified: Callable[[Credential], None]
    ) -> Caller | None:
        """The caller, or None when the request presents no credential of this kind.

        ``unverified`` is called with a credential whose owner is not known yet, before the API server is
        asked who that is, so that a review can be prefetched with it. It is not called for a client address
        from which credentials were rejected lately.

        Raises ``UnauthenticatedError`` for a bad credential, ``TooManyRequestsError`` after too many of them,
        and ``UnavailableError`` when the API server gives no answer.
        """

    def workspaces(self, presented: Presented) -> Sequence[str]:
        """The workspaces that credentials of this kind name. Nothing is verified."""

    async def confirm(self, caller: Caller) -> Caller | None:
        """``caller`` as they are now, if their credential still holds; None for another kind of credential.

        Raises ``UnauthenticatedError`` when it does not hold any more, and ``UnavailableError`` when the API
        server gives no answer.
        """

    @property
    def statistics(self) -> Statistics:
        """The caches and the shared questions of this authenticator."""


@dataclass(frozen=True, slots=True)
class AuthenticatorChain:
    """Asks authenticators in order. The first one that does not answer None decides."""

    authenticators: tuple[Authenticator, ...]
    advice: str = HOW_TO
    """How a caller gets a credential, as sentences."""
    headers: frozenset[bytes] = frozenset()
    """Headers that authenticators read and that are for this server only, in lower case, with hyphens. Those
    of tokens are known everywhere and not among them."""

    async def authenticate(self, presented: Presented, *, unverified: Callable[[Credential], None]) -> Caller:
        """The caller. See :meth:`Authenticator.authenticate`.

        Raises also :class:`UnauthenticatedError` when the request presents no credential of any kind.
        """
        for authenticator in self.authenticators:
            caller = await authenticator.authenticate(presented, unverified=unverified)
            if caller is not None:
                return caller
        came = what_came(presented.headers, gateway=presented.gateway)
        raise UnauthenticatedError(
            " ".join(filter(None, ("This request carries no Kubernetes token.", came, self.advice)))
        )

    def workspaces(self, presented: Presented) -> Sequence[str]:
        """What credentials of all kinds name. See :meth:`Authenticator.workspaces`."""
        named = (name for each in self.authenticators for name in each.workspaces(presented))
        return list(dict.fromkeys(named))

    async def confirm(self, caller: Caller) -> Caller:
        """``caller`` as they are now. See :meth:`Authenticator.confirm`.

        Raises also :class:`UnauthenticatedError` when no authenticator knows this kind of credential.
        """
        for authenticator in self.authenticators:
            confirmed = await authenticator.confirm(caller)
            if confirmed is not None:
                return confirmed
        raise UnauthenticatedError(
            f"This server does not accept the credential of this request. {self.advice}"
        )

    @property
    def statistics(self) -> tuple[Statistics, ...]:
        """Those of every authenticator."""
        return tuple(authenticator.statistics for authenticator in self.authenticators)
