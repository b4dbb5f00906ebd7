"""What a worker knows of MLflow's data: by its databases, or from another process by its REST API."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from typing import Protocol

from workspace_authz.aio.clock import Clock
from workspace_authz.aio.statistics import Statistics
from workspace_authz.aio.supervisor import Supervisor
from workspace_authz.effects.ciphers import AesCipher
from workspace_authz.effects.page_tokens import PageTokenCipher
from workspace_authz.mlflow_adapter.reading.mlflow_reading import MLflowReading
from workspace_authz.mlflow_adapter.reading.reader import Reading
from workspace_authz.mlflow_adapter.remote.client import MlflowAddress, MlflowApi
from workspace_authz.mlflow_adapter.remote.objects import RemoteObjects
from workspace_authz.mlflow_adapter.remote.release import ReleaseProbe
from workspace_authz.mlflow_adapter.store.protocol import ObjectStore
from workspace_authz.pipeline.parts import Tenancy
from workspace_authz.runtime.health import Check
from workspace_authz.runtime.mlflow_data import mlflow_data
from workspace_authz.runtime.worker_config import WorkerConfig
from workspace_authz.workspaces.directory import Directory


class CountedObjects(ObjectStore, Protocol):
    """Finds objects, and counts."""

    @property
    def statistics(self) -> Statistics:
        """Its caches."""


class Data(Protocol):
    """What the rest of a worker needs."""

    @property
    def reading(self) -> Reading:
        """Reads requests as MLflow does."""

    @property
    def objects(self) -> CountedObjects:
        """Finds the names of objects."""

    @property
    def tenancy(self) -> Tenancy | None:
        """Knows which namespace a workspace's data belong to; None where that is not known."""

    @property
    def cipher(self) -> PageTokenCipher:
        """For page tokens."""

    def prepare(self, supervisor: Supervisor, directory: Directory | None) -> None:
        """Begin in the background."""

    def checks(self, directory: Directory | None) -> dict[str, Check]:
        """What keeps the worker from serving."""

    def notes(self) -> Sequence[str]:
        """What is away while the rest works, as sentences."""

    def obstacle(self) -> str | None:
        """Why no request can be judged, as a sentence; None while all is well."""


@dataclass(frozen=True, slots=True)
class RemoteData:
    """The data of an MLflow in another process. Whose they are is not known: there is no tenancy."""

    reading: Reading
    objects: RemoteObjects
    release: ReleaseProbe
    cipher: AesCipher
    """No list is filtered here, so nobody gets a page token."""
    tenancy: None = None

    def prepare(self, supervisor: Supervisor, directory: Directory | None) -> None:
        """See :class:`Data`."""
        supervisor.run("mlflow release", self.release.run)

    def checks(self, directory: Directory | None) -> dict[str, Check]:
        """See :class:`Data`."""
        return {"mlflow": self.obstacle}

    def notes(self) -> Sequence[str]:
        """See :class:`Data`."""
        return ()

    def obstacle(self) -> str | None:
        """See :class:`Data`."""
        return self.release.problem


@asynccontextmanager
async def data_of(config: WorkerConfig, clock: Clock) -> AsyncIterator[Data]:
    """MLflow's data while the block runs. Nothing is opened before it is needed."""
    workspaces = config.policy is not None
    if config.mlflow is None:
        with closing(mlflow_data(config, clock=clock)) as data:
            yield data
        return
    async with _remote(config.mlflow, workspaces=workspaces, clock=clock) as remote:
        yield remote


@asynccontextmanager
async def _remote(address: MlflowAddress, *, workspaces: bool, clock: Clock) -> AsyncIterator[RemoteData]:
    api = MlflowApi(address)
    try:
        with closing(MLflowReading()) as reading:
            yield RemoteData(
                reading,
                RemoteObjects(api, workspaces=workspaces, monotonic=time.monotonic),
                ReleaseProbe(api, workspaces=workspaces, clock=clock),
                AesCipher(None),
            )
    finally:
        await api.close()
