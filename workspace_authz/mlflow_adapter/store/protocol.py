"""What the pipeline asks MLflow's database. Nothing here imports MLflow."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from workspace_authz.catalog.model import Identifier
from workspace_authz.mlflow_adapter.reading.places import Place
from workspace_authz.types import Resource


class ObjectStore(Protocol):
    """Finds objects of a workspace. All methods raise :class:`UnavailableError` without an answer."""

    async def names(
        self, values: Collection[str], *, resource: Resource, identifier: Identifier, workspace: str
    ) -> Mapping[str, str]:
        """The RBAC names of what ``values`` identify in ``workspace``, as far as they identify something."""

    async def named(self, resource: Resource, names: Collection[str], *, workspace: str) -> Mapping[str, str]:
        """The names of the objects of ``workspace`` whose name is one of ``names``, by id."""

    async def experiments_at(self, place: Place, *, workspace: str) -> frozenset[str]:
        """The names of the experiments of ``workspace`` whose artifacts a reader of ``place`` can reach.

        Empty for a place in no experiment.
        """
