"""Callers by an ID token of an issuer that the API server does not trust, and this server does.

People get one from ``workspace-authz login``. Nobody can ask the API server for anything with it. The server
verifies it itself, and their reviews are asked by the server's own account, about the name and the groups.

The unverified claim ``iss`` of a JWT chooses who verifies a token, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from workspace_authz.identity.credentials import FoundToken, claimed_issuer
from workspace_authz.identity.token_kind import TokenKindAuthenticator
from workspace_authz.identity.verified_tokens import Questions, TokenRules
from workspace_authz.kubernetes.credentials import IssuerToken
from workspace_authz.types import UserInfo

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


class IssuerAuthenticator(TokenKindAuthenticator):
    """An :class:`~workspace_authz.identity.authenticator.Authenticator` for tokens of ``issuers``.

    They are by the name that their tokens have in ``iss``. A token of another issuer is not its own.
    """

    def __init__(self, issuers: Mapping[str, TokenIssuer], rules: TokenRules) -> None:
        self._issuers = issuers
        questions = Questions(self._owner, self._owner, rejected=_REJECTED, caches="issuer_")
        super().__init__(IssuerToken, questions, rules=rules)

    def is_ours(self, found: FoundToken) -> bool:
        """See :class:`TokenKindAuthenticator`."""
        return claimed_issuer(found.bearer.token) in self._issuers

    async def _owner(self, token: str) -> UserInfo:
        return await self._issuers[claimed_issuer(token)].owner(token)
