"""The questions about a user that the server asks with its own account.

For callers who have no token that the API server accepts for more than a TokenReview. The server's account
needs the right to create ``subjectaccessreviews`` (the ClusterRole ``mlflow-server-reviews`` grants it). The
API server does not check that the user exists: whoever asks must know who the caller is.
"""

from __future__ import annotations

from typing import Protocol

from workspace_authz.kubernetes import access_reviews
from workspace_authz.kubernetes.http import ReviewTransport
from workspace_authz.kubernetes.review_client import ReviewClient
from workspace_authz.kubernetes.reviews import AccessAnswer, access_answer
from workspace_authz.telemetry.metrics import Metrics
from workspace_authz.types import Attributes, UserInfo


class SubjectReviews(Protocol):
    """The seam between us and the API server, for callers without a token."""

    async def may(self, user: UserInfo, attributes: Attributes) -> AccessAnswer:
        """Whether ``user`` may.

        Raises :class:`~workspace_authz.errors.UnavailableError` when there is no usable answer, and its
        subclass :class:`~workspace_authz.errors.MisconfiguredError` when the server may not ask.
        """

    async def may_do(self, user: UserInfo, target: access_reviews.Target) -> AccessAnswer:
        """Whether ``user`` may do what is no pseudo-resource of MLflow. Raises as :meth:`may`."""


class ApiSubjectReviews:
    """:class:`SubjectReviews` over the server's own connections, each asked once.

    ``timeout`` bounds it, in seconds.
    """

    def __init__(self, transport: ReviewTransport, *, timeout: float, metrics: Metrics | None = None) -> None:
        self._client = ReviewClient(transport, timeout=timeout, metrics=metrics)

    async def may(self, user: UserInfo, attributes: Attributes) -> AccessAnswer:
        """See :class:`SubjectReviews`."""
        return await self.may_do(user, access_reviews.mlflow_resource(attributes))

    async def may_do(self, user: UserInfo, target: access_reviews.Target) -> AccessAnswer:
        """See :class:`SubjectReviews`."""
        review = access_reviews.subject_access_review(user, target)
        return access_answer(review.kind, await self._client.status_of(review, token=None))
