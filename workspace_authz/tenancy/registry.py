"""Binds workspaces to namespaces in a running worker, and closes those whose namespace is another one now."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol, TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from workspace_authz.aio.cache import ExpiringCache
from workspace_authz.aio.clock import Clock
from workspace_authz.aio.coalesce import Coalescer
from workspace_authz.errors import ForbiddenError, MisconfiguredError, RequestError, UnavailableError
from workspace_authz.mlflow_adapter.store.occupancy import inhabited
from workspace_authz.tenancy.claims import NOBODY, Reason, bind, read_binding, read_bindings
from workspace_authz.tenancy.keys import shared_key
from workspace_authz.tenancy.schema import migrate

MATCH_SECONDS: Final = 60.0
"""How long a workspace that is bound to its namespace is not asked about again.

Nothing makes such a row differ while its namespace lives but an operator: who adopts binds to the namespace
that is there, and only what is closed can be purged. A mismatch is never remembered, nor is a missing row: so
``workspace-authz workspaces adopt`` works for the next request, and another replica's first write is seen.
"""

_SIZE: Final = 20_000
_THREADS: Final = 4
_DATABASE_SECONDS: Final = 8.0
_CENSUS_SECONDS: Final = 300.0
"""For a look through all tables, and for MLflow's own patience with a database that is away."""
_RETRY_SECONDS: Final = 1.0

_NOT_YET: Final = "The workspaces have not been bound to their namespaces yet; try again."
_NO_DATABASE: Final = "MLflow's database gave no answer; try again."

_log = logging.getLogger(__name__)

T = TypeVar("T")


class Namespaces(Protocol):
    """The namespaces of the cluster, workspaces or not."""

    async def uid(self, name: str) -> str | None:
        """The UID of a namespace, None if there is none. Raises :class:`UnavailableError`."""


@dataclass(frozen=True, slots=True)
class Databases:
    """MLflow's databases, found when they are first needed. Both may block and raise ``RequestError``."""

    own: Callable[[], Engine | None]
    """The tracking store's, where the bindings are; None if that is none of SQL."""
    all: Callable[[], Sequence[Engine]]
    """All that hold data of workspaces."""


class TenancyRegistry:
    """Run :meth:`prepare` once, in the background; ``close`` it at the end."""

    def __init__(self, databases: Databases, *, clock: Clock) -> None:
        self._databases = databases
        self._clock = clock
        self._matched: ExpiringCache[str, str] = ExpiringCache(size=_SIZE, monotonic=clock.monotonic)
        self._asking: Coalescer[tuple[str, str, bool], str | None] = Coalescer()
        # A pool of its own: a database that hangs must not take the threads of others.
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="bindings")
        self._problem: str | None = _NOT_YET

    @property
    def problem(self) -> str | None:
        """Why no workspace can be served yet; None once :meth:`prepare` is through."""
        return self._problem

    def close(self) -> None:
        """End the threads, without waiting for a database that hangs."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def prepare(self, namespaces: Namespaces) -> None:
        """Bring the tables up to date and bind every workspace that holds data and is not bound.

        Tries again until it is through: a server starts in an outage, too.
        """
        while True:
            try:
                await self._bind_all(namespaces)
            except RequestError as error:
                if self._problem != error.message:
                    _log.warning("The workspaces cannot be bound to their namespaces yet: %s", error.message)
                self._problem = error.message
                await self._clock.sleep(_RETRY_SECONDS)
            else:
                self._problem = None
                return

    async def key(self, purpose: str) -> bytes | None:
        """See :func:`shared_key`; tries until the database answers. None where MLflow has no SQL database."""
        while True:
            try:
                return await self._ask(partial(self._key, purpose))
            except UnavailableError:
                await self._clock.sleep(_RETRY_SECONDS)

    async def check(self, workspace: str, uid: str, *, writes: bool) -> None:
        """Bind the workspace to the namespace ``uid`` if it has no data yet and the request ``writes``.

        Raises :class:`ForbiddenError` if its data are another namespace's, :class:`UnavailableError` when
        that cannot be known.
        """
        if self._problem is not None or uid == NOBODY:
            raise UnavailableError(_NOT_YET)
        if self._matched.get(workspace) == uid:
            return
        work = partial(self._find, workspace, uid, writes=writes)
        bound = await self._asking.share((workspace, uid, writes), partial(self._ask, work))
        if bound is None:
            return
        if bound != uid:
            raise ForbiddenError(
                f'The workspace "{workspace}" is closed: its data belong to another namespace of this name, '
                "which was deleted or lives in another cluster. A cluster administrator opens it together "
                f"with these data by `workspace-authz workspaces adopt {workspace}`, or deletes them by "
                f"`workspace-authz workspaces purge {workspace}`."
            )
        self._matched.put(workspace, uid, seconds=MATCH_SECONDS)

    async def _bind_all(self, namespaces: Namespaces) -> None:
        for workspace in await self._ask(self._unbound, seconds=_CENSUS_SECONDS):
            uid = await namespaces.uid(workspace)
            if uid is None:
                _log.warning("the workspace %s holds data and has no namespace: it is closed", workspace)
            await self._ask(partial(self._bind, workspace, uid or NOBODY, Reason.START))

    async def _ask(self, work: Callable[[], T], *, seconds: float = _DATABASE_SECONDS) -> T:
        """``work`` in a thread. Raises :class:`UnavailableError` when the database does not answer."""
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except (SQLAlchemyError, TimeoutError) as error:
            _log.warning("MLflow's database gave no answer about bindings: %s", type(error).__name__)
            raise UnavailableError(_NO_DATABASE) from error

    def _engine(self) -> Engine:
        engine = self._databases.own()
        if engine is None:
            raise MisconfiguredError("Workspaces need an SQL database as MLflow's backend store.")
        return engine

    def _key(self, purpose: str) -> bytes | None:
        engine = self._databases.own()
        return None if engine is None else shared_key(engine, purpose)

    def _unbound(self) -> list[str]:
        engine = self._engine()
        migrate(engine)
        return sorted(inhabited(self._databases.all()) - read_bindings(engine).keys())

    def _bind(self, workspace: str, uid: str, reason: Reason) -> None:
        bind(self._engine(), workspace, uid, reason)

    def _find(self, workspace: str, uid: str, *, writes: bool) -> str | None:
        engine = self._engine()
        found = read_binding(engine, workspace)
        if found is None and writes:
            bind(engine, workspace, uid, Reason.WRITE)
            found = read_binding(engine, workspace)
        return None if found is None else found.uid
