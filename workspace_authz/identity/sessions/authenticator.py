"""Callers by the cookie of a session, for people in a browser."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

from workspace_authz.aio.statistics import Statistics
from workspace_authz.errors import UnauthenticatedError
from workspace_authz.identity.authenticator import Authenticator, Presented
from workspace_authz.identity.credentials import AUTHORIZATION
from workspace_authz.identity.sessions.cookies import Cookies
from workspace_authz.identity.sessions.same_origin import demand_same_origin
from workspace_authz.identity.sessions.sessions import ENDED, Sessions
from workspace_authz.kubernetes.credentials import SessionUser
from workspace_authz.types import Caller, Credential

SESSION: Final = "session"
"""The purpose of the cookie."""


@dataclass(frozen=True, slots=True)
class SessionAuthenticator:
    """An :class:`~workspace_authz.identity.authenticator.Authenticator` for sessions. It is the last one.

    ``origins`` are those of this server's pages. ``tokens`` verify tokens that were pasted; ``provided``
    those that a provider gave for the API server, whatever their claims say.
    """

    sessions: Sessions
    cookies: Cookies
    origins: Collection[str]
    tokens: Sequence[Authenticator]
    provided: Sequence[Authenticator]

    @property
    def statistics(self) -> Statistics:
        """See :class:`~workspace_authz.identity.authenticator.Authenticator`."""
        return self.sessions.statistics

    async def authenticate(
        self, presented: Presented, *, unverified: Callable[[Credential], None]
    ) -> Caller | None:
        """See :class:`~workspace_authz.identity.authenticator.Authenticator`.

        Raises also ``ForbiddenError`` for a request that another site's page has made.
        """
        values = self.cookies.find(presented.headers, SESSION)
        if not values:
            return None
        if len(values) > 1:
            raise UnauthenticatedError("This request carries two sessions. Sign out and in again.")
        demand_same_origin(presented.method, presented.headers, origins=self.origins)
        session = await self.sessions.find(values[0])
        identity = session.identity
        if identity.user is not None:
            return Caller(identity.user, SessionUser(session.digest))
        tokens = self.provided if session.provider else self.tokens
        return await _owner(identity.token, presented, tokens=tokens, unverified=unverified)

    def workspaces(self, presented: Presented) -> Sequence[str]:
        """See :class:`~workspace_authz.identity.authenticator.Authenticator`. None."""
        return ()

    async def confirm(self, caller: Caller) -> Caller | None:
        """See :class:`~workspace_authz.identity.authenticator.Authenticator`.

        Raises :class:`UnauthenticatedError` or ``UnavailableError``.
        """
        if not isinstance(caller.credential, SessionUser):
            return None
        session = await self.sessions.current(caller.credential.digest)
        if session.identity.user is None:
            raise UnauthenticatedError(ENDED)
        return Caller(session.identity.user, caller.credential)


async def _owner(
    token: str,
    presented: Presented,
    *,
    tokens: Sequence[Authenticator],
    unverified: Callable[[Credential], None],
) -> Caller:
    """The owner of a token that a session holds. Raises as :meth:`SessionAuthenticator.authenticate`."""
    bearer = ((AUTHORIZATION, b"Bearer " + token.encode("ascii")),)
    by_token = Presented(bearer, peer=presented.peer)
    try:
        for authenticator in tokens:
            caller = await authenticator.authenticate(by_token, unverified=unverified)
            if caller is not None:
                return caller
    except UnauthenticatedError:
        raise UnauthenticatedError(
            "The token of this session is not accepted any more. Sign in again."
        ) from None
    raise UnauthenticatedError(ENDED)
