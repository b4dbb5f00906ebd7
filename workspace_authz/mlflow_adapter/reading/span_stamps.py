"""The caller in spans that come as OTLP: MLflow makes a trace's tags and its user of their attributes.

The message is read by the library that MLflow reads it with, written again as protobuf, and so handed on.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from google.protobuf.json_format import Error as JsonError
from google.protobuf.json_format import Parse
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from workspace_authz.catalog.stamp import Person, Stamp
from workspace_authz.effects.json_stamps import person, same_key
from workspace_authz.errors import BadRequestError
from workspace_authz.mlflow_adapter.reading.documents import parse_object
from workspace_authz.types import UserInfo

PROTOBUF: Final = b"application/x-protobuf"
JSON: Final = b"application/json"

_TAG: Final = "mlflow.traceTag."
_USER_ID: Final = "user.id"
"""OpenTelemetry's name for the end user; MLflow makes ``mlflow.trace.user`` of it."""
_IDS: Final = ("traceId", "spanId", "parentSpanId")


def stamped_spans(body: bytes, stamps: Iterable[Stamp], *, user: UserInfo, as_json: bool) -> bytes:
    """OTLP's protobuf for ``body``, which is not compressed, with ``user`` in its spans.

    Raises :class:`BadRequestError` for what MLflow could not read either.
    """
    message = _read(body, as_json=as_json)
    chosen = list(stamps)
    for span in _spans(message):
        for stamp in chosen:
            _stamp(span, stamp, user)
    content: bytes = message.SerializeToString()
    return content


def _stamp(span: Span, stamp: Stamp, user: UserInfo) -> None:
    if stamp.person is Person.END_USER:
        _replace(span, lambda key: key == _USER_ID, lambda key, sent: person(stamp, user, sent))
    _replace(span, _is_tag(stamp.key), lambda key, sent: person(stamp, user, sent))
    # MLflow takes tags from the root only.
    if not stamp.when_sent and not span.parent_span_id and not any(map(_is_tag(stamp.key), _keys(span))):
        span.attributes.append(_attribute(_TAG + stamp.key, person(stamp, user, "")))


def _is_tag(tag: str) -> Callable[[str], bool]:
    return lambda key: key.startswith(_TAG) and same_key(key.removeprefix(_TAG), tag)


def _replace(span: Span, wanted: Callable[[str], bool], name: Callable[[str, str], str]) -> None:
    for attribute in span.attributes:
        if wanted(attribute.key):
            sent = attribute.value.string_value
            attribute.value.CopyFrom(AnyValue(string_value=name(attribute.key, sent)))


def _keys(span: Span) -> Iterator[str]:
    return (attribute.key for attribute in span.attributes)


def _attribute(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


def _spans(message: ExportTraceServiceRequest) -> Iterator[Span]:
    for resource_spans in message.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            yield from scope_spans.spans


def _read(body: bytes, *, as_json: bool) -> ExportTraceServiceRequest:
    message = ExportTraceServiceRequest()
    try:
        if as_json:
            Parse(json.dumps(_with_base64_ids(parse_object(body))), message, ignore_unknown_fields=True)
        else:
            message.ParseFromString(body)
    except (DecodeError, JsonError, ValueError, TypeError, AttributeError, RecursionError):
        raise BadRequestError("The spans of this request cannot be read.") from None
    return message


def _with_base64_ids(document: dict[str, Any]) -> dict[str, Any]:
    """Ids as protobuf's JSON has them; OTLP's has them in hexadecimal (``otel_api``, at the same places)."""
    for resource_spans in document.get("resourceSpans", []):
        for scope_spans in resource_spans.get("scopeSpans", []):
            for span in scope_spans.get("spans", []):
                for field in _IDS:
                    if written := span.get(field):
                        span[field] = base64.b64encode(bytes.fromhex(written)).decode()
    return document
