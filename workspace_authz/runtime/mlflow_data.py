"""What a worker reads from MLflow's databases, and keeps in them."""

from __future__ import annotations

import secrets
import time
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

    def prepare(self, supervisor: Supervisor, directory: Directory | None) -> None:
        """Begin in the background: claim the data that are there for their namespaces, and share the key."""
        supervisor.run("page token key", self._share_key)
        if directory is not None:
            supervisor.run("tenancy", partial(self.tenancy.prepare, directory))

    async def _share_key(self) -> None:
        key = await self.tenancy.key(_PAGE_TOKENS)
        self.cipher.use((key or secrets.token_bytes(32)).hex())

    def checks(self, directory: Directory | None) -> dict[str, Check]:
        """What keeps the worker from serving, as far as the databases go."""
        return {"tenancy": lambda: self.tenancy.problem} if directory is not None else {}

    def obstacle(self) -> str | None:
        """See :class:`~workspace_authz.runtime.data.Data`: the release that is judged for is this one."""
        return None

    def close(self) -> None:
        """End all threads, without waiting for a database that hangs."""
        self.reading.close()
        self.objects.close()
        self.tenancy.close()


def mlflow_data(*, workspaces: bool, clock: Clock) -> DatabaseData:
    """MLflow's stores as this process has them. Nothing is opened before it is needed."""
    return DatabaseData(
        reading=MLflowReading(),
        objects=StoreObjects(
            tracking_sessions,
            registry=registry_sessions,
            workspaces=workspaces,
            monotonic=time.monotonic,
        ),
        tenancy=TenancyRegistry(Databases(tracking_engine, data_engines), clock=clock),
        cipher=SharedKeyCipher(),
    )
