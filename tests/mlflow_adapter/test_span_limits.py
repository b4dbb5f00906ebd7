"""An OTLP export is bounded before anything parses it. The inputs are those that stood a worker still."""

from __future__ import annotations

import gzip
import json
import random
import resource
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from workspace_authz.errors import BadRequestError
from workspace_authz.mlflow_adapter.reading import span_limits
from workspace_authz.mlflow_adapter.reading.span_limits import (
    MAX_JSON_MESSAGES,
    MAX_MESSAGES,
    MAX_SPANS,
    check_json,
    check_protobuf,
)
from workspace_authz.mlflow_adapter.reading.spans import read_spans

SECONDS = 10.0
"""Of this process's CPU. Without the bounds each input takes several times as long, or gigabytes."""
MEGABYTES = 200
"""Of memory that the process gains."""

TOO_MANY = "send smaller batches"


def refused(body: bytes, *, encoding: bytes = b"", as_json: bool = False, match: str = TOO_MANY) -> None:
    before, kept = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BadRequestError, match=match):
        read_spans(body, encoding=encoding, as_json=as_json)
    assert time.process_time() - before < SECONDS
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - kept) / 1024 < MEGABYTES


def export(*spans: Span) -> ExportTraceServiceRequest:
    return ExportTraceServiceRequest(resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=spans)])])


def span(attributes: int = 0, *, value: str = "v") -> Span:
    texts = [KeyValue(key="k", value=AnyValue(string_value=value)) for _ in range(attributes)]
    return Span(trace_id=b"t" * 16, span_id=b"s" * 8, attributes=texts)


def test_a_bomb_of_empty_messages_is_refused_however_it_is_packed() -> None:
    bomb = b"\x0a\x00" * 15_000_000
    refused(gzip.compress(bomb), encoding=b"gzip", match="200:1")
    refused(bomb[:4_000_000])


def test_a_bomb_of_fields_is_refused() -> None:
    scalars = b"\x50\x01" * 1_100_000
    refused(scalars)
    refused(export(span()).SerializeToString() + b"\x0a\x80\x80\x80\x01" + scalars)


def test_a_bomb_of_json_is_refused() -> None:
    lists = b'{"resourceSpans":[' + b"[]," * 10_000_000 + b"[]]}"
    refused(gzip.compress(lists), encoding=b"gzip", as_json=True, match="200:1")
    refused(lists[:5_000_000], as_json=True)
    refused(b'{"a":[' + b"1," * 2_000_000 + b"1]}", as_json=True)


def test_quotes_without_end_take_linear_time() -> None:
    refused(b'{"a":"' + b'\\"' * 5_000_000, as_json=True, match="Invalid OpenTelemetry format")


def test_too_many_spans_are_refused_although_they_are_small() -> None:
    allowed = [span()] * MAX_SPANS
    read_spans(export(*allowed).SerializeToString(), encoding=b"", as_json=False)
    refused(export(*allowed, span()).SerializeToString())


def test_large_texts_are_no_reason_to_refuse() -> None:
    """Prompts and images: bytes within texts are cheap. Commas and braces in them count for nothing."""
    large = export(span(1, value="{[," * 10_000_000)).SerializeToString()
    assert read_spans(large, encoding=b"", as_json=False).trace_ids()
    text = json.dumps({"traceId": "ab" * 16, "spanId": "cd" * 8, "name": '{[,"' * 2_000_000})
    body = f'{{"resourceSpans": [{{"scopeSpans": [{{"spans": [{text}]}}]}}]}}'.encode()
    assert read_spans(body, encoding=b"", as_json=True).trace_ids()


def test_what_a_collector_sends_in_one_batch_is_taken() -> None:
    """8192 spans, each with ten attributes."""
    ids = random.Random(0)
    spans = [Span(trace_id=ids.randbytes(16), span_id=ids.randbytes(8)) for _ in range(8192)]
    for each in spans:
        each.attributes.extend(span(10).attributes)
    body = gzip.compress(export(*spans).SerializeToString())
    assert len(read_spans(body, encoding=b"gzip", as_json=False).trace_ids()) == 8192


VALUES = st.recursive(
    st.builds(AnyValue, string_value=st.text(max_size=300)) | st.builds(AnyValue, int_value=st.just(2**62)),
    lambda inner: st.lists(inner, max_size=3).map(
        lambda found: AnyValue(array_value=ArrayValue(values=found))
    ),
    max_leaves=8,
)


@given(st.lists(st.lists(VALUES, max_size=4), max_size=6))
def test_messages_are_counted_as_they_are(attributes: list[list[AnyValue]]) -> None:
    spans = [Span(attributes=[KeyValue(key="k", value=value) for value in values]) for values in attributes]
    body = export(*spans).SerializeToString()
    number = 2 + len(spans) + sum(1 + _messages(value) for values in attributes for value in values)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(span_limits, "MAX_MESSAGES", number)
        if len(body) > 2 * number:
            check_protobuf(body)
        patch.setattr(span_limits, "MAX_MESSAGES", number - 1)
        if len(body) > 2 * number:
            with pytest.raises(BadRequestError):
                check_protobuf(body)


def _messages(value: AnyValue) -> int:
    inner = value.array_value.values if value.HasField("array_value") else []
    return 1 + value.HasField("array_value") + sum(map(_messages, inner))


@given(st.binary(max_size=200))
def test_no_bytes_hurt_the_counting(body: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(span_limits, "MAX_MESSAGES", 5)
        for check in (check_protobuf, check_json):
            try:
                check(body)
            except BadRequestError:
                assert len(body) > 10


def test_small_bodies_are_not_counted() -> None:
    check_protobuf(b"\x0a\x00" * MAX_MESSAGES)
    check_json(b"{[" * MAX_JSON_MESSAGES)
