"""``/metrics``, shown to whoever Kubernetes lets get the non-resource URL of that name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from workspace_authz.authorizer.authorizer import Authorizer
from workspace_authz.errors import UnavailableError
from workspace_authz.identity.authenticator import AuthenticatorChain, Presented
from workspace_authz.kubernetes.reviews import NO_ANSWER
from workspace_authz.pipeline.pipeline import DEADLINE_SECONDS
from workspace_authz.pipeline.refusals import forbidden_url
from workspace_authz.pipeline.verdict import Verdict
from workspace_authz.telemetry.prometheus import exposition
from workspace_authz.telemetry.workers import WorkerRegistry

Headers = Sequence[tuple[bytes, bytes]]

METRICS_PATH: Final = "/metrics"


@dataclass(frozen=True, slots=True)
class Scrape:
    """Asks for each scrape anew: there are few, and a right that is withdrawn ends at once."""

    identity: AuthenticatorChain
    authorizer: Authorizer
    crew: WorkerRegistry
    flush: Callable[[], None] = lambda: None
    """Writes what this worker has counted; the others do so every second."""

    async def page(self, headers: Headers, verdict: Verdict, *, peer: str = "") -> bytes:
        """The metrics of all workers in Prometheus' text form, for a caller at the address ``peer``.

        Who that is goes into ``verdict``. Raises :class:`RequestError`.
        """
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                await self._demand(headers, verdict, peer)
        except TimeoutError as error:
            raise UnavailableError(NO_ANSWER) from error
        self.flush()
        return await asyncio.to_thread(self._page)

    async def _demand(self, headers: Headers, verdict: Verdict, peer: str) -> None:
        presented = Presented(headers, peer=peer)
        caller = verdict.caller = await self.identity.authenticate(presented, unverified=lambda _: None)
        if not await self.authorizer.may_get(caller, METRICS_PATH):
            raise forbidden_url(caller.user, METRICS_PATH)

    def _page(self) -> bytes:
        with self.crew.empty_seats() as gone:
            return exposition(self.crew.metrics, gone=gone)
