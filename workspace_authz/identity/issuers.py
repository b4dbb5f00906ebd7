"""Callers by an ID token of an issuer that the API server does not trust, and this server does.

People get one from ``workspace-authz login``. Nobody can ask the API server for anything with it. The server
verifies it itself, and their reviews are asked by the server's own account, about the name and the groups.

The unverified claim ``iss`` of a JWT chooses who verifies a token, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from workspace_authz.aio.statistics import Statistics
from workspace_authz.errors import UnauthenticatedError
from workspace_authz.identity.authenticator import Presented
from workspace_authz.identity.credentials import claimed_issuer
from workspace_authz.identity.verified_tokens import Questions, TokenRules, VerifiedTokens
from workspace_authz.kubernetes.credentials import IssuerToken
from workspace_authz.types import Caller, Credential, UserInfo

_REJECTED: Final = (
    "This ID token is not accepted here: it has expired, was made for another client, or was not signed by "
    "its issuer. Run `workspace-authz login`."
)


class TokenIssuer(Protocol):
    """An issuer whose tokens this server verifies."""

    async def owner(self, token: str) -> UserInfo:
        """The owner of a token.

        Raises ``UnauthenticatedError`` for a token that does not count, ``ForbiddenError`` for somebody who
        may not sign in, and ``UnavailableError`` when the issuer's keys cannot be had.
        """


class IssuerAuthenticator:
    """An :class:`~workspace_authz.identity.authenticator.Authenticator` for tokens of ``issuers``.

    They are by the name that their tokens have in ``iss``. A token of another issuer is not its own.
    """

    def __init__(self, issuers: Mapping[str, TokenIssuer], rules: TokenRules) -> None:
        self._issuers = issuers
        self._rules = rules
        self._tokens = VerifiedTokens(
            Questions(self._owner, self._owner, rejected=_REJECTED, caches="issuer_"), rules
        )

    @property
    def statistics(self) -> Statistics:
        """See :class:`~workspace_authz.identity.authenticator.Authenticator`."""
        return self._tokens.statistics

    async def authenticate(
        self, presented: Presented, *, unverified: Callable[[Credential], None]
    ) -> Caller | None:
        """See :class:`~workspace_authz.identity.authenticator.Authenticator`."""
        found = self._rules.found(presented)
        if found is None:
            return None
        if claimed_issuer(found.bearer.token) not in self._issuers:
            return None
        token = IssuerToken(found.bearer.token)
        try:
            return await self._tokens.caller(token, presented.peer, unverified=unverified)
        except UnauthenticatedError as error:
            raise UnauthenticatedError(f"{error.message} The token was read from {found.header}.") from None

    def workspaces(self, presented: Presented) -> Sequence[str]:
        """See :class:`~workspace_authz.identity.authenticator.Authenticator`."""
        return self._rules.workspaces(presented)

    async def confirm(self, caller: Caller) -> Caller | None:
        """See :class:`~workspace_authz.identity.authenticator.Authenticator`."""
        token = caller.credential
        return await self._tokens.confirm(token) if isinstance(token, IssuerToken) else None

    async def _owner(self, token: str) -> UserInfo:
        return await self._issuers[claimed_issuer(token)].owner(token)
