"""The look-up inside a worker: MLflow's own reading of requests, and names from MLflow's database."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Final, Protocol

from mlflow.exceptions import MlflowException
from mlflow.server.handlers import _get_model_registry_store, _get_tracking_store
from mlflow.utils.workspace_utils import DEFAULT_WORKSPACE_NAME
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from workspace_authz.aio.cache import ExpiringCache
from workspace_authz.aio.numbers import Numbers
from workspace_authz.catalog.graphql import Changes, FieldCall
from workspace_authz.catalog.listing import Clause
from workspace_authz.catalog.model import Identifier, Route
from workspace_authz.errors import UnavailableError
from workspace_authz.lookup.arguments import changed_document
from workspace_authz.lookup.clauses import clause_first
from workspace_authz.lookup.documents import read_calls
from workspace_authz.lookup.existing import existing_in
from workspace_authz.lookup.messages import Headers, has_field, read_message
from workspace_authz.lookup.spans import traces_of
from workspace_authz.lookup.tables import names_in
from workspace_authz.types import Resource

NAME_SECONDS: Final = 2.0
"""How long a name is remembered. After a rename elsewhere a right on the old name reaches the object for as
long, which it reached a moment ago by right; never another object, since MLflow uses no id twice."""

_CHUNK: Final = 400
"""Values in one SELECT; SQLite takes 999 variables, older ones no more."""
_THREADS: Final = 8
_NO_ANSWER: Final = "MLflow's database gave no answer; try again."

_log = logging.getLogger(__name__)

Sessions = Callable[[], AbstractContextManager[Session]]


class _Read(Protocol):
    def __call__(self, session: Session, *, values: Collection[str], workspace: str) -> dict[str, str]:
        """What one SELECT finds."""


_Key = tuple[str, Resource, Identifier, str]


def registry_sessions() -> Sessions | None:
    """Read-only sessions of the worker's model registry, which may have a database of its own."""
    return getattr(_get_model_registry_store(), "ManagedSessionMaker", None)


def tracking_sessions() -> Sessions | None:
    """Read-only sessions of the worker's tracking store; None if that keeps its data in files."""
    return getattr(_get_tracking_store(), "ManagedSessionMaker", None)


def tracking_engine() -> Engine | None:
    """The primary database of the worker's tracking store; None if that keeps its data in files.

    May block: MLflow opens the database when it is first needed. Raises :class:`UnavailableError`.
    """
    return _engine_of(_get_tracking_store)


def data_engines() -> tuple[Engine, ...]:
    """Every database in which MLflow keeps objects: the registry may have one of its own. As above."""
    engines = (tracking_engine(), _engine_of(_get_model_registry_store))
    return tuple({str(engine.url): engine for engine in engines if engine is not None}.values())


def _engine_of(store: Callable[[], object]) -> Engine | None:
    try:
        return getattr(store(), "engine", None)
    except (SQLAlchemyError, MlflowException) as error:
        raise UnavailableError(_NO_ANSWER) from error


class StoreObjects:
    """Finds the names of objects; ``close`` it at the end. Values that identify nothing have no name."""

    def __init__(
        self,
        sessions: Callable[[], Sessions | None],
        *,
        registry: Callable[[], Sessions | None],
        workspaces: bool,
        monotonic: Callable[[], float],
        size: int = 50_000,
    ) -> None:
        self._sessions = sessions
        self._registry = registry
        self._workspaces = workspaces
        self._names: ExpiringCache[_Key, str] = ExpiringCache(size=size, monotonic=monotonic)
        self.numbers = Numbers(caches={"names": self._names})
        # A pool of its own: a database that hangs must not take the threads of others.
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="lookup")

    def close(self) -> None:
        """End the threads, without waiting for a database that hangs."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def message(
        self, route: Route, *, method: str, query: bytes, headers: Headers, body: bytes
    ) -> Mapping[str, Any]:
        """See :func:`read_message`."""
        work = partial(read_message, route, method=method, query=query, headers=headers, body=body)
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def document(
        self, *, method: str, query: bytes, headers: Headers, body: bytes
    ) -> Sequence[FieldCall]:
        """See :func:`read_calls`."""
        work = partial(read_calls, method=method, query=query, headers=headers, body=body)
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def changed_document(
        self, changes: Changes, *, method: str, query: bytes, headers: Headers, body: bytes
    ) -> bytes:
        """See :func:`.arguments.changed_document`."""
        work = partial(changed_document, changes, method=method, query=query, headers=headers, body=body)
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def traces(self, spans: bytes, *, as_json: bool) -> frozenset[str]:
        """See :func:`traces_of`."""
        work = partial(traces_of, spans, as_json=as_json)
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def names(
        self, resource: Resource, identifier: Identifier, values: Collection[str], *, workspace: str
    ) -> Mapping[str, str]:
        """The name of each object of ``workspace`` that one of ``values`` identifies.

        Raises :class:`UnavailableError` when the database gives no answer.
        """
        found: dict[str, str] = {}
        missing: list[str] = []
        for value in values:
            name = self._names.get((workspace, resource, identifier, value))
            if name is None:
                missing.append(value)
            else:
                found[value] = name
        if missing:
            work = partial(self._query, resource, identifier, missing, workspace)
            asked = await asyncio.get_running_loop().run_in_executor(self._threads, work)
            for value, name in asked.items():
                self._names.put((workspace, resource, identifier, value), name, seconds=NAME_SECONDS)
            found |= asked
        return found

    async def named(self, resource: Resource, names: Collection[str], *, workspace: str) -> Mapping[str, str]:
        """See :func:`existing_in`. Raises :class:`UnavailableError` when the database gives no answer.

        Nothing is remembered: who has just made an object finds it.
        """
        read = partial(existing_in, resource=resource)
        sessions = self._registry if resource is Resource.REGISTERED_MODELS else self._sessions
        work = partial(self._read, sessions, read, sorted(names), workspace)
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def narrowed_filter(
        self, operation: str, clause: Clause, values: Collection[str], theirs: str
    ) -> str | None:
        """See :func:`clause_first`."""
        work = partial(clause_first, operation, clause, values, theirs)
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def has_field(self, route: Route, field: str) -> bool:
        """See :func:`workspace_authz.lookup.messages.has_field`."""
        return has_field(route, field)

    def _query(
        self, resource: Resource, identifier: Identifier, values: list[str], workspace: str
    ) -> dict[str, str]:
        read = partial(names_in, resource=resource, identifier=identifier)
        return self._read(self._sessions, read, values, workspace)

    def _read(
        self, store: Callable[[], Sessions | None], read: _Read, values: list[str], workspace: str
    ) -> dict[str, str]:
        column = workspace if self._workspaces else DEFAULT_WORKSPACE_NAME
        try:
            sessions = store()
            if sessions is None:
                return {}
            found: dict[str, str] = {}
            with sessions() as session:
                for start in range(0, len(values), _CHUNK):
                    found |= read(session, values=values[start : start + _CHUNK], workspace=column)
            return found
        except (SQLAlchemyError, MlflowException) as error:
            _log.warning("MLflow's database gave no answer to a look-up: %s", type(error).__name__)
            raise UnavailableError(_NO_ANSWER) from error
