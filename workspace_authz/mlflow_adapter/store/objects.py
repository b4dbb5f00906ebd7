"""The look-up inside a worker: MLflow's own reading of requests, and names from MLflow's database."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from typing import Final, Protocol

from mlflow.exceptions import MlflowException
from mlflow.server.handlers import _get_model_registry_store, _get_tracking_store
from mlflow.utils.workspace_utils import DEFAULT_WORKSPACE_NAME
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from workspace_authz.aio.cache import ExpiringCache
from workspace_authz.aio.statistics import Statistics
from workspace_authz.catalog.model import Identifier
from workspace_authz.errors import UnavailableError
from workspace_authz.mlflow_adapter.store.existing import existing_in
from workspace_authz.mlflow_adapter.store.names import HOUSED, homes_in, names_in
from workspace_authz.types import Resource

HOME_SECONDS: Final = 2.0
"""How long it is remembered in which experiment something lies. Names are never remembered: a right on a name
holds for what bears it now. Nothing but a trace ever moves, which takes rights on both experiments."""

_CHUNK: Final = 400
"""Values in one SELECT; SQLite takes 999 variables, older ones no more."""
_THREADS: Final = 8
_NO_ANSWER: Final = "MLflow's database gave no answer; try again."

_log = logging.getLogger(__name__)

Sessions = Callable[[], AbstractContextManager[Session]]


class _Read(Protocol):
    def __call__(self, session: Session, *, values: Collection[str], workspace: str) -> dict[str, str]:
        """What one SELECT finds."""


_Key = tuple[str, Identifier, str]


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
        self._homes: ExpiringCache[_Key, str] = ExpiringCache(size=size, monotonic=monotonic)
        self.statistics = Statistics(caches={"homes": self._homes})
        # A pool of its own: a database that hangs must not take the threads of others.
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="lookup")

    def close(self) -> None:
        """End the threads, without waiting for a database that hangs."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def names(
        self, resource: Resource, identifier: Identifier, values: Collection[str], *, workspace: str
    ) -> Mapping[str, str]:
        """The name of each object of ``workspace`` that one of ``values`` identifies.

        Raises :class:`UnavailableError` when the database gives no answer.
        """
        housed = resource is Resource.EXPERIMENTS and identifier in HOUSED
        run, threads = asyncio.get_running_loop().run_in_executor, self._threads
        if not housed:
            return await run(threads, partial(self._names_of, resource, identifier, values, workspace))
        keys = {value: (workspace, identifier, value) for value in values}
        known = {value: home for value, key in keys.items() if (home := self._homes.get(key)) is not None}
        homes, names = await run(threads, partial(self._names_by_homes, identifier, values, known, workspace))
        for value in homes.keys() - known.keys():
            self._homes.put(keys[value], homes[value], seconds=HOME_SECONDS)
        return names

    async def named(self, resource: Resource, names: Collection[str], *, workspace: str) -> Mapping[str, str]:
        """See :func:`existing_in`. Raises :class:`UnavailableError` when the database gives no answer.

        Nothing is remembered: who has just made an object finds it.
        """
        read = partial(existing_in, resource=resource)
        sessions = self._registry if resource is Resource.REGISTERED_MODELS else self._sessions
        work = partial(self._read, sessions, read, sorted(names), workspace)
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _names_of(
        self, resource: Resource, identifier: Identifier, values: Collection[str], workspace: str
    ) -> dict[str, str]:
        read = partial(names_in, resource=resource, identifier=identifier)
        return self._read(self._sessions, read, list(values), workspace)

    def _names_by_homes(
        self, identifier: Identifier, values: Collection[str], known: Mapping[str, str], workspace: str
    ) -> tuple[dict[str, str], dict[str, str]]:
        """In which experiments ``values`` lie, and the names of those of the workspace."""
        missing = [value for value in values if value not in known]
        read = partial(homes_in, identifier=identifier)
        homes = {**known, **self._read(self._sessions, read, missing, workspace)}
        names = self._names_of(
            Resource.EXPERIMENTS, Identifier.EXPERIMENT_ID, sorted(set(homes.values())), workspace
        )
        return homes, {value: names[home] for value, home in homes.items() if home in names}

    def _read(
        self, store: Callable[[], Sessions | None], read: _Read, values: list[str], workspace: str
    ) -> dict[str, str]:
        column = workspace if self._workspaces else DEFAULT_WORKSPACE_NAME
        try:
            sessions = store() if values else None
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
