"""The page ``/metrics``, for callers whom Kubernetes allows to ``get`` the non-resource URL ``/metrics``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from workspace_authz.authorizer.authorizer import Authorizer
from workspace_authz.errors import UnavailableError
from workspace_authz.identity.authenticator import AuthenticatorChain, Presented
from workspace_authz.kubernetes.reviews import NO_ANSWER
from workspace_authz.pipeline.pipeline import DEADLINE_SECONDS
from workspace_authz.pipeline.refusals import forbidden_url
from workspace_authz.telemetry.prometheus import exposition
from workspace_authz.telemetry.workers import WorkerRegistry
from workspace_authz.types import Caller

METRICS_PATH: Final = "/metrics"


@dataclass(frozen=True, slots=True)
class MetricsPage:
    """Renders the metrics of all workers.

    Every request is reviewed anew: scrapes are rare, and a withdrawn right takes effect at once.
    """

    identity: AuthenticatorChain
    authorizer: Authorizer
    workers: WorkerRegistry
    flush: Callable[[], None] = lambda: None
    """Writes the buffered metrics of this worker. The other workers do so every second."""

    async def render(self, presented: Presented, *, identified: Callable[[Caller], None]) -> bytes:
        """The metrics of all workers in Prometheus' text format.

        ``identified`` is told who asks. Raises :class:`RequestError` when the caller is not authenticated or
        not allowed, and :class:`UnavailableError` when the API server does not answer in time.
        """
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                await self._authorize(presented, identified)
        except TimeoutError as error:
            raise UnavailableError(NO_ANSWER) from error
        self.flush()
        return await asyncio.to_thread(self._exposition)

    async def _authorize(self, presented: Presented, identified: Callable[[Caller], None]) -> None:
        caller = await self.identity.authenticate(presented, unverified=lambda _: None)
        identified(caller)
        if not await self.authorizer.may_get(caller, METRICS_PATH):
            raise forbidden_url(caller.user, METRICS_PATH)

    def _exposition(self) -> bytes:
        with self.workers.vacant_slots() as vacant:
            return exposition(self.workers.metrics_directory, vacant=vacant)
