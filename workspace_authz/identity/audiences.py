"""Callers by a token for an audience of this server, with which nobody can ask the API server for anything.

A TokenReview by the server's own account says whose it is, and their reviews are asked by the server, too. So
a thief of such a token, and MLflow itself, cannot act as its owner anywhere but here.

The unverified claim ``aud`` of a JWT chooses who verifies a token, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

from workspace_authz.errors import UnauthenticatedError
from workspace_authz.identity.authenticator import Presented
from workspace_authz.identity.credentials import FoundToken, claimed_audiences
from workspace_authz.identity.token_kind import TokenKindAuthenticator
from workspace_authz.identity.verified_tokens import Questions, TokenRules
from workspace_authz.kubernetes.credentials import AudienceToken
from workspace_authz.kubernetes.token_reviews import REJECTED_AUDIENCE, TokenReviews


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


class AudienceAuthenticator(TokenKindAuthenticator):
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
        questions = Questions(
            reviews.who, (unverified or reviews).who, rejected=REJECTED_AUDIENCE, caches="audience_"
        )
        super().__init__(AudienceToken, questions, rules=rules, advice=audiences.advice)

    def is_ours(self, found: FoundToken) -> bool:
        """See :class:`TokenKindAuthenticator`. Raises :class:`UnauthenticatedError`."""
        token = found.bearer.token
        if self._audiences.only and not self._audiences.claims_no_other(token):
            raise UnauthenticatedError(
                f"This token is not for this server alone; it was read from {found.header}. "
                f"{self._audiences.advice}"
            )
        return self._audiences.claims(token)

    def found(self, presented: Presented) -> FoundToken | None:
        """See :class:`TokenKindAuthenticator`. Raises :class:`UnauthenticatedError`."""
        try:
            return super().found(presented)
        except UnauthenticatedError as error:
            raise UnauthenticatedError(f"{error.message} {self._audiences.advice}") from None
