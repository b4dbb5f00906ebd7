"""The rights that the server's own account needs to ask about others, and whether it has them."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Sequence
from typing import Final, Protocol

from workspace_authz.aio.clock import Clock
from workspace_authz.errors import UnavailableError
from workspace_authz.kubernetes import access_reviews
from workspace_authz.kubernetes.http import ReviewTransport
from workspace_authz.kubernetes.review_client import ReviewClient
from workspace_authz.kubernetes.reviews import access_answer, user_of
from workspace_authz.types import UserInfo

_log = logging.getLogger(__name__)

REVIEWS_ROLE: Final = "mlflow-server-reviews"
"""The opt-in ClusterRole that grants :data:`REVIEWS_NEEDED`."""

REVIEWS_NEEDED: Final = (
    (access_reviews.AUTHENTICATION, "tokenreviews"),
    (access_reviews.AUTHORIZATION, "subjectaccessreviews"),
)
"""``(API group, resource)`` that the server must be allowed to create."""

FORBIDDEN: Final = (
    "The server's own account may not create reviews about other users, which some callers need: "
    "`workspace-authz check` names the remedy."
)
_UNASKED: Final = "The server's own right to create reviews has not been checked yet."

_PERIOD_SECONDS: Final = 5.0
_AGAIN_SECONDS: Final = 1.0


class OwnRights:
    """Asks, with the server's own account, what it may do. ``timeout`` bounds each question, in seconds."""

    def __init__(self, transport: ReviewTransport, *, timeout: float = 3.0) -> None:
        self._client = ReviewClient(transport, timeout=timeout)

    async def missing(self) -> Sequence[str]:
        """Those of :data:`REVIEWS_NEEDED` that the server lacks: ``create tokenreviews``.

        Raises :class:`UnavailableError` when there is no answer.
        """
        missing = []
        for group, resource in REVIEWS_NEEDED:
            target = access_reviews.resource("create", resource, group=group)
            review = access_reviews.self_subject_access_review(target)
            answer = access_answer(review.kind, await self._client.status_of(review, token=None))
            if not answer.allowed:
                missing.append(f"create {resource}")
        return missing

    async def grant_command(self) -> str:
        """The command that gives the server these rights. Raises :class:`UnavailableError`."""
        status = await self._client.status_of(access_reviews.self_subject_review(), token=None)
        try:
            user = user_of(status["userInfo"])
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise UnavailableError("The API server does not say who the server is.") from error
        return grant_command(REVIEWS_ROLE, user)


def grant_command(role: str, user: UserInfo) -> str:
    """The command that binds a ClusterRole to ``user`` across the cluster, under the role's name."""
    account = user.service_account
    subject = f"--serviceaccount={account[0]}:{account[1]}" if account else f"--user={user.username}"
    return f"kubectl create clusterrolebinding {role} --clusterrole={role} {shlex.quote(subject)}"


class Missing(Protocol):
    """See :class:`OwnRights`."""

    async def missing(self) -> Sequence[str]:
        """See :meth:`OwnRights.missing`."""


class OwnRightsProbe:
    """Asks every five seconds, and sooner while a right is missing. Run :meth:`run` in a supervised task."""

    def __init__(self, rights: Missing, *, clock: Clock) -> None:
        self._rights = rights
        self._clock = clock
        self._problem: str | None = _UNASKED

    @property
    def problem(self) -> str | None:
        """Why nobody can be reviewed, as a sentence; None while the server has the rights.

        It stays what it was while the API server does not answer.
        """
        return self._problem

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            await self.beat()
            await self._clock.sleep(_AGAIN_SECONDS if self._problem else _PERIOD_SECONDS)

    async def beat(self) -> None:
        """Ask once."""
        try:
            missing = await self._rights.missing()
        except UnavailableError:
            return
        problem = FORBIDDEN if missing else None
        if problem and problem != self._problem:
            _log.warning("%s It lacks: %s.", problem, ", ".join(missing))
        self._problem = problem
