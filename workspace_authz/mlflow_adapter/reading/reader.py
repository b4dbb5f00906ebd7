"""The values that name objects in one request, exactly as MLflow's handler will read them.

Only who has no broad right comes here, so strictness costs nobody else: what could be read in two ways is
refused with 400.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import parse_qs

from workspace_authz.catalog.graphql import Changes, FieldCall
from workspace_authz.catalog.listing import Clause
from workspace_authz.catalog.model import Identifier, NameSource, Origin, Route
from workspace_authz.errors import BadRequestError
from workspace_authz.mlflow_adapter.reading.request import AccessRequest
from workspace_authz.restrictions.trace_locations import SPANS_BYTES, only_header, spans_in
from workspace_authz.types import Resource

MAX_VALUES: Final = 1000
"""The most objects that one field of a request may name."""

_AMBIGUOUS: Final = "The request names an object in two ways; provide only one of them."


class Objects(Protocol):
    """What only a process that hosts MLflow knows; see :mod:`workspace_authz.lookup`."""

    async def message(
        self, route: Route, *, method: str, query: bytes, headers: Iterable[tuple[bytes, bytes]], body: bytes
    ) -> Mapping[str, Any]:
        """The fields that MLflow's handler gets; raises ``BadRequestError`` if it would get none."""

    async def document(
        self, *, method: str, query: bytes, headers: Iterable[tuple[bytes, bytes]], body: bytes
    ) -> Sequence[FieldCall]:
        """Every place at which the request's GraphQL document asks for a field, were MLflow to execute it.

        Raises ``BadRequestError`` for what it would not execute.
        """

    async def changed_document(
        self,
        changes: Changes,
        *,
        method: str,
        query: bytes,
        headers: Iterable[tuple[bytes, bytes]],
        body: bytes,
    ) -> bytes:
        """A JSON body whose document asks the same with other arguments; read it back before it is used."""

    async def traces(self, spans: bytes, *, as_json: bool) -> Collection[str]:
        """The ids of the traces in an OTLP export; raises ``BadRequestError`` for what is none."""

    async def names(
        self, resource: Resource, identifier: Identifier, values: Collection[str], *, workspace: str
    ) -> Mapping[str, str]:
        """The RBAC names of what ``values`` identify in ``workspace``; raises ``UnavailableError``."""

    async def named(self, resource: Resource, names: Collection[str], *, workspace: str) -> Mapping[str, str]:
        """The objects of ``workspace`` that bear one of ``names``, by id; raises ``UnavailableError``."""

    async def narrowed_filter(
        self, operation: str, clause: Clause, values: Collection[str], theirs: str
    ) -> str | None:
        """The filter ``theirs`` narrowed by ``clause``, None where MLflow does not understand it.

        Raises ``BadRequestError`` for a filter that cannot be narrowed.
        """

    def has_field(self, route: Route, field: str) -> bool:
        """Whether MLflow knows this field of a request."""


class Values(Protocol):
    """What names objects: the fields of a request, or the arguments of a field in a GraphQL document."""

    async def values(self, source: NameSource, *, complete: bool) -> tuple[str, ...]:
        """The distinct values of ``source``, in their order; none if it is not there.

        ``complete`` demands one in every element of a list: none may go without.
        """


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments of one field in a GraphQL document."""

    call: FieldCall

    async def values(self, source: NameSource, *, complete: bool) -> tuple[str, ...]:
        """See :class:`Values`."""
        if source.origin is not Origin.GRAPHQL:
            return ()
        fields = (source.field, *source.aliases)
        found = [list(walk(self.call.arguments, field.split("."))) for field in fields]
        return _distinct(found, source, complete=complete)


class Reading:
    """One request, read at most once."""

    def __init__(
        self, objects: Objects, route: Route, *, request: AccessRequest, parameters: Mapping[str, str]
    ) -> None:
        self._objects = objects
        self._route = route
        self._request = request
        self._parameters = parameters
        self._message: Mapping[str, Any] | None = None

    async def values(self, source: NameSource, *, complete: bool) -> tuple[str, ...]:
        """See :class:`Values`."""
        found = [list(await self._read(source.origin, field)) for field in (source.field, *source.aliases)]
        return _distinct(found, source, complete=complete)

    async def _read(self, origin: Origin, field: str) -> Iterable[Any]:
        match origin:
            case Origin.PATH:
                return (self._parameters.get(field),)
            case Origin.HEADER:
                return self._header(field)
            case Origin.QUERY:
                return self._query(field)
            case Origin.SPANS:
                return await self._traces()
            case Origin.BODY:
                return walk(await self.fields(), field.split("."))
            case _:
                return ()

    def _header(self, field: str) -> Iterable[str]:
        values = self._request.header(field.lower().encode())
        if len(values) > 1:
            raise BadRequestError(_AMBIGUOUS)
        return [value.decode("latin-1") for value in values]

    def _query(self, field: str) -> Iterable[str]:
        """MLflow's handlers take the first of several, or all of them where the field is a list."""
        try:
            query = parse_qs(self._request.query.decode("ascii"), keep_blank_values=True, errors="strict")
        except ValueError as error:
            raise BadRequestError("The query string is not UTF-8.") from error
        values = query.get(field.removesuffix("[]"), [])
        return values if field.endswith("[]") else values[:1]

    async def _traces(self) -> Iterable[str]:
        content = await asyncio.to_thread(spans_in, self._request, await self._request.body.read(SPANS_BYTES))
        media = only_header(self._request, b"content-type").partition(b";")[0].strip()
        return sorted(await self._objects.traces(content, as_json=media == b"application/json"))

    async def fields(self) -> Mapping[str, Any]:
        """What MLflow's handler gets; raises ``BadRequestError`` if it would get nothing."""
        if self._message is None:
            body = await self._request.body.read()
            if body is None:
                raise BadRequestError("The body is too large to be searched for the names of objects.")
            self._message = await self._objects.message(
                self._route,
                method=self._request.method,
                query=self._request.query,
                headers=self._request.headers,
                body=body,
            )
        return self._message


def _distinct(found: list[list[Any]], source: NameSource, *, complete: bool) -> tuple[str, ...]:
    """The values of a field, of which ``found`` holds those of each spelling."""
    spelt = [values for values in found if any(_present(value) for value in values)]
    if not spelt:
        return ()
    if len(spelt) > 1 and any(values != spelt[0] for values in spelt):
        raise BadRequestError(_AMBIGUOUS)
    values = spelt[0] if complete else [value for value in spelt[0] if _present(value)]
    if not all(isinstance(value, str) and value for value in values):
        raise BadRequestError(f"Every element of {source.field} must name an object, as text.")
    distinct = tuple(dict.fromkeys(values))
    if len(distinct) > MAX_VALUES:
        raise BadRequestError(f"One request may name at most {MAX_VALUES} objects in {source.field}.")
    return distinct


def _present(value: object) -> bool:
    return value not in (None, "")


def walk(value: Any, path: list[str]) -> Iterator[Any]:
    """What lies at ``path``; None for an element in which it leads nowhere."""
    if not path:
        yield value
        return
    head, rest = path[0], path[1:]
    inner = value.get(head.removesuffix("[]")) if isinstance(value, Mapping) else None
    if head.endswith("[]") and isinstance(inner, list):
        for element in inner:
            yield from walk(element, rest)
    elif head.endswith("[]") or inner is None:
        yield inner
    else:
        yield from walk(inner, rest)
