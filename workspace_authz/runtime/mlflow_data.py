"""What a worker reads from MLflow's databases, and keeps in them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from workspace_authz.aio.clock import Clock
from workspace_authz.aio.supervisor import Supervisor
from workspace_authz.effects.ciphers import SharedKeyCipher
from workspace_authz.mlflow_adapter.reading.mlflow_reading import MLflowReading
from workspace_authz.mlflow_adapter.store.engines import (
    data_engines,
    registry_sessions,
    tracking_engine,
    tracking_sessions,
)
from workspace_authz.mlflow_adapter.store.objects import StoreObjects
from workspace_authz.runtime.health import Check
from workspace_authz.runtime.store_probe import StoreProbes, store_probes
from workspace_authz.runtime.worker_config import WorkerConfig
from workspace_authz.tenancy.registry import Databases, TenancyRegistry
from workspace_authz.workspaces.directory import Directory

_PAGE_TOKENS: Final = "page tokens"


@dataclass(frozen=True, slots=True)
class DatabaseData:
    """In MLflow's own process. ``close`` it at the end."""

    reading: MLflowReading
    """Reads requests as MLflow does."""
    objects: StoreObjects
    """Finds the names of objects."""
    tenancy: TenancyRegistry
    """Knows which namespace a workspace's data belong to."""
    cipher: SharedKeyCipher
    """Decrypts the page tokens of every worker and replica, once it has their key."""
    probes: StoreProbes
    """Know whether the stores answer."""

    def prepare(self, supervisor: Supervisor, directory: Directory | None) -> None:
        """Begin in the background: claim the data that are there for their namespaces, and share the key."""
        self.probes.start(supervisor)
        supervisor.run("page token key", self._share_key)
        if directory is not None:
            supervisor.run("tenancy", partial(self.tenancy.prepare, directory))

    async def _share_key(self) -> None:
        key = await self.tenancy.key(_PAGE_TOKENS)
        self.cipher.use((key or secrets.token_bytes(32)).hex())

    def checks(self, directory: Directory | None) -> dict[str, Check]:
        """What keeps the worker from serving, as far as the databases go."""
        checks: dict[str, Check] = {}
        if self.probes.databases:
            checks["database"] = self.probes.database_problem
        if self.probes.artifacts:
            checks["artifacts"] = self.probes.artifact_problem
        if directory is not None:
            checks["tenancy"] = lambda: self.tenancy.problem
        return checks

    def notes(self) -> Sequence[str]:
        """See :class:`~workspace_authz.runtime.data.Data`."""
        return self.probes.notes()

    def obstacle(self) -> str | None:
        """See :class:`~workspace_authz.runtime.data.Data`: the release that is judged for is this one."""
        return None

    def close(self) -> None:
        """End all threads, without waiting for a database that hangs."""
        self.reading.close()
        self.objects.close()
        self.tenancy.close()


def mlflow_data(config: WorkerConfig, *, clock: Clock) -> DatabaseData:
    """MLflow's stores as this process has them. Nothing is opened before it is needed."""
    return DatabaseData(
        reading=MLflowReading(),
        objects=StoreObjects(
            tracking_sessions,
            registry=registry_sessions,
            workspaces=config.policy is not None,
            monotonic=time.monotonic,
        ),
        tenancy=TenancyRegistry(Databases(tracking_engine, data_engines), clock=clock),
        cipher=SharedKeyCipher(),
        probes=store_probes(config, clock=clock),
    )
