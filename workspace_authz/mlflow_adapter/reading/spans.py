"""An OTLP export of spans: read once, by the library that MLflow reads it with, and handed on as protobuf.

Source: ``mlflow.server.otel_api.export_traces`` (3.17.2). What is read here is what MLflow gets, since an
export is always written anew.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.json_format import Error as JsonError
from google.protobuf.json_format import Parse
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from workspace_authz.catalog.stamp import Person, Stamp
from workspace_authz.errors import BadRequestError
from workspace_authz.mlflow_adapter.compat import optional_module
from workspace_authz.mlflow_adapter.reading.documents import parse
from workspace_authz.mlflow_adapter.reading.span_limits import (
    MAX_SPANS,
    check_json,
    check_protobuf,
    decompressed,
    refused,
    too_many,
)
from workspace_authz.mlflow_adapter.reading.spellings import same_key

utils = optional_module("mlflow.tracing.utils")

_TAG: Final = "mlflow.traceTag."
"""An attribute of this name and a tag's key becomes that tag of the trace."""
_RESERVED: Final = "mlflow."
"""MLflow makes a trace tag of each attribute of a resource, unless the key begins so (``log_spans``, 3.17.2).

It compares exactly: a database that ignores case takes ``MLflow.user`` for ``mlflow.user``.
"""
_USER_ID: Final = "user.id"
"""OpenTelemetry's name for the end user; MLflow makes ``mlflow.trace.user`` of it."""
_NO_OTLP: Final = "Invalid OpenTelemetry format"
_IDS: Final = ("traceId", "spanId", "parentSpanId")


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
        return frozenset(map(utils.generate_mlflow_trace_id_from_otel_trace_id, numbers))

    def trace_tags(self) -> Iterator[str]:
        """The keys of the trace tags that MLflow makes of attributes.

        An attribute ``mlflow.traceTag.<key>`` counts wherever in the export it stands.
        """
        yield from (tag for key in self._attribute_keys() if (tag := _tag_of_span(key)) is not None)
        for holder in self.message.resource_spans:
            for attribute in holder.resource.attributes:
                if (tag := _tag_of_resource(attribute.key)) is not None:
                    yield tag

    def stamped(self, stamps: Iterable[Stamp], name: str) -> bytes:
        """The export as protobuf, with ``name`` at each of ``stamps``.

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
    """The export in ``body``.

    Raises :class:`BadRequestError` for what MLflow could not read either, and for what exceeds the bounds of
    :mod:`.span_limits`: these hold before the parser runs.
    """
    content = decompressed(body, encoding)
    (check_json if as_json else check_protobuf)(content)
    message = ExportTraceServiceRequest()
    try:
        if as_json:
            sent = parse(content)
            if not sent.readable:
                raise refused(_NO_OTLP)
            document = _with_base64_ids(sent.as_object())
            Parse(json.dumps(document), message, ignore_unknown_fields=True)
        else:
            message.ParseFromString(content)
    except (DecodeError, JsonError, ValueError, TypeError, AttributeError, RecursionError):
        raise refused(_NO_OTLP) from None
    spans = sum(
        len(scope_spans.spans)
        for resource_spans in message.resource_spans
        for scope_spans in resource_spans.scope_spans
    )
    if spans > MAX_SPANS:
        raise too_many()
    return Spans(message)


def _with_base64_ids(document: dict[str, Any]) -> dict[str, Any]:
    """Ids as protobuf's JSON has them. OTLP's JSON has hexadecimal ids at these places (``otel_api``)."""
    for resource_spans in document.get("resourceSpans", []):
        for scope_spans in resource_spans.get("scopeSpans", []):
            for span in scope_spans.get("spans", []):
                for field in _IDS:
                    if written := span.get(field):
                        span[field] = base64.b64encode(bytes.fromhex(written)).decode()
    return document


def _stamp(span: Span, stamp: Stamp, *, name: str) -> None:
    if stamp.person is Person.END_USER:
        _replace(span, lambda key: key == _USER_ID, name=name)
    _replace(span, lambda key: _makes(_tag_of_span(key), stamp), name=name)
    # MLflow takes tags from the root only.
    if stamp.when_sent or span.parent_span_id:
        return
    if not any(_makes(_tag_of_span(attribute.key), stamp) for attribute in span.attributes):
        value = AnyValue(string_value=name)
        span.attributes.append(KeyValue(key=_TAG + stamp.key, value=value))


def _stamp_resource(resource: Resource, stamp: Stamp, *, name: str) -> None:
    _replace(resource, lambda key: _makes(_tag_of_resource(key), stamp), name=name)


def _tag_of_span(key: str) -> str | None:
    """The key of the tag that MLflow makes of a span's attribute; None if it makes none."""
    return key[len(_TAG) :] if key.startswith(_TAG) else None


def _tag_of_resource(key: str) -> str | None:
    """The key of the tag that MLflow makes of a resource's attribute; None if it makes none."""
    return None if key.startswith(_RESERVED) else key


def _makes(tag: str | None, stamp: Stamp) -> bool:
    return tag is not None and same_key(tag, stamp.key)


def _replace(holder: Span | Resource, wanted: Callable[[str], bool], *, name: str) -> None:
    for attribute in holder.attributes:
        if wanted(attribute.key):
            attribute.value.CopyFrom(AnyValue(string_value=name))
