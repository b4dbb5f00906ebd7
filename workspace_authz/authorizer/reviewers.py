"""How the API server is asked about a caller: the kind of their credential selects the reviewer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from workspace_authz.kubernetes.access_reviews import Target
from workspace_authz.kubernetes.credentials import (
    AssertedUser,
    AudienceToken,
    BearerToken,
    IssuerToken,
    SessionUser,
)
from workspace_authz.kubernetes.reviews import AccessAnswer, Reviews, RulesAnswer
from workspace_authz.kubernetes.subject_reviews import SubjectReviews
from workspace_authz.types import Attributes, Caller, Credential

_REVIEWED_BY_NAME: Final = (AssertedUser, AudienceToken, IssuerToken, SessionUser)


class Reviewer(Protocol):
    """Asks the API server what a caller may do.

    Every method raises ``UnavailableError`` when there is no usable answer, and ``UnauthenticatedError`` when
    the API server does not accept the caller's credential any more.
    """

    @property
    def enumerates(self) -> bool:
        """Whether :meth:`rules` asks the API server. If not, its answer is always incomplete."""

    async def may(self, caller: Caller, attributes: Attributes) -> AccessAnswer:
        """Whether the caller may."""

    async def rules(self, caller: Caller, namespace: str) -> RulesAnswer:
        """What the caller may do in ``namespace``, as far as it can be listed."""

    async def may_do(self, caller: Caller, target: Target) -> AccessAnswer:
        """Whether the caller may do what is no pseudo-resource of MLflow."""


@dataclass(frozen=True, slots=True)
class SelfSubjectReviewer:
    """A :class:`Reviewer` that asks with the caller's own token, so that the server needs no right for it."""

    reviews: Reviews

    @property
    def enumerates(self) -> bool:
        """See :class:`Reviewer`."""
        return True

    async def may(self, caller: Caller, attributes: Attributes) -> AccessAnswer:
        """See :class:`Reviewer`."""
        return await self.reviews.may(bearer_token(caller.credential), attributes)

    async def rules(self, caller: Caller, namespace: str) -> RulesAnswer:
        """See :class:`Reviewer`."""
        return await self.reviews.rules(bearer_token(caller.credential), namespace)

    async def may_do(self, caller: Caller, target: Target) -> AccessAnswer:
        """See :class:`Reviewer`."""
        return await self.reviews.may_do(bearer_token(caller.credential), target)


@dataclass(frozen=True, slots=True)
class SubjectReviewer:
    """A :class:`Reviewer` that asks with the server's own account, for callers whose credential cannot ask.

    Kubernetes has no review that lists the rights of another user, so nothing is enumerated.
    """

    reviews: SubjectReviews

    @property
    def enumerates(self) -> bool:
        """See :class:`Reviewer`."""
        return False

    async def may(self, caller: Caller, attributes: Attributes) -> AccessAnswer:
        """See :class:`Reviewer`."""
        return await self.reviews.may(caller.user, attributes)

    async def rules(self, caller: Caller, namespace: str) -> RulesAnswer:
        """See :class:`Reviewer`. Always incomplete and empty."""
        return RulesAnswer(rules=(), incomplete=True)

    async def may_do(self, caller: Caller, target: Target) -> AccessAnswer:
        """See :class:`Reviewer`."""
        return await self.reviews.may_do(caller.user, target)


class Reviewers:
    """The reviewers of a server.

    ``unverified`` is asked with a token whose owner is not known yet; ``reviews`` if it is not given. Without
    ``subject_reviews`` there are no callers by name or by a token for an audience of the server.
    """

    def __init__(
        self,
        reviews: Reviews,
        *,
        unverified: Reviews | None = None,
        subject_reviews: SubjectReviews | None = None,
    ) -> None:
        self.unverified = unverified or reviews
        self._self_subject = SelfSubjectReviewer(reviews)
        self._subject = None if subject_reviews is None else SubjectReviewer(subject_reviews)

    def of(self, caller: Caller) -> Reviewer:
        """The reviewer for the caller's kind of credential. Raises ``TypeError`` when there is none."""
        credential = caller.credential
        if isinstance(credential, BearerToken):
            return self._self_subject
        if isinstance(credential, _REVIEWED_BY_NAME) and self._subject is not None:
            return self._subject
        raise TypeError(
            f"no reviewer asks for a caller with a credential of type {type(credential).__name__}"
        )


def bearer_token(credential: Credential) -> str:
    """The token of a :class:`BearerToken`. Raises ``TypeError`` for another kind of credential."""
    if not isinstance(credential, BearerToken):
        raise TypeError(f"a credential of type {type(credential).__name__} has no token")
    return credential.token
