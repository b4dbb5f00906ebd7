"""The traces of an OTLP export, as MLflow numbers them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mlflow.entities import Span as MlflowSpan
from mlflow.server.otel_api import _convert_otlp_json_ids_to_base64
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from workspace_authz.errors import BadRequestError
from workspace_authz.mlflow_adapter.reading.spans import read_spans

PREFIX = "mlflow.traceTag."
IDS = (bytes(range(16)), bytes(range(1, 17)), b"\1")


def traces_of(content: bytes, *, as_json: bool) -> frozenset[str]:
    return read_spans(content, encoding=b"", as_json=as_json).trace_ids()


def test_protobuf() -> None:
    spans = [Span(trace_id=number, span_id=b"12345678", name="s") for number in IDS]
    export = ExportTraceServiceRequest(
        resource_spans=[
            ResourceSpans(scope_spans=[ScopeSpans(spans=spans[:1])]),
            ResourceSpans(scope_spans=[ScopeSpans(spans=spans[1:]), ScopeSpans(spans=spans)]),
        ]
    )
    theirs = {MlflowSpan.from_otel_proto(span).trace_id for span in spans}
    assert traces_of(export.SerializeToString(), as_json=False) == theirs


def _json(span: dict[str, Any]) -> bytes:
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()


def test_json() -> None:
    content = _json({"traceId": IDS[0].hex(), "spanId": "00" * 8, "name": "s"})
    assert b"traceId" in _convert_otlp_json_ids_to_base64(content)
    assert traces_of(content, as_json=True) == {f"tr-{IDS[0].hex()}"}


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[]",
        b"7",
        b'{"resource_spans": []}',
        b'{"resource\\u005fspans": []}',
        b'{"resourceSpans": [{"scope_spans": []}]}',
        _json({"trace_id": "AAAA", "traceId": "00"}),
        _json({"name": "without an id"}),
        _json({"traceId": "zz"}),
    ],
)
def test_what_mlflow_could_read_otherwise_is_refused(content: bytes) -> None:
    with pytest.raises(BadRequestError):
        traces_of(content, as_json=True)


def test_bytes_that_are_no_export_are_refused() -> None:
    with pytest.raises(BadRequestError):
        traces_of(b"\xff\xff\xff", as_json=False)
