"""Whether the API server answers reviews at all, also while nobody asks it anything.

A watch on a connection that has died looks like a quiet one for more than a minute; a review of the
server's own rights, which every account may ask for, tells within seconds.
"""

from __future__ import annotations

import logging
from typing import Final

import aiohttp

from workspace_authz.aio.clock import Clock
from workspace_authz.kubernetes import access_reviews
from workspace_authz.kubernetes.connection import Connection, describe_failure
from workspace_authz.kubernetes.own_credential import CredentialError

_log = logging.getLogger(__name__)

_REVIEW: Final = access_reviews.self_subject_access_review(access_reviews.url("/version"))

NOT_REVIEWED: Final = (
    "The cluster does not answer a SelfSubjectAccessReview, so nobody can be authorized: "
    "`workspace-authz check` names the remedy."
)

_PERIOD_SECONDS: Final = 5.0
_AGAIN_SECONDS: Final = 1.0
_FAILURES: Final = 2
"""In a row; a single one may be a connection that an API server closed as it was being replaced."""


class ApiServerProbe:
    """Asks every five seconds, and sooner after a failure. Run :meth:`run` in a supervised task.

    ``timeout`` is how long an answer may take, in seconds.
    """

    def __init__(self, connection: Connection, *, clock: Clock, timeout: float = 3.0) -> None:
        self._connection = connection
        self._clock = clock
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._failures = 0
        self._problem: str | None = None

    @property
    def problem(self) -> str | None:
        """Why the API server counts as away, as a sentence; None while it answers."""
        return self._problem

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            await self.beat()
            await self._clock.sleep(_AGAIN_SECONDS if self._failures else _PERIOD_SECONDS)

    async def beat(self) -> None:
        """Ask once. A 401 is an answer, too: it is about the server's own token, not about callers'."""
        problem = await self._ask()
        self._failures = self._failures + 1 if problem else 0
        if problem and self._failures < _FAILURES:
            return
        if problem and problem != self._problem:
            _log.warning("%s", problem)
        elif self._problem and not problem:
            _log.warning("The Kubernetes API server answers again.")
        self._problem = problem

    async def _ask(self) -> str | None:
        try:
            async with self._connection.request(
                "POST", _REVIEW.path, json=_REVIEW.document, timeout=self._timeout
            ) as response:
                if response.status in (403, 404):
                    return NOT_REVIEWED
                failure = f"HTTP {response.status}" if response.status >= 500 else None
        except (aiohttp.ClientError, TimeoutError, OSError, CredentialError) as error:
            failure = describe_failure(error)
        return f"The Kubernetes API server does not answer: {failure}." if failure else None
