"""Whose a token is that was made for this server and not for the API server (``authentication.k8s.io/v1``).

The server asks with its own account, which needs the right to create ``tokenreviews`` (the ClusterRole
``mlflow-server-reviews`` grants it).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from workspace_authz.errors import MisconfiguredError, UnauthenticatedError
from workspace_authz.kubernetes import access_reviews
from workspace_authz.kubernetes.answer_times import ServerTime
from workspace_authz.kubernetes.http import ReviewTransport
from workspace_authz.kubernetes.review_client import ReviewClient, unintelligible
from workspace_authz.kubernetes.reviews import user_of
from workspace_authz.telemetry.metrics import Metrics
from workspace_authz.types import UserInfo

REJECTED_AUDIENCE = (
    "The Kubernetes API server does not accept this token for the audience of this server: "
    "it may have expired, or its account may be gone."
)
IGNORED_AUDIENCE = (
    "The Kubernetes API server accepted this token, but for none of this server's audiences, so nobody can "
    "be authenticated by them. An administrator looks at the cluster's token authenticators."
)


class TokenReviews(Protocol):
    """The seam between us and the API server, for tokens of an audience."""

    async def who(self, token: str) -> UserInfo:
        """The owner of ``token``.

        Raises :class:`~workspace_authz.errors.UnauthenticatedError` when it is good for none of the
        audiences, :class:`~workspace_authz.errors.UnavailableError` when there is no usable answer, and its
        subclass :class:`~workspace_authz.errors.MisconfiguredError` when the server may not ask or the API
        server ignores audiences.
        """


class ApiTokenReviews:
    """:class:`TokenReviews` over the server's own connections, each asked once.

    ``timeout`` bounds it, in seconds.
    """

    def __init__(
        self,
        transport: ReviewTransport,
        *,
        audiences: Sequence[str],
        timeout: float,
        metrics: Metrics | None = None,
    ) -> None:
        self._client = ReviewClient(transport, timeout=timeout, metrics=metrics)
        self._audiences = tuple(audiences)

    @property
    def server_time(self) -> ServerTime:
        """What time it is for the API server, by its answers."""
        return self._client.server_time

    async def who(self, token: str) -> UserInfo:
        """See :class:`TokenReviews`."""
        review = access_reviews.token_review(token, self._audiences)
        status = await self._client.status_of(review, token=None)
        try:
            return self._owner(status)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise unintelligible(review.kind) from error

    def _owner(self, status: Mapping[str, Any]) -> UserInfo:
        authenticated = status.get("authenticated", False)  # left out when it is false
        if not isinstance(authenticated, bool):
            raise TypeError("not a boolean")
        if not authenticated:
            raise UnauthenticatedError(REJECTED_AUDIENCE)
        if not set(self._audiences) & set(status.get("audiences") or ()):
            # One that knows no audiences leaves the field empty: the token is then good for its own API.
            raise MisconfiguredError(IGNORED_AUDIENCE)
        return user_of(status["user"])
