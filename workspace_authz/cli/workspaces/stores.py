"""What ``workspace-authz workspaces`` reads: the server's databases and the cluster's namespaces."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Engine

from workspace_authz.cli.options import backend_store_uri
from workspace_authz.database.schema import migrate
from workspace_authz.errors import ConfigurationError
from workspace_authz.kubernetes.configuration import load_configuration
from workspace_authz.kubernetes.connection import Connection, server_connection
from workspace_authz.kubernetes.listwatch import get_page
from workspace_authz.kubernetes.listwatch_answers import ListWatchError
from workspace_authz.kubernetes.reviews import ApiReviews
from workspace_authz.mlflow_adapter.store.engines import open_engines
from workspace_authz.mlflow_adapter.store.workspace_data import count_objects, workspaces_with_data
from workspace_authz.tenancy.claims import read_claims
from workspace_authz.tenancy.states import ClusterNamespace, WorkspaceStatus, workspace_statuses

_SECONDS = 30.0
_PAGE = "500"


@dataclass(frozen=True, slots=True)
class Stores:
    """The server's databases."""

    tracking: Engine
    """The tracking store's, where the claims are."""
    all: Sequence[Engine]
    """All that hold data of workspaces."""

    def statuses(self, namespaces: Mapping[str, ClusterNamespace]) -> list[WorkspaceStatus]:
        """Every workspace that is claimed or holds data. Raises ``SQLAlchemyError``."""
        counts = count_objects(self.all)
        objects = {name: counts.get(name, {}) for name in workspaces_with_data(self.all)}
        return workspace_statuses(claims=read_claims(self.tracking), namespaces=namespaces, objects=objects)


@contextmanager
def open_stores(options: argparse.Namespace) -> Iterator[Stores]:
    """Open the databases, with our tables in them. Raises :class:`ConfigurationError`."""
    backend = backend_store_uri(options)
    with open_engines(backend, options.registry_store_uri or backend) as engines:
        migrate(engines[0])
        yield Stores(engines[0], engines)


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster at one moment, as the caller may see it."""

    user: str
    """The Kubernetes user whose credential was used."""
    namespaces: Mapping[str, ClusterNamespace]


def read_cluster(options: argparse.Namespace) -> Cluster:
    """The cluster of the kubeconfig, read now. Raises :class:`AuthzError`."""
    return asyncio.run(_read_cluster(options.kubeconfig))


async def _read_cluster(kubeconfig: str | None) -> Cluster:
    connection = server_connection(await load_configuration(kubeconfig))
    try:
        user = await ApiReviews(connection, timeout=_SECONDS).who("")
        return Cluster(user.username, await _namespaces(connection))
    except ListWatchError as error:
        raise ConfigurationError(f"The namespaces cannot be listed with your credential: {error}.") from error
    finally:
        await connection.close()


async def _namespaces(connection: Connection) -> dict[str, ClusterNamespace]:
    found: dict[str, ClusterNamespace] = {}
    query = {"limit": _PAGE}
    while True:
        page = await get_page(connection, "/api/v1/namespaces", query=query, timeout=_SECONDS)
        for item in page.items:
            metadata = item.get("metadata") or {}
            found[str(metadata.get("name"))] = ClusterNamespace(
                str(metadata.get("uid") or "unknown"), terminating=bool(metadata.get("deletionTimestamp"))
            )
        if not page.token:
            return found
        query["continue"] = page.token
