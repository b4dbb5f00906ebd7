"""Callers by a token that the API server accepts for itself: their reviews are asked with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from workspace_authz.aio.statistics import Statistics
from workspace_authz.errors import UnauthenticatedError
from workspace_authz.identity.authenticator import Presented
from workspace_authz.identity.verified_tokens import Questions, TokenRules, VerifiedTokens
from workspace_authz.kubernetes.credentials import BearerToken
from workspace_authz.kubernetes.reviews import REJECTED, Reviews
from workspace_authz.types import Caller, Credential


class TokenAuthenticator:
    """An :class:`~workspace_authz.identity.authenticator.Authenticator` for bearer tokens.

    A SelfSubjectReview says whose a token is. ``unverified`` answers about tokens that the API server has not
    accepted lately; ``reviews`` if it is not given. ``advice`` is added to a refusal: what else the server
    takes.
    """

    def __init__(
        self, reviews: Reviews, rules: TokenRules, *, unverified: Reviews | None = None, advice: str = ""
    ) -> None:
        self._rules = rules
        self._advice = f" {advice}" if advice else ""
        self._tokens = VerifiedTokens(
            Questions(reviews.who, (unverified or reviews).who, rejected=REJECTED), rules
        )

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
        found = self._rules.found(presented)
        if found is None:
            return None
        try:
            return await self._tokens.caller(found.bearer, presented.peer, unverified=unverified)
        except UnauthenticatedError as error:
            # A client may send one that its user does not know of, for example out of a .netrc.
            raise UnauthenticatedError(
                f"{error.message} The token was read from {found.header}.{self._advice}"
            ) from None

    def workspaces(self, presented: Presented) -> Sequence[str]:
        """See :class:`~workspace_authz.identity.authenticator.Authenticator`."""
        return self._rules.workspaces(presented)

    async def confirm(self, caller: Caller) -> Caller | None:
        """See :class:`~workspace_authz.identity.authenticator.Authenticator`.

        Raises :class:`UnauthenticatedError` or ``UnavailableError``.
        """
        bearer = caller.credential
        return await self._tokens.confirm(bearer) if isinstance(bearer, BearerToken) else None
