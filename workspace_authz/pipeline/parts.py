"""What the pipeline asks of others, beside identity and rights."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from workspace_authz.mlflow_adapter.reading.reader import Reading
from workspace_authz.mlflow_adapter.store.protocol import ObjectStore
from workspace_authz.pipeline.case import ListRights


class Namespace(Protocol):
    """One namespace."""

    @property
    def uid(self) -> str:
        """Another for each namespace that ever had the name."""

    @property
    def model_sources(self) -> str | None:
        """What it leaves of the places from which models may be registered; None leaves all."""


class Workspaces(Protocol):
    """The namespaces that are workspaces."""

    def names(self) -> Iterable[str]:
        """All of them, from memory."""

    def get(self, name: str) -> Namespace | None:
        """The namespace, if memory knows it; never asks anybody."""

    async def lookup(self, name: str) -> Namespace | None:
        """The namespace, be it made a moment ago; None when it is missing, hidden or being deleted."""


class Tenancy(Protocol):
    """Which namespace the data of a workspace belong to."""

    async def check(self, workspace: str, uid: str, *, writes: bool) -> None:
        """Raise :class:`ForbiddenError` for a closed workspace: its data belong to another namespace.

        A workspace without data is open; the first request that ``writes`` claims it for the namespace.
        """


@dataclass(frozen=True, slots=True)
class MLflowAtHand:
    """What the pipeline needs of MLflow, in a process that hosts it."""

    reading: Reading
    store: ObjectStore
    tenancy: Tenancy | None = None
    """None on a server without workspaces."""
    lists: ListRights | None = None
    """None: lists are for broad rights only."""
