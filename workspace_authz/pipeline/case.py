"""One guarded request, with everything that it takes to decide on it."""

from __future__ import annotations

from dataclasses import dataclass, field

from workspace_authz.authorizer.named_rights import NamedRights
from workspace_authz.catalog.model import Route
from workspace_authz.effects.page_tokens import PageTokenCipher
from workspace_authz.mlflow_adapter.reading.reader import RequestReader
from workspace_authz.mlflow_adapter.reading.request import AccessRequest
from workspace_authz.mlflow_adapter.store.protocol import ObjectStore
from workspace_authz.pipeline.rights import Rights
from workspace_authz.restrictions.shared_sources import SharedSources


@dataclass(frozen=True, slots=True)
class ListRights:
    """What it takes to keep a list to what a caller may see."""

    named: NamedRights
    cipher: PageTokenCipher


@dataclass(frozen=True, slots=True)
class Case:
    """See the module. ``store`` is None where no MLflow is at hand: then only broad rights count."""

    reader: RequestReader
    rights: Rights
    workspace: str | None
    """The request's; None on a server without workspaces."""
    store: ObjectStore | None = None
    lists: ListRights | None = None
    """None where no MLflow is at hand: lists are for broad rights only."""
    shared: SharedSources = field(default_factory=SharedSources)
    """Where every workspace may register models from."""

    @property
    def objects(self) -> ObjectStore:
        """MLflow's objects. Raises ``TypeError`` where no MLflow is at hand."""
        if self.store is None:
            raise TypeError("there is no MLflow to look names up in")
        return self.store

    @property
    def request(self) -> AccessRequest:
        """The request itself."""
        return self.reader.request

    @property
    def route(self) -> Route:
        """What is asked."""
        return self.reader.match.route
