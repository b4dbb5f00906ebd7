"""Callers by a token that the API server accepts for itself: their reviews are asked with it."""

from __future__ import annotations

from workspace_authz.identity.token_kind import TokenKindAuthenticator
from workspace_authz.identity.verified_tokens import Questions, TokenRules
from workspace_authz.kubernetes.credentials import BearerToken
from workspace_authz.kubernetes.reviews import REJECTED, Reviews


class TokenAuthenticator(TokenKindAuthenticator):
    """An :class:`~workspace_authz.identity.authenticator.Authenticator` for bearer tokens.

    A SelfSubjectReview says whose a token is. ``unverified`` answers about tokens that the API server has not
    accepted lately; ``reviews`` if it is not given. ``advice`` is added to a refusal: what else the server
    takes.
    """

    def __init__(
        self, reviews: Reviews, rules: TokenRules, *, unverified: Reviews | None = None, advice: str = ""
    ) -> None:
        questions = Questions(reviews.who, (unverified or reviews).who, rejected=REJECTED)
        super().__init__(BearerToken, questions, rules=rules, advice=advice)
