"""Look-ups in MLflow's database in a worker: names by identifier, and which names exist."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, Protocol

from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from workspace_authz.aio.cache import ExpiringCache
from workspace_authz.aio.statistics import Statistics
from workspace_authz.catalog.model import Identifier
from workspace_authz.errors import UnavailableError
from workspace_authz.mlflow_adapter.reading.places import Place
from workspace_authz.mlflow_adapter.store.engines import NO_ANSWER, Sessions
from workspace_authz.mlflow_adapter.store.existing import existing_in
from workspace_authz.mlflow_adapter.store.locations import ExperimentLocations
from workspace_authz.mlflow_adapter.store.names import IN_EXPERIMENT, experiment_ids_in, names_in
from workspace_authz.mlflow_adapter.store.tables import DEFAULT_WORKSPACE
from workspace_authz.types import Resource

EXPERIMENT_ID_SECONDS: Final = 2.0
"""How long the experiment of an object is cached. Only traces ever move to another experiment, and moving one
takes rights on both. Names are never cached: a right on a name holds for the object that has it now."""

_CHUNK: Final = 400
"""How many values go into one SELECT. Older SQLite takes at most 999 variables."""
_THREADS: Final = 8

_log = logging.getLogger(__name__)


class _Read(Protocol):
    def __call__(self, session: Session, *, values: Collection[str], workspace: str) -> dict[str, str]:
        """What one SELECT finds."""


_Key = tuple[str, Identifier, str]
"""Workspace, kind of identifier, and identifier."""


class StoreObjects:
    """Finds objects and their names in MLflow's database. :meth:`close` it at the end.

    ``sessions`` and ``registry`` open sessions of the tracking store and of the model registry, or are None
    where that keeps its data in files; ``workspaces``: whether the server has workspaces; ``size``: the
    largest number of objects whose experiment is cached.
    """

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
        self._experiment_ids: ExpiringCache[_Key, str] = ExpiringCache(size=size, monotonic=monotonic)
        self._locations = ExperimentLocations(monotonic)
        self.statistics = Statistics(caches={"experiment_ids": self._experiment_ids})
        # A pool of its own: a database that hangs must not take the threads of others.
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="lookup")

    def close(self) -> None:
        """End the threads, without waiting for a database that hangs."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def names(
        self, values: Collection[str], *, resource: Resource, identifier: Identifier, workspace: str
    ) -> Mapping[str, str]:
        """The RBAC name of each object of ``workspace`` that one of ``values`` identifies, by value.

        What lies in an experiment has the experiment's name. Values that identify nothing are left out.

        Raises :class:`UnavailableError` when the database gives no answer.
        """
        by_experiment = resource is Resource.EXPERIMENTS and identifier in IN_EXPERIMENT
        run, threads = asyncio.get_running_loop().run_in_executor, self._threads
        if not by_experiment:
            return await run(
                threads, partial(self._names_of, resource, identifier, values=values, workspace=workspace)
            )
        keys = {value: (workspace, identifier, value) for value in values}
        known = {
            value: experiment
            for value, key in keys.items()
            if (experiment := self._experiment_ids.get(key)) is not None
        }
        experiments, names = await run(
            threads, partial(self._names_by_experiments, identifier, values, known=known, workspace=workspace)
        )
        for value in experiments.keys() - known.keys():
            self._experiment_ids.put(keys[value], experiments[value], seconds=EXPERIMENT_ID_SECONDS)
        return names

    async def named(self, resource: Resource, names: Collection[str], *, workspace: str) -> Mapping[str, str]:
        """See :func:`existing_in`. Raises :class:`UnavailableError` when the database gives no answer.

        Nothing is cached, so an object is found as soon as it is made.
        """
        read = partial(existing_in, resource=resource)
        sessions = self._registry if resource is Resource.REGISTERED_MODELS else self._sessions
        work = partial(self._read, sessions, read, values=sorted(names), workspace=workspace)
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def experiments_at(self, place: Place, *, workspace: str) -> frozenset[str]:
        """See :class:`~workspace_authz.mlflow_adapter.store.protocol.ObjectStore`.

        Raises :class:`UnavailableError` when the database gives no answer.
        """
        work = partial(self._experiments_at, place, workspace=workspace)
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _experiments_at(self, place: Place, *, workspace: str) -> frozenset[str]:
        def read(session: Session, *, values: Collection[str], workspace: str) -> dict[str, str]:
            owners = self._locations.owners(session, place, workspace=workspace)
            names = names_in(
                session,
                resource=Resource.EXPERIMENTS,
                identifier=Identifier.EXPERIMENT_ID,
                values=owners,
                workspace=workspace,
            )
            return names if names.keys() == owners else {}

        return frozenset(self._read(self._sessions, read, values=[""], workspace=workspace).values())

    def _names_of(
        self, resource: Resource, identifier: Identifier, *, values: Collection[str], workspace: str
    ) -> dict[str, str]:
        read = partial(names_in, resource=resource, identifier=identifier)
        return self._read(self._sessions, read, values=list(values), workspace=workspace)

    def _names_by_experiments(
        self, identifier: Identifier, values: Collection[str], *, known: Mapping[str, str], workspace: str
    ) -> tuple[dict[str, str], dict[str, str]]:
        """The ids of the experiments of ``values``, and the names of those in the workspace, by value."""
        missing = [value for value in values if value not in known]
        read = partial(experiment_ids_in, identifier=identifier)
        experiments = {**known, **self._read(self._sessions, read, values=missing, workspace=workspace)}
        names = self._names_of(
            Resource.EXPERIMENTS,
            Identifier.EXPERIMENT_ID,
            values=sorted(set(experiments.values())),
            workspace=workspace,
        )
        return experiments, {
            value: names[experiment] for value, experiment in experiments.items() if experiment in names
        }

    def _read(
        self, store: Callable[[], Sessions | None], read: _Read, *, values: list[str], workspace: str
    ) -> dict[str, str]:
        column = workspace if self._workspaces else DEFAULT_WORKSPACE
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
            raise UnavailableError(NO_ANSWER) from error
