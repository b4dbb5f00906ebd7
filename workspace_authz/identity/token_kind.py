"""Callers by tokens of one kind: what the authenticators of all kinds do alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from workspace_authz.aio.statistics import Statistics
from workspace_authz.errors import UnauthenticatedError
from workspace_authz.identity.authenticator import Presented
from workspace_authz.identity.credentials import FoundToken, said_expiry
from workspace_authz.identity.verified_tokens import Questions, Token, TokenRules, VerifiedTokens
from workspace_authz.types import Caller, Credential


class TokenKindAuthenticator:
    """An :class:`~workspace_authz.identity.authenticator.Authenticator` for tokens of one kind.

    ``kind`` is the credential that such a token becomes. ``advice`` is added to the refusal of a token: what
    else the server takes.
    """

    def __init__(
        self, kind: type[Token], questions: Questions, *, rules: TokenRules, advice: str = ""
    ) -> None:
        self._kind = kind
        self._rules = rules
        self._advice = f" {advice}" if advice else ""
        self._tokens = VerifiedTokens(questions, rules)

    def is_ours(self, found: FoundToken) -> bool:
        """Whether a token is of this kind, by its unverified claims.

        Raises :class:`UnauthenticatedError` for one that is not, where no other kind is accepted.
        """
        return True

    def found(self, presented: Presented) -> FoundToken | None:
        """The one token of a request; None when it presents none. Raises :class:`UnauthenticatedError`."""
        return self._rules.found(presented)

    @property
    def statistics(self) -> Statistics:
        """See :class:`~workspace_authz.identity.authenticator.Authenticator`."""
        return self._tokens.statistics

    async def authenticate(
        self, presented: Presented, *, unverified: Callable[[Credential], None]
    ) -> Caller | None:
        """See :class:`~workspace_authz.identity.authenticator.Authenticator`.

        Raises :class:`UnauthenticatedError`, ``TooManyRequestsError`` or ``UnavailableError``.
        """
        found = self.found(presented)
        if found is None or not self.is_ours(found):
            return None
        token = self._kind(found.bearer.token)
        try:
            return await self._tokens.caller(token, presented.peer, unverified=unverified)
        except UnauthenticatedError as error:
            # A client may send one that its user does not know of, for example out of a .netrc.
            expired = said_expiry(token.token, now=self._rules.now())
            said = f", and says that it expired at {expired}" if expired else ""
            raise UnauthenticatedError(
                f"{error.message} The token was read from {found.header}{said}.{self._advice}"
            ) from None

    def workspaces(self, presented: Presented) -> Sequence[str]:
        """See :class:`~workspace_authz.identity.authenticator.Authenticator`."""
        return self._rules.workspaces(presented)

    async def confirm(self, caller: Caller) -> Caller | None:
        """See :class:`~workspace_authz.identity.authenticator.Authenticator`.

        Raises :class:`UnauthenticatedError` or ``UnavailableError``.
        """
        token = caller.credential
        return await self._tokens.confirm(token) if isinstance(token, self._kind) else None
