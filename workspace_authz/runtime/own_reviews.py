"""The reviews about callers that a worker asks with the server's own account."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from workspace_authz.aio.clock import SystemClock
from workspace_authz.kubernetes.configuration import ApiConfiguration
from workspace_authz.kubernetes.connection import Connection, server_connection
from workspace_authz.kubernetes.own_rights import OwnRights, OwnRightsProbe
from workspace_authz.kubernetes.retries import retrying_subject_reviews, retrying_token_reviews
from workspace_authz.kubernetes.subject_reviews import ApiSubjectReviews, SubjectReviews
from workspace_authz.kubernetes.token_reviews import ApiTokenReviews, TokenReviews
from workspace_authz.settings.settings import Settings
from workspace_authz.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True)
class OwnReviews:
    """Whose a token for an audience is, and what callers may do who cannot ask for themselves."""

    tokens: TokenReviews
    unverified: TokenReviews
    """About tokens that the API server has not accepted lately. They never delay the others."""
    subjects: SubjectReviews
    server_time: Callable[[], float | None]
    """What time it is for the API server; None while it is not known."""
    rights: OwnRightsProbe

    def time_beside(self, callers: Callable[[], float | None]) -> Callable[[], float | None]:
        """The time by the answers to callers, or else by those to the server itself."""

        def now() -> float | None:
            heard = callers()
            return self.server_time() if heard is None else heard

        return now


@asynccontextmanager
async def own_reviews(
    configuration: ApiConfiguration, settings: Settings, *, metrics: Metrics
) -> AsyncIterator[OwnReviews | None]:
    """The reviews that ``settings`` need, while the block runs; None where they need none.

    They have connections of their own: watches must not wait for them.
    """
    if not settings.asks_with_own_account:
        yield None
        return
    connection = server_connection(configuration, limit=settings.api_connections)
    try:
        yield _over(connection, settings, metrics=metrics)
    finally:
        await connection.close()


def _over(connection: Connection, settings: Settings, *, metrics: Metrics) -> OwnReviews:
    seconds, clock = settings.api_timeout_seconds, SystemClock()
    quarter = max(1, settings.api_connections // 4)
    tokens = ApiTokenReviews(connection, audiences=settings.audience_names, timeout=seconds, metrics=metrics)
    subjects = ApiSubjectReviews(connection, timeout=seconds, metrics=metrics)

    def retrying() -> TokenReviews:
        return retrying_token_reviews(tokens, places=quarter, seconds=seconds, clock=clock, metrics=metrics)

    return OwnReviews(
        tokens=retrying(),
        unverified=retrying(),
        subjects=retrying_subject_reviews(
            subjects,
            places=max(1, settings.api_connections - 2 * quarter),
            seconds=seconds,
            clock=clock,
            metrics=metrics,
        ),
        server_time=tokens.server_time.now,
        rights=OwnRightsProbe(OwnRights(connection), clock=clock),
    )
