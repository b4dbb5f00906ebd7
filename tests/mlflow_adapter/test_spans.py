"""The traces of an OTLP export, as MLflow numbers them."""

from __future__ import annotations

import contextlib
import gzip
import json
import zlib
from typing import Any

import pytest
from google.protobuf.json_format import Error as JsonError
from google.protobuf.json_format import Parse
from hypothesis import given
from hypothesis import strategies as st
from mlflow.entities import Span as MlflowSpan
from mlflow.server.otel_api import _convert_otlp_json_ids_to_base64
from mlflow.tracing.utils.otlp import decompress_otlp_body
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from workspace_authz.errors import BadRequestError
from workspace_authz.mlflow_adapter.reading.spans import read_spans

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
    [b"{", b"[]", b"7", _json({"name": "without an id"}), _json({"traceId": "zz"}), _json({"traceId": 7})],
)
def test_what_names_no_trace_is_refused(content: bytes) -> None:
    with pytest.raises(BadRequestError):
        traces_of(content, as_json=True)


@pytest.mark.parametrize(
    "content",
    [
        b'{"resource_spans": []}',
        b'{"resource\\u005fspans": []}',
        b'{"resourceSpans": [{"scope_spans": []}]}',
        b'{"resource_spans": [{"scopeSpans": [{"spans": [{"traceId": "AAAA"}]}]}]}',
        _json({"trace_id": "AAAA"}),
        _json({"trace_id": "AAAA", "traceId": "00"}),
        _json({"trace_id": "AAAA", "traceId": ""}),
    ],
)
def test_in_whatever_spelling_mlflow_gets_the_export_as_it_was_read_here(content: bytes) -> None:
    """Names in snake case have ids in base64, as in ``otel_api``; what goes on is protobuf."""
    assert read_spans(content, encoding=b"", as_json=True).message == _theirs(content)


@pytest.mark.parametrize("encoding", [b"", b"gzip", b"deflate"])
def test_an_encoded_export_is_read_as_mlflow_reads_it(encoding: bytes) -> None:
    content = _json({"traceId": IDS[0].hex(), "spanId": "00" * 8})
    packed = {b"": content, b"gzip": gzip.compress(content), b"deflate": zlib.compress(content)}[encoding]
    if encoding:
        assert decompress_otlp_body(packed, encoding.decode()) == content
    export = read_spans(packed, encoding=encoding, as_json=True)
    assert export.trace_ids() == {f"tr-{IDS[0].hex()}"}


def _theirs(content: bytes) -> ExportTraceServiceRequest:
    """As ``otel_api.export_traces`` reads it."""
    read = ExportTraceServiceRequest()
    Parse(_convert_otlp_json_ids_to_base64(content), read, ignore_unknown_fields=True)
    return read


ID_KEYS = st.sampled_from(["traceId", "trace_id", "spanId", "span_id", "parentSpanId", "name", "other"])
ID_VALUES = st.sampled_from(
    ["", "AA", "AAAA", "0" * 32, IDS[0].hex(), IDS[1].hex(), IDS[1].hex().upper(), "ab cd", "zz", None, 7]
)
KINDS = ["resourceSpans", "resource_spans"], ["scopeSpans", "scope_spans"], ["spans", "Spans"]


def _lists(names: list[str], inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    lists: st.SearchStrategy[Any] = st.lists(inner, max_size=2) | st.sampled_from([None, {}, "text"])
    usual = st.lists(inner, min_size=1, max_size=2).map(lambda found: {names[0]: found})
    return usual | usual | st.dictionaries(st.sampled_from(names), lists, max_size=2)


FINE = st.fixed_dictionaries(
    {"traceId": st.sampled_from([number.hex() for number in IDS]), "spanId": st.just("12" * 8)}
)
SPANS = FINE | st.dictionaries(ID_KEYS, ID_VALUES, max_size=4)
EXPORTS = _lists(KINDS[0], _lists(KINDS[1], _lists(KINDS[2], SPANS)))


@given(EXPORTS)
def test_the_traces_are_those_that_mlflow_finds_in_what_it_gets(document: Any) -> None:
    content = json.dumps(document).encode()
    try:
        export = read_spans(content, encoding=b"", as_json=True)
        found = export.trace_ids()
    except BadRequestError:
        return
    handed_on = ExportTraceServiceRequest()
    handed_on.ParseFromString(export.stamped([], ""))
    with contextlib.suppress(
        JsonError, ValueError, TypeError, AttributeError
    ):  # MLflow refuses what was sent
        assert handed_on == _theirs(content)
    theirs = set()
    for resource in handed_on.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                try:
                    theirs.add(MlflowSpan.from_otel_proto(span, resource=resource.resource).trace_id)
                except ValueError:
                    return  # and so it refuses the export
    assert found == theirs


def test_bytes_that_are_no_export_are_refused() -> None:
    with pytest.raises(BadRequestError):
        traces_of(b"\xff\xff\xff", as_json=False)
