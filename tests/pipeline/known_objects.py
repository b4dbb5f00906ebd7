"""Objects at the seam of the look-up: a few that exist, and bodies that are plain JSON."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from workspace_authz.catalog.graphql import Changes, FieldCall
from workspace_authz.catalog.listing import Clause
from workspace_authz.catalog.model import Identifier, Route
from workspace_authz.catalog.stamp import Stamp
from workspace_authz.errors import BadRequestError, MlflowRefusedError, RequestError
from workspace_authz.mlflow_adapter.reading.places import Place
from workspace_authz.types import Resource

Asked = tuple[Resource, Identifier, tuple[str, ...], str]


@dataclass(frozen=True)
class KnownSpans:
    """An export whose body lists the ids of its traces."""

    body: bytes

    def trace_ids(self) -> frozenset[str]:
        return frozenset(self.body.decode().split())

    def trace_tags(self) -> Iterable[str]:
        return ()

    def stamped(self, stamps: Iterable[Stamp], name: str) -> bytes:
        return self.body


@dataclass
class KnownObjects:
    """Implements ``Reading`` and ``ObjectStore``; remembers what was asked, and can fail."""

    known: Mapping[str, str]
    """Names by id; the shortest are those of named objects."""
    workspace: str = "team-a"
    error: RequestError | None = None
    refused: MlflowRefusedError | None = None
    """What MLflow answers to a request whose form it does not take."""
    calls: Sequence[FieldCall] = ()
    """Of whatever GraphQL document."""
    obedient: bool = True
    """Whether a document that was written anew is read as it was meant."""
    clauses: bool = True
    """Whether this MLflow understands a clause before a filter."""
    fields: bool = True
    """Whether it has each field that it is asked about."""
    read: int = 0
    asked: list[Asked] = field(default_factory=list)

    async def message(
        self, route: Route, *, method: str, query: bytes, headers: Iterable[tuple[bytes, bytes]], body: bytes
    ) -> Mapping[str, Any]:
        self.read += 1
        if method == "GET" and query:
            found = parse_qs(query.decode(), keep_blank_values=True)
            return {
                name: values if name.endswith("_ids") or len(values) > 1 else values[0]
                for name, values in found.items()
            }
        try:
            document: Any = json.loads(body or b"{}")
        except (ValueError, RecursionError) as error:
            raise BadRequestError("unreadable") from error
        if not isinstance(document, dict):
            raise BadRequestError("unreadable")
        return document

    async def refusal(
        self, route: Route, *, method: str, query: bytes, headers: Iterable[tuple[bytes, bytes]], body: bytes
    ) -> MlflowRefusedError | None:
        return self.refused

    def path_refusal(self, path: str) -> MlflowRefusedError | None:
        return None

    async def document(
        self, *, method: str, query: bytes, headers: Iterable[tuple[bytes, bytes]], body: bytes
    ) -> Sequence[FieldCall]:
        self.read += 1
        try:
            document = json.loads(body or b"{}")
        except (ValueError, RecursionError) as error:
            raise BadRequestError("unreadable") from error
        if not isinstance(document, dict):
            raise BadRequestError("unreadable")
        changes = document.get("changes", {}) if self.obedient else {}
        return [call.changed(changes) for call in self.calls]

    async def changed_document(
        self,
        changes: Changes,
        *,
        method: str,
        query: bytes,
        headers: Iterable[tuple[bytes, bytes]],
        body: bytes,
    ) -> bytes:
        return json.dumps({"changes": changes}).encode()

    async def spans(self, body: bytes, *, encoding: bytes, as_json: bool) -> KnownSpans:
        self.read += 1
        return KnownSpans(body)

    async def names(
        self, values: Collection[str], *, resource: Resource, identifier: Identifier, workspace: str
    ) -> Mapping[str, str]:
        self.asked.append((resource, identifier, tuple(values), workspace))
        if self.error is not None:
            raise self.error
        if workspace != self.workspace:
            return {}
        return {value: self.known[value] for value in values if value in self.known}

    async def named(self, resource: Resource, names: Collection[str], *, workspace: str) -> Mapping[str, str]:
        if self.error is not None:
            raise self.error
        if workspace != self.workspace:
            return {}
        return {key: name for key, name in self.known.items() if len(key) < 3 and name in names}

    async def experiments_at(self, place: Place, *, workspace: str) -> frozenset[str]:
        """The location of each experiment is its id, in whatever store."""
        names = await self.names(
            place.segments[:1],
            resource=Resource.EXPERIMENTS,
            identifier=Identifier.EXPERIMENT_ID,
            workspace=workspace,
        )
        return frozenset(names.values())

    async def narrowed_filter(
        self, operation: str, clause: Clause, *, values: Collection[str], theirs: str
    ) -> str | None:
        if not self.clauses:
            return None
        ours = f"{clause.key} IN ({','.join(values)})"
        return f"{ours} AND {theirs}" if theirs else ours

    async def any_large_filter(self, texts: Collection[str], *, comparisons: int) -> bool:
        return False

    def has_field(self, route: Route, field: str) -> bool:
        return self.fields
