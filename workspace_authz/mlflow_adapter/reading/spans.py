"""An OTLP export of spans: read once, by the library that MLflow reads it with, and handed on as protobuf.

Source: ``mlflow.server.otel_api.export_traces`` (3.17.2). What is read here is what MLflow gets, since an
export is always written anew.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.json_format import Error as JsonError
from google.protobuf.json_format import Parse
from google.protobuf.message import DecodeError
from mlflow.tracing.utils import generate_mlflow_trace_id_from_otel_trace_id
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from workspace_authz.catalog.stamp import Person, Stamp
from workspace_authz.errors import BadRequestError
from workspace_authz.mlflow_adapter.reading.documents import parse
from workspace_authz.mlflow_adapter.reading.request import SPANS_BYTES
from workspace_authz.mlflow_adapter.reading.spellings import same_key

_TAG: Final = "mlflow.traceTag."
"""An attribute of this name and a tag's key becomes that tag of the trace."""
_RESERVED: Final = "mlflow."
"""MLflow makes a trace tag of each attribute of a resource, unless the key begins so (``log_spans``, 3.17.2).

It compares exactly: a database that ignores case takes ``MLflow.user`` for ``mlflow.user``.
"""
_USER_ID: Final = "user.id"
"""OpenTelemetry's name for the end user; MLflow makes ``mlflow.trace.user`` of it."""
_IDS: Final = ("traceId", "spanId", "parentSpanId")

Name = Callable[[Stamp, str], str]
"""The name to write for a stamp, where the second argument was sent."""


@dataclass(frozen=True, slots=True)
class Spans:
    """One export."""

    message: ExportTraceServiceRequest

    def trace_ids(self) -> frozenset[str]:
        """MLflow's ids of the traces that the spans belong to.

        Raises :class:`BadRequestError` for a span without a trace, with which MLflow refuses the export.
        """
        if not all(span.trace_id for span in self._spans()):
            raise BadRequestError("A span of this request belongs to no trace.")
        numbers = {int.from_bytes(span.trace_id, "big") for span in self._spans()}
        return frozenset(generate_mlflow_trace_id_from_otel_trace_id(number) for number in numbers)

    def trace_tags(self) -> Iterator[str]:
        """The keys of the trace tags that MLflow makes of attributes.

        An attribute ``mlflow.traceTag.<key>`` counts wherever in the export it stands.
        """
        yield from (key[len(_TAG) :] for key in self._attribute_keys() if key.startswith(_TAG))
        for holder in self.message.resource_spans:
            yield from (
                attribute.key for attribute in holder.resource.attributes if _is_own_tag(attribute.key)
            )

    def stamped(self, stamps: Iterable[Stamp], name: Name) -> bytes:
        """The export as protobuf, with the names that ``name`` gives at each of ``stamps``.

        The export itself is changed: an export may be large, and a copy would double it.
        """
        chosen = list(stamps)
        for holder in self.message.resource_spans:
            for stamp in chosen:
                _stamp_resource(holder.resource, stamp, name=name)
        for span in self._spans():
            for stamp in chosen:
                _stamp(span, stamp, name=name)
        content: bytes = self.message.SerializeToString()
        return content

    def _spans(self) -> Iterator[Span]:
        for resource_spans in self.message.resource_spans:
            for scope_spans in resource_spans.scope_spans:
                yield from scope_spans.spans

    def _attribute_keys(self) -> Iterator[str]:
        for resource in self.message.resource_spans:
            yield from (attribute.key for attribute in resource.resource.attributes)
            for scope in resource.scope_spans:
                yield from (attribute.key for attribute in scope.scope.attributes)
                for span in scope.spans:
                    yield from (attribute.key for attribute in span.attributes)
                    for part in (*span.events, *span.links):
                        yield from (attribute.key for attribute in part.attributes)


def read_spans(body: bytes, *, encoding: bytes, as_json: bool) -> Spans:
    """The export in ``body``. Raises :class:`BadRequestError` for what MLflow could not read either."""
    content = decompressed(body, encoding)
    message = ExportTraceServiceRequest()
    try:
        if as_json:
            document = _with_base64_ids(parse(content).as_object())
            Parse(json.dumps(document), message, ignore_unknown_fields=True)
        else:
            message.ParseFromString(content)
    except (DecodeError, JsonError, ValueError, TypeError, AttributeError, RecursionError):
        raise BadRequestError("The spans of this request cannot be read.") from None
    return Spans(message)


def decompressed(body: bytes, encoding: bytes) -> bytes:
    """As ``mlflow.tracing.utils.otlp.decompress_otlp_body`` does, up to :data:`SPANS_BYTES`.

    Raises :class:`BadRequestError`.
    """
    try:
        match encoding:
            case b"":
                content = body
            case b"gzip":
                content = gzip.GzipFile(fileobj=io.BytesIO(body)).read(SPANS_BYTES + 1)
            case b"deflate":
                content = _inflated(body)
            case _:
                raise BadRequestError("Spans may be encoded with gzip or deflate only.")
    except (OSError, EOFError, zlib.error):
        raise BadRequestError("The body of this request cannot be decompressed.") from None
    if len(content) > SPANS_BYTES:
        raise BadRequestError(f"Spans are refused beyond {SPANS_BYTES} bytes; send smaller batches.")
    return content


def _inflated(body: bytes) -> bytes:
    for wbits in (zlib.MAX_WBITS, -zlib.MAX_WBITS):
        stream = zlib.decompressobj(wbits)
        try:
            content = stream.decompress(body, SPANS_BYTES + 1)
        except zlib.error:
            continue
        if stream.eof or len(content) > SPANS_BYTES:
            return content
    raise zlib.error("not deflated")


def _with_base64_ids(document: dict[str, Any]) -> dict[str, Any]:
    """Ids as protobuf's JSON has them. OTLP's JSON has hexadecimal ids at these places (``otel_api``)."""
    for resource_spans in document.get("resourceSpans", []):
        for scope_spans in resource_spans.get("scopeSpans", []):
            for span in scope_spans.get("spans", []):
                for field in _IDS:
                    if written := span.get(field):
                        span[field] = base64.b64encode(bytes.fromhex(written)).decode()
    return document


def _stamp(span: Span, stamp: Stamp, *, name: Name) -> None:
    if stamp.person is Person.END_USER:
        _replace(span, lambda key: key == _USER_ID, name=lambda sent: name(stamp, sent))
    is_tag = _is_tag(stamp.key)
    _replace(span, is_tag, name=lambda sent: name(stamp, sent))
    # MLflow takes tags from the root only.
    if stamp.when_sent or span.parent_span_id:
        return
    if not any(is_tag(attribute.key) for attribute in span.attributes):
        value = AnyValue(string_value=name(stamp, ""))
        span.attributes.append(KeyValue(key=_TAG + stamp.key, value=value))


def _stamp_resource(resource: Resource, stamp: Stamp, *, name: Name) -> None:
    _replace(
        resource,
        lambda key: _is_own_tag(key) and same_key(key, stamp.key),
        name=lambda sent: name(stamp, sent),
    )


def _is_own_tag(key: str) -> bool:
    """Whether MLflow makes a tag of this name from a resource's attribute."""
    return not key.startswith(_RESERVED)


def _is_tag(tag: str) -> Callable[[str], bool]:
    return lambda key: key.startswith(_TAG) and same_key(key[len(_TAG) :], tag)


def _replace(holder: Span | Resource, wanted: Callable[[str], bool], *, name: Callable[[str], str]) -> None:
    for attribute in holder.attributes:
        if wanted(attribute.key):
            written = name(attribute.value.string_value)
            attribute.value.CopyFrom(AnyValue(string_value=written))
