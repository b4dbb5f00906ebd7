"""The traces that an OTLP export adds spans to, read as ``mlflow.server.otel_api.export_traces`` reads it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from google.protobuf.message import DecodeError
from mlflow.tracing.utils import generate_mlflow_trace_id_from_otel_trace_id
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from workspace_authz.errors import BadRequestError

_UNREADABLE: Final = "The spans of this request cannot be read."


def traces_of(content: bytes, *, as_json: bool) -> frozenset[str]:
    """MLflow's ids of all traces in an export. Raises :class:`BadRequestError` for what is none."""
    try:
        numbers = set(_in_json(content) if as_json else _in_protobuf(content))
    except (DecodeError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise BadRequestError(_UNREADABLE) from error
    return frozenset(generate_mlflow_trace_id_from_otel_trace_id(number) for number in numbers)


def _in_protobuf(content: bytes) -> Iterator[int]:
    export = ExportTraceServiceRequest()
    export.ParseFromString(content)
    for resource in export.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield int.from_bytes(span.trace_id, "big")


def _in_json(content: bytes) -> Iterator[int]:
    """The ids are hexadecimal. MLflow takes the names in snake case too, with ids in base64: not here."""
    for resource in _list(json.loads(content), "resourceSpans", "resource_spans"):
        for scope in _list(resource, "scopeSpans", "scope_spans"):
            for span in _list(scope, "spans"):
                if "trace_id" in span:
                    raise ValueError(_UNREADABLE)
                yield int.from_bytes(bytes.fromhex(span["traceId"]), "big")


def _list(document: Any, name: str, other: str = "") -> list[Any]:
    if other in document:
        raise ValueError(_UNREADABLE)
    return document.get(name) or []
