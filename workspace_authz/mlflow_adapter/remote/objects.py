"""Look-ups by MLflow's REST API, where :class:`~..store.objects.StoreObjects` has its database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final
from urllib.parse import quote

from workspace_authz.aio.cache import ExpiringCache
from workspace_authz.aio.statistics import Statistics
from workspace_authz.catalog.model import Identifier
from workspace_authz.errors import BadRequestError, UnappliedEffectError, UnavailableError
from workspace_authz.mlflow_adapter.reading.places import Place
from workspace_authz.mlflow_adapter.remote.client import NO_ANSWER, MlflowApi
from workspace_authz.mlflow_adapter.remote.locations import RemoteLocations
from workspace_authz.mlflow_adapter.remote.lookups import (
    IN_EXPERIMENT,
    MOST_TRACES,
    NAMED,
    TRACE_KINDS,
    TRACES,
    Lookup,
    traces_in,
)
from workspace_authz.types import Resource

EXPERIMENT_ID_SECONDS: Final = 2.0
"""How long the experiment of an object is cached. Names are never cached."""
MOST_LOOKUPS: Final = 100
"""Objects that one request may name which are looked up one by one."""
_LONGEST: Final = 256
_SKILLS: Final = "/api/3.0/mlflow/skills"

_Key = tuple[str, Identifier, str]


class RemoteObjects:
    """Implements :class:`~workspace_authz.mlflow_adapter.store.protocol.ObjectStore`.

    ``workspaces``: whether that MLflow has workspaces.
    """

    def __init__(
        self, api: MlflowApi, *, workspaces: bool, monotonic: Callable[[], float], size: int = 50_000
    ) -> None:
        self._api = api
        self._workspaces = workspaces
        self._experiment_ids: ExpiringCache[_Key, str] = ExpiringCache(size=size, monotonic=monotonic)
        self._locations = RemoteLocations(api, monotonic)
        self.statistics = Statistics(caches={"experiment_ids": self._experiment_ids})

    async def names(
        self, values: Collection[str], *, resource: Resource, identifier: Identifier, workspace: str
    ) -> Mapping[str, str]:
        """See :class:`~workspace_authz.mlflow_adapter.store.protocol.ObjectStore`.

        Raises :class:`UnavailableError` without an answer, :class:`BadRequestError` for too many values, and
        :class:`UnappliedEffectError` for identifiers that MLflow's REST API does not resolve.
        """
        possible = [value for value in values if 0 < len(value) <= _LONGEST and "\0" not in value]
        if identifier is Identifier.GATEWAY_TRACE_ID:
            return await self._traces(possible, identifier, workspace=workspace)
        if resource is Resource.EXPERIMENTS and identifier is not Identifier.EXPERIMENT_ID:
            return await self._by_experiments(possible, identifier, workspace=workspace)
        lookup = NAMED.get((resource, identifier))
        if lookup is None:
            raise _unknown(identifier)
        return await self._each(possible, lookup, workspace=workspace)

    async def named(self, resource: Resource, names: Collection[str], *, workspace: str) -> Mapping[str, str]:
        """See :class:`~workspace_authz.mlflow_adapter.store.protocol.ObjectStore`: for skills alone.

        All others are asked for to keep a list to single objects, which is not done here. Raises
        :class:`UnappliedEffectError`, and as :meth:`names`.
        """
        if not names:
            return {}
        if resource is not Resource.SKILLS:
            raise UnappliedEffectError(
                "You hold rights on single objects only, and lists are not kept to them here: ask for an "
                "object by its name or id."
            )
        _refuse_many(names)
        found = await asyncio.gather(*(self._skill(name, workspace=workspace) for name in names))
        return {name: name for name, exists in zip(names, found, strict=True) if exists}

    async def experiments_at(self, place: Place, *, workspace: str) -> frozenset[str]:
        """See :class:`~workspace_authz.mlflow_adapter.store.protocol.ObjectStore`.

        Raises :class:`UnavailableError` without an answer.
        """
        owners = await self._locations.owners(place, workspace=workspace, header=self._header(workspace))
        names = await self.names(
            sorted(owners),
            resource=Resource.EXPERIMENTS,
            identifier=Identifier.EXPERIMENT_ID,
            workspace=workspace,
        )
        return frozenset(names.values()) if names.keys() == owners else frozenset()

    async def _by_experiments(
        self, values: Sequence[str], identifier: Identifier, *, workspace: str
    ) -> Mapping[str, str]:
        keys = {value: (workspace, identifier, value) for value in values}
        known = {
            value: experiment
            for value, key in keys.items()
            if (experiment := self._experiment_ids.get(key)) is not None
        }
        missing = [value for value in values if value not in known]
        found = await self._experiments(missing, identifier, workspace=workspace)
        for value, experiment in found.items():
            self._experiment_ids.put(keys[value], experiment, seconds=EXPERIMENT_ID_SECONDS)
        experiments = {**known, **found}
        names = await self.names(
            sorted(set(experiments.values())),
            resource=Resource.EXPERIMENTS,
            identifier=Identifier.EXPERIMENT_ID,
            workspace=workspace,
        )
        return {value: names[experiment] for value, experiment in experiments.items() if experiment in names}

    async def _experiments(
        self, values: Sequence[str], identifier: Identifier, *, workspace: str
    ) -> Mapping[str, str]:
        if identifier in TRACE_KINDS:
            return await self._traces(values, identifier, workspace=workspace)
        lookup = IN_EXPERIMENT.get(identifier)
        if lookup is None:
            raise _unknown(identifier)
        return await self._each(values, lookup, workspace=workspace)

    async def _each(self, values: Sequence[str], lookup: Lookup, *, workspace: str) -> Mapping[str, str]:
        _refuse_many(values)
        results = await asyncio.gather(*(self._one(value, lookup, workspace=workspace) for value in values))
        return {value: name for value, name in zip(values, results, strict=True) if name is not None}

    async def _one(self, value: str, lookup: Lookup, *, workspace: str) -> str | None:
        question = lookup.question(value)
        if question is None:
            return None
        path, query = question
        answer = await self._api.ask("GET", path, query=query, workspace=self._header(workspace))
        return None if answer.nothing else lookup.result(answer.document(), value)

    async def _traces(
        self, values: Sequence[str], identifier: Identifier, *, workspace: str
    ) -> Mapping[str, str]:
        """The traces that there are. An answer that is no list is no answer: a trace may be there."""
        found: dict[str, str] = {}
        for start in range(0, len(values), MOST_TRACES):
            asked = list(values[start : start + MOST_TRACES])
            answer = await self._api.ask(
                "POST", TRACES, body={"trace_ids": asked}, workspace=self._header(workspace)
            )
            try:
                found |= traces_in(answer.document(), identifier=identifier)
            except (AttributeError, TypeError):
                raise UnavailableError(NO_ANSWER) from None
        return {value: found[value] for value in values if value in found}

    async def _skill(self, name: str, *, workspace: str) -> bool:
        path = "/".join(quote(part, safe="@") for part in name.split("/"))
        answer = await self._api.ask("GET", f"{_SKILLS}/{path}", workspace=self._header(workspace))
        return not answer.nothing and bool(answer.document())

    def _header(self, workspace: str) -> str | None:
        return workspace if self._workspaces else None


def _refuse_many(values: Collection[str]) -> None:
    if len(values) > MOST_LOOKUPS:
        raise BadRequestError(f"At most {MOST_LOOKUPS} objects of one request are looked up here.")


def _unknown(identifier: Identifier) -> UnappliedEffectError:
    return UnappliedEffectError(
        f"Rights on single objects do not suffice here: MLflow's REST API does not say what a {identifier} "
        "belongs to."
    )
