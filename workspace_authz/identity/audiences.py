"""Callers by a token for an audience of this server, with which nobody can ask the API server for anything.

A TokenReview by the server's own account says whose it is, and their reviews are asked by the server, too. So
a thief of such a token, and MLflow itself, cannot act as its owner anywhere but here.

The unverified claim ``aud`` of a JWT chooses who verifies a token, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from workspace_authz.aio.statistics import Statistics
from workspace_authz.errors import UnauthenticatedError
from workspace_authz.identity.authenticator import Presented
from workspace_authz.identity.credentials import FoundToken, claimed_audiences
from workspace_authz.identity.verified_tokens import Questions, TokenRules, VerifiedTokens
from workspace_authz.kubernetes.credentials import AudienceToken
from workspace_authz.kubernetes.token_reviews import REJECTED_AUDIENCE, TokenReviews
from workspace_authz.types import Caller, Credential


@dataclass(frozen=True, slots=True)
class Audiences:
    """The audiences of this server."""

    names: tuple[str, ...]
    only: bool = False
    """Whether no other tokens are accepted, not even those that are for other audiences, too."""

    def claims(self, token: str) -> bool:
        """Whether a token says that it is for this server. Nothing is verified."""
        return not claimed_audiences(token).isdisjoint(self.names)

    def claims_no_other(self, token: str) -> bool:
        """Whether a token says that it is for this server and for nobody else. Nothing is verified."""
        claimed = claimed_audiences(token)
        return bool(claimed) and claimed <= set(self.names)

    @property
    def advice(self) -> str:
        """How a caller gets a token for this server, as sentences."""
        audience = " or ".join(self.names)
        takes = "accepts only" if self.only else "accepts"
        return (
            f"This server {takes} tokens for the audience {audience}: "
            f"`kubectl create token SERVICE_ACCOUNT --audience {self.names[0]}`, "
            "or, in a pod, a projected token with that audience."
        )


class AudienceAuthenticator:
    """An :class:`~workspace_authz.identity.authenticator.Authenticator` for tokens of :class:`Audiences`.

    A token of another kind is not its own, unless no other kind is accepted. ``reviews`` is asked about
    tokens that the API server accepted lately, ``unverified`` about all others.
    """

    def __init__(
        self,
        audiences: Audiences,
        reviews: TokenReviews,
        *,
        rules: TokenRules,
        unverified: TokenReviews | None = None,
    ) -> None:
        self._audiences = audiences
        self._rules = rules
        questions = Questions(
            reviews.who, (unverified or reviews).who, rejected=REJECTED_AUDIENCE, caches="audience_"
        )
        self._tokens = VerifiedTokens(questions, rules)

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
        found = self._found(presented)
        if found is None:
            return None
        token = found.bearer.token
        if self._audiences.only and not self._audiences.claims_no_other(token):
            raise UnauthenticatedError(
                f"This token is not for this server alone; it was read from {found.header}. "
                f"{self._audiences.advice}"
            )
        if not self._audiences.claims(token):
            return None
        return await self._caller(found, presented.peer, unverified=unverified)

    def _found(self, presented: Presented) -> FoundToken | None:
        try:
            return self._rules.found(presented)
        except UnauthenticatedError as error:
            raise UnauthenticatedError(f"{error.message} {self._audiences.advice}") from None

    async def _caller(
        self, found: FoundToken, peer: str, *, unverified: Callable[[Credential], None]
    ) -> Caller:
        token = AudienceToken(found.bearer.token)
        try:
            return await self._tokens.caller(token, peer, unverified=unverified)
        except UnauthenticatedError as error:
            raise UnauthenticatedError(
                f"{error.message} The token was read from {found.header}. {self._audiences.advice}"
            ) from None

    def workspaces(self, presented: Presented) -> Sequence[str]:
        """See :class:`~workspace_authz.identity.authenticator.Authenticator`."""
        return self._rules.workspaces(presented)

    async def confirm(self, caller: Caller) -> Caller | None:
        """See :class:`~workspace_authz.identity.authenticator.Authenticator`.

        Raises :class:`UnauthenticatedError` or ``UnavailableError``.
        """
        token = caller.credential
        return await self._tokens.confirm(token) if isinstance(token, AudienceToken) else None
