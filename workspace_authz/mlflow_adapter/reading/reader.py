"""The one reader of a request: body, query and headers, each parsed once, as MLflow's handler reads them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import parse_qs

from workspace_authz.catalog.compile import Match
from workspace_authz.catalog.graphql import Changes, FieldCall
from workspace_authz.catalog.listing import Clause
from workspace_authz.catalog.model import NameSource, Origin, Restriction, Route, skill_name
from workspace_authz.catalog.stamp import Stamp
from workspace_authz.errors import (
    BadRequestError,
    MlflowRefusedError,
    RequestError,
    UnavailableError,
    UndeliveredBodyError,
)
from workspace_authz.mlflow_adapter.reading.documents import JsonBody, read_json, too_large
from workspace_authz.mlflow_adapter.reading.request import GRAPHQL_BYTES, SPANS_BYTES, AccessRequest
from workspace_authz.mlflow_adapter.reading.spellings import spellings

MAX_VALUES: Final = 1000
"""The most objects that one field of a request may name."""

UNREADABLE: Final = object()
"""Stands for the value of a field that cannot be known: MLflow may find something there."""

PROTOBUF: Final = b"application/x-protobuf"
JSON: Final = b"application/json"

_READ_AGAIN: Final = 2**20
"""Bytes of a refused body that MLflow is still asked about."""
_AMBIGUOUS: Final = "The request names an object in two ways; provide only one of them."


class SpansExport(Protocol):
    """An OTLP export; see :class:`workspace_authz.mlflow_adapter.reading.spans.Spans`."""

    def trace_ids(self) -> frozenset[str]:
        """MLflow's ids of the traces that the spans belong to. Raises ``BadRequestError`` for one of none."""

    def trace_tags(self) -> Iterable[str]:
        """The keys of the trace tags that MLflow makes of attributes."""

    def stamped(self, stamps: Iterable[Stamp], name: str) -> bytes:
        """The export as protobuf, with ``name`` at each of ``stamps``."""


class Reading(Protocol):
    """What only a process that hosts MLflow can read. Each raises ``BadRequestError`` for what it cannot."""

    async def message(
        self, route: Route, *, method: str, query: bytes, headers: Iterable[tuple[bytes, bytes]], body: bytes
    ) -> Mapping[str, Any]:
        """The fields that MLflow's handler gets."""

    async def document(
        self, *, method: str, query: bytes, headers: Iterable[tuple[bytes, bytes]], body: bytes
    ) -> Sequence[FieldCall]:
        """Every place at which the request's GraphQL document asks for a field, were MLflow to execute it."""

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

    async def spans(self, body: bytes, *, encoding: bytes, as_json: bool) -> SpansExport:
        """The OTLP export in a body."""

    async def narrowed_filter(
        self, operation: str, clause: Clause, *, values: Collection[str], theirs: str
    ) -> str | None:
        """The filter ``theirs`` narrowed by ``clause``, None where MLflow does not understand it."""

    async def any_large_filter(self, texts: Collection[str], *, comparisons: int) -> bool:
        """Whether one of these filters has more comparisons than that, or too many tokens."""

    async def refusal(
        self, route: Route, *, method: str, query: bytes, headers: Iterable[tuple[bytes, bytes]], body: bytes
    ) -> MlflowRefusedError | None:
        """What MLflow's handler answers because of the request's form alone; None where it takes the form."""

    def path_refusal(self, path: str) -> MlflowRefusedError | None:
        """What MLflow answers to an artifact path; None where it takes the path."""

    def has_field(self, route: Route, field: str) -> bool:
        """Whether MLflow knows this field of a request."""


class Values(Protocol):
    """What names objects: the fields of a request, or the arguments of a field in a GraphQL document."""

    async def values(self, source: NameSource, *, complete: bool) -> tuple[str, ...]:
        """The distinct values of ``source``, in their order; none if it is not there.

        ``complete`` demands one in every element of a list: none may go without.
        Raises ``BadRequestError`` where the request could be read in two ways.
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


class RequestReader:
    """Reads one request, each part at most once and only when it is asked for.

    ``reading`` is None where no MLflow is at hand, as in a dry run of the command line.
    """

    def __init__(self, request: AccessRequest, match: Match, *, reading: Reading | None) -> None:
        self.request = request
        self.match = match
        self._reading = reading
        self._content: bytes | None = None
        self._json: JsonBody | None = None
        self._query: Mapping[str, list[str]] | None = None
        self._query_is_text = True
        self._message: Mapping[str, Any] | None = None
        self._calls: Sequence[FieldCall] | None = None
        self._spans: SpansExport | None = None

    @property
    def reading(self) -> Reading:
        """MLflow's own reading. Raises :class:`UnavailableError` where no MLflow is at hand."""
        if self._reading is None:
            raise UnavailableError("Only a server with MLflow can read this request: use --server URL.")
        return self._reading

    @property
    def has_mlflow(self) -> bool:
        """Whether MLflow's own reading is at hand."""
        return self._reading is not None

    async def content(self) -> bytes | None:
        """The body; None for one beyond the usual bound. Raises :class:`UndeliveredBodyError`."""
        if self._content is None:
            self._content = await self.request.body.read()
        return self._content

    async def json(self) -> JsonBody:
        """The JSON of the body."""
        if self._json is None:
            encodings = self.request.header(b"content-encoding")
            encoded = any(value.strip().lower() not in (b"", b"identity") for value in encodings)
            limit = self.request.body.limit
            try:
                self._json = await read_json(await self.content(), encoded=encoded, limit=limit)
            except UndeliveredBodyError as error:
                self._json = JsonBody(readable=False, undelivered=error)
        return self._json

    async def document(self) -> dict[str, Any]:
        """The JSON object of the body. Raises :class:`BadRequestError` for anything else."""
        return (await self.json()).as_object()

    async def fields(self) -> Mapping[str, Any]:
        """What MLflow's handler gets. Raises :class:`BadRequestError` if it would get nothing."""
        if self._message is None:
            body = await self.content()
            if body is None:
                raise too_large(self.request.body.limit)
            self._message = await self.reading.message(
                self.match.route,
                method=self.request.method,
                query=self.request.query,
                headers=self.request.headers,
                body=body,
            )
        return self._message

    def known(self, field: str) -> str:
        """A text in the body as far as that was read already; empty where it was not, or has none."""
        document = self._message
        if document is None and self._json is not None and isinstance(self._json.value, dict):
            document = self._json.value
        value = document.get(field) if document is not None else None
        return value if isinstance(value, str) else ""

    async def in_mlflows_words(self, refused: RequestError) -> RequestError:
        """What MLflow answers to this request, where it would refuse its form anyway; else ``refused``.

        Of use once a right of the caller is known: what MLflow answers depends on the request alone.
        """
        if self._reading is None or isinstance(refused, MlflowRefusedError):
            return refused
        request, route = self.request, self.match.route
        for path in self._artifact_paths():
            if (answer := self._reading.path_refusal(path)) is not None:
                return answer
        try:
            body = await self.content()
        except UndeliveredBodyError:
            return refused
        if body is None or len(body) > _READ_AGAIN:
            return refused
        answer = await self._reading.refusal(
            route, method=request.method, query=request.query, headers=request.headers, body=body
        )
        return answer or refused

    def _artifact_paths(self) -> Sequence[str]:
        """The path below the artifact proxy that the request names."""
        if Restriction.OWN_ARTIFACT in self.match.route.restrictions:
            return (self.match.parameters["artifact_path"],)
        if Restriction.OWN_ARTIFACT_LIST in self.match.route.restrictions:
            return self._parsed_query().get("path", ())[:1]
        return ()

    async def calls(self) -> Sequence[FieldCall]:
        """Every place at which the GraphQL document asks for a field. Raises :class:`BadRequestError`.

        The body counts whatever the method, as in ``handlers._graphql``, and never the query string.
        """
        if self._calls is None:
            body = await self.request.body.read(GRAPHQL_BYTES)
            if body is None:
                raise BadRequestError(
                    f"A GraphQL document is refused in a body of over {GRAPHQL_BYTES} bytes."
                )
            self._calls = await self.reading.document(
                method=self.request.method,
                query=self.request.query,
                headers=self.request.headers,
                body=body,
            )
        return self._calls

    async def spans(self) -> SpansExport:
        """The OTLP export of the body. Raises :class:`BadRequestError`."""
        if self._spans is None:
            content_type = self.only_header(b"content-type")
            media_type = content_type.partition(b";")[0].strip()
            if media_type not in (PROTOBUF, JSON):
                sent = content_type.decode("latin-1") or None
                detail = f"Invalid Content-Type: {sent}. Expected: application/x-protobuf or application/json"
                raise MlflowRefusedError(detail, document={"detail": detail})
            encoding = self.only_header(b"content-encoding").lower()
            body = await self.request.body.read(SPANS_BYTES)
            if body is None:
                raise BadRequestError(
                    f"Spans are refused in bodies of more than {SPANS_BYTES} bytes; send smaller batches."
                )
            self._spans = await self.reading.spans(body, encoding=encoding, as_json=media_type == JSON)
        return self._spans

    async def trace_ids(self) -> frozenset[str]:
        """MLflow's ids of the traces in the OTLP export of the body. Raises :class:`BadRequestError`.

        They are collected in a thread: an export may have many spans, however small its body was.
        """
        spans = await self.spans()
        return await asyncio.to_thread(spans.trace_ids)

    async def trace_tags(self) -> Sequence[str]:
        """The keys of the trace tags that MLflow makes of an OTLP export. Raises :class:`BadRequestError`."""
        spans = await self.spans()
        return await asyncio.to_thread(lambda: tuple(spans.trace_tags()))

    def only_header(self, name: bytes) -> bytes:
        """The value of a header that may stand once; empty without it. Raises :class:`BadRequestError`."""
        values = self.request.header(name)
        if len(values) > 1:
            raise BadRequestError(f"This request has more than one {name.decode()}.")
        return values[0] if values else b""

    async def values(self, source: NameSource, *, complete: bool) -> tuple[str, ...]:
        """See :class:`Values`."""
        if source.organization:
            return (self._skill(source),)
        found = [list(await self._values(source.origin, field)) for field in (source.field, *source.aliases)]
        return _distinct(found, source, complete=complete)

    def _skill(self, source: NameSource) -> str:
        """The skill that the path names, in its organization."""
        parameters = self.match.parameters
        return skill_name(parameters[source.field], parameters[source.organization])

    async def _values(self, origin: Origin, field: str) -> Iterable[Any]:
        match origin:
            case Origin.PATH:
                return (self.match.parameters.get(field),)
            case Origin.HEADER:
                return self._header(field)
            case Origin.QUERY:
                return self._in_query(field)
            case Origin.SPANS:
                return sorted(await self.trace_ids())
            case Origin.BODY:
                return walk(await self.fields(), field.split("."))
            case _:
                return ()

    def _header(self, field: str) -> Iterable[str]:
        values = self.request.header(field.lower().encode())
        if len(values) > 1:
            raise BadRequestError(_AMBIGUOUS)
        return [value.decode("latin-1") for value in values]

    def _in_query(self, field: str) -> Iterable[str]:
        """MLflow's handlers take the first of several, or all of them where the field is a list."""
        query = self._parsed_query()
        if not self._query_is_text:
            raise BadRequestError("The query string is not UTF-8.")
        values = query.get(field.removesuffix("[]"), [])
        return values if field.endswith("[]") else values[:1]

    def _parsed_query(self) -> Mapping[str, list[str]]:
        if self._query is None:
            text = self.request.query.decode("latin-1")
            try:
                self._query_is_text = text.isascii()
                self._query = parse_qs(text, keep_blank_values=True, errors="strict")
            except ValueError:
                self._query_is_text = False
                self._query = parse_qs(text, keep_blank_values=True)
        return self._query

    async def possible_values(self, source: NameSource) -> list[Any]:
        """Every value that MLflow could find for ``source``, in any spelling of the field.

        :data:`UNREADABLE` stands among them where a value cannot be known. Nothing is refused here.
        """
        fields = (source.field, *source.aliases)
        match source.origin:
            case Origin.PATH:
                return [self.match.parameters.get(source.field)]
            case Origin.HEADER:
                return [
                    value.decode("latin-1") for value in self.request.header(source.field.lower().encode())
                ]
            case Origin.QUERY:
                return self._every_query_value(fields)
            case Origin.BODY:
                body = await self.json()
                found = _anywhere(fields, body.value) if body.readable else [UNREADABLE]
                return [*self._every_query_value(fields), *found]
            case _:
                return [UNREADABLE]

    def _every_query_value(self, fields: Sequence[str]) -> list[Any]:
        if not self.request.query:
            return []
        sent = self._parsed_query()
        names = [name for field in fields for name in spellings(field.removesuffix("[]"))]
        # MLflow leaves what is not UTF-8 encoded as it is: its values cannot be known here.
        unknown = [] if self._query_is_text else [UNREADABLE]
        return [*unknown, *(text for name in names for text in sent.get(name, ()))]


def walk(value: Any, path: list[str]) -> Iterator[Any]:
    """What lies at ``path`` in fields of MLflow's own reading; None for an element without it."""
    if not path:
        yield value
        return
    head, further = path[0], path[1:]
    inner = value.get(head.removesuffix("[]")) if isinstance(value, Mapping) else None
    if head.endswith("[]") and isinstance(inner, list):
        for element in inner:
            yield from walk(element, further)
    elif head.endswith("[]") or inner is None:
        yield inner
    else:
        yield from walk(inner, further)


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


def _anywhere(fields: Sequence[str], document: Any) -> list[Any]:
    """The values at each of ``fields`` in the JSON that was sent, each step in both of its spellings."""
    return [found for field in fields for found in _walk_spellings(document, field.split("."))]


def _walk_spellings(value: Any, path: list[str]) -> Iterator[Any]:
    if not path:
        yield value
        return
    if not isinstance(value, dict):
        return
    head, further = path[0], path[1:]
    for name in spellings(head.removesuffix("[]")):
        inner = value.get(name)
        if inner is None:
            continue
        if not head.endswith("[]"):
            yield from _walk_spellings(inner, further)
        elif isinstance(inner, list):
            for element in inner:
                yield from _walk_spellings(element, further)
        else:
            # MLflow's schema has a list here: the value cannot be known.
            yield UNREADABLE
