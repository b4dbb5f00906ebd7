"""Objects at the seam of the look-up: a few that exist, and bodies that are plain JSON."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workspace_authz.catalog.graphql import FieldCall
from workspace_authz.catalog.model import Identifier, Route
from workspace_authz.errors import BadRequestError, RequestError
from workspace_authz.types import Resource

Asked = tuple[Resource, Identifier, tuple[str, ...], str]


@dataclass
class KnownObjects:
    """Knows the objects of one workspace; remembers what was asked, and can fail."""

    known: Mapping[str, str]
    """Names by id."""
    workspace: str = "team-a"
    error: RequestError | None = None
    calls: Sequence[FieldCall] = ()
    """Of whatever GraphQL document."""
    read: int = 0
    asked: list[Asked] = field(default_factory=list)

    async def message(
        self, route: Route, *, method: str, query: bytes, headers: Iterable[tuple[bytes, bytes]], body: bytes
    ) -> Mapping[str, Any]:
        self.read += 1
        try:
            document: Mapping[str, Any] = json.loads(body)
        except ValueError as error:
            raise BadRequestError("unreadable") from error
        return document

    async def document(
        self, *, method: str, query: bytes, headers: Iterable[tuple[bytes, bytes]], body: bytes
    ) -> Sequence[FieldCall]:
        self.read += 1
        return self.calls

    async def traces(self, spans: bytes, *, as_json: bool) -> Collection[str]:
        return set(spans.decode().split())

    async def names(
        self, resource: Resource, identifier: Identifier, values: Collection[str], *, workspace: str
    ) -> Mapping[str, str]:
        self.asked.append((resource, identifier, tuple(values), workspace))
        if self.error is not None:
            raise self.error
        if workspace != self.workspace:
            return {}
        return {value: self.known[value] for value in values if value in self.known}
