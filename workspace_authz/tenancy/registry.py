"""Tenancy in a worker: a workspace is claimed for its namespace, and closed for any other namespace."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from sqlalchemy import Engine

from workspace_authz.aio.cache import ExpiringCache
from workspace_authz.aio.clock import Clock
from workspace_authz.aio.coalesce import Coalescer
from workspace_authz.database.keys import shared_key
from workspace_authz.database.schema import migrate
from workspace_authz.database.threads import DatabaseThreads
from workspace_authz.errors import ForbiddenError, RequestError, UnavailableError
from workspace_authz.mlflow_adapter.store.workspace_data import workspaces_with_data
from workspace_authz.tenancy.claims import NO_NAMESPACE, Reason, claim, read_claim, read_claims

MATCH_SECONDS: Final = 60.0
"""How long the database is not asked again about a workspace whose claim matched its namespace.

Only an operator changes such a claim while its namespace lives: ``adopt`` claims for the present namespace,
and only a closed workspace can be purged. A mismatch is never cached, nor is a missing claim. So
``workspace-authz workspaces adopt`` works for the next request, and another replica's first write is seen.
"""

_SIZE: Final = 20_000
_SCAN_SECONDS: Final = 300.0
"""For reading all tables, and for the time that MLflow itself waits for a database that is away."""
_RETRY_SECONDS: Final = 1.0

_NOT_YET: Final = "It is not known yet which namespaces the workspaces belong to; try again."

_log = logging.getLogger(__name__)


class Namespaces(Protocol):
    """The namespaces of the cluster, workspaces or not."""

    async def uid(self, name: str) -> str | None:
        """The UID of a namespace, None if there is none. Raises :class:`UnavailableError`."""


@dataclass(frozen=True, slots=True)
class Databases:
    """MLflow's databases, opened when they are first needed.

    Both functions may block and raise :class:`RequestError`.
    """

    tracking: Callable[[], Engine | None]
    """The tracking store's, where our tables are; None if MLflow keeps its data in files."""
    all: Callable[[], Sequence[Engine]]
    """All that hold data of workspaces."""


class TenancyRegistry:
    """Run :meth:`prepare` once, in the background. :meth:`close` it at the end."""

    def __init__(self, databases: Databases, *, clock: Clock) -> None:
        self._databases = databases
        self._clock = clock
        self._matched: ExpiringCache[str, str] = ExpiringCache(size=_SIZE, monotonic=clock.monotonic)
        self._asking: Coalescer[tuple[str, str, bool], str | None] = Coalescer()
        self._threads = DatabaseThreads(databases.tracking, "tenancy")
        self._problem: str | None = _NOT_YET

    @property
    def problem(self) -> str | None:
        """Why no workspace can be served yet; None once :meth:`prepare` is done."""
        return self._problem

    def close(self) -> None:
        """End the threads, without waiting for a database that hangs."""
        self._threads.close()

    async def prepare(self, namespaces: Namespaces) -> None:
        """Bring the tables up to date, and claim every workspace that holds data and has no claim.

        Tries again until it succeeds, because a server may start during an outage.
        """
        failed = False
        while True:
            try:
                await self._claim_all(namespaces)
            except RequestError as error:
                if self._problem != error.message:
                    _log.warning(
                        "The workspaces cannot be claimed for their namespaces yet: %s", error.message
                    )
                self._problem, failed = error.message, True
                await self._clock.sleep(_RETRY_SECONDS)
            else:
                if failed:
                    _log.warning("The workspaces are claimed for their namespaces now.")
                self._problem = None
                return

    async def key(self, purpose: str) -> bytes | None:
        """See :func:`shared_key`. Tries until the database answers. None where MLflow has no SQL database."""
        while True:
            try:
                return await self._threads.ask(partial(self._key, purpose))
            except UnavailableError:
                await self._clock.sleep(_RETRY_SECONDS)

    async def check(self, workspace: str, uid: str, *, writes: bool) -> None:
        """Check that the workspace's data belong to the namespace ``uid``, or that it has no claim yet.

        The first request that ``writes`` makes the claim. Raises :class:`ForbiddenError` if the data belong
        to another namespace, :class:`UnavailableError` if that cannot be known.
        """
        if self._problem is not None or uid == NO_NAMESPACE:
            raise UnavailableError(_NOT_YET)
        if self._matched.get(workspace) == uid:
            return
        work = partial(self._owner, workspace, uid, writes=writes)
        owner = await self._asking.share((workspace, uid, writes), partial(self._threads.ask, work))
        if owner is None:
            return
        if owner != uid:
            raise ForbiddenError(
                f'The workspace "{workspace}" is closed: its data belong to another namespace of this name, '
                "which was deleted or lives in another cluster. A cluster administrator opens it together "
                f"with these data by `workspace-authz workspaces adopt {workspace}`, or deletes them by "
                f"`workspace-authz workspaces purge {workspace}`."
            )
        self._matched.put(workspace, uid, seconds=MATCH_SECONDS)

    async def _claim_all(self, namespaces: Namespaces) -> None:
        for workspace in await self._threads.ask(self._unclaimed, seconds=_SCAN_SECONDS):
            uid = await namespaces.uid(workspace)
            if uid is None:
                _log.warning("The workspace %s holds data and has no namespace: it is closed.", workspace)
            await self._threads.ask(partial(self._claim_at_start, workspace, uid or NO_NAMESPACE))

    def _key(self, purpose: str) -> bytes | None:
        engine = self._threads.engine_if_any()
        return None if engine is None else shared_key(engine, purpose)

    def _unclaimed(self) -> list[str]:
        engine = self._threads.engine()
        migrate(engine)
        return sorted(workspaces_with_data(self._databases.all()) - read_claims(engine).keys())

    def _claim_at_start(self, workspace: str, uid: str) -> None:
        claim(self._threads.engine(), workspace, uid=uid, reason=Reason.START)

    def _owner(self, workspace: str, uid: str, *, writes: bool) -> str | None:
        """The UID of the namespace that the data belong to; None if there is no claim and none is made."""
        engine = self._threads.engine()
        found = read_claim(engine, workspace)
        if found is None and writes:
            claim(engine, workspace, uid=uid, reason=Reason.WRITE)
            found = read_claim(engine, workspace)
        return None if found is None else found.uid
