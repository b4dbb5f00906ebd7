"""A trace says who logged it, and whom an application served."""

from __future__ import annotations

import gzip
import json
import secrets
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from tests.stamps.conftest import ACCOUNT, AJAX3, API, API3, World, Writer

pytestmark = pytest.mark.xdist_group("stamps")

VICTIM = "carol"
PEOPLE = {"mlflow.user": VICTIM, "mlflow.trace.user": VICTIM, "kept": "as it is"}
LOGIN = {"mlflow.auth.username": VICTIM, "mlflow.auth.userId": "uid-of-carol"}


def new_id() -> str:
    return f"tr-{secrets.token_hex(16)}"


def trace_info(world: World, **more: Any) -> dict[str, Any]:
    location = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": world.experiment}}
    return {
        "trace_id": new_id(),
        "trace_location": location,
        "request_time": "2026-01-01T00:00:00Z",
        "state": "OK",
        **more,
    }


def read(reader: Writer, trace_id: str) -> dict[str, Any]:
    info: dict[str, Any] = reader.do("GET", f"{API3}/traces/{trace_id}")["trace"]["trace_info"]
    return info


def metadata(reader: Writer, trace_id: str) -> dict[str, str]:
    found = read(reader, trace_id).get("trace_metadata", {})
    return {key: value for key, value in found.items() if key in {**PEOPLE, **LOGIN}}


@pytest.mark.parametrize("base", [API3, AJAX3])
@pytest.mark.parametrize("field", ["trace_metadata", "traceMetadata"])
def test_a_persons_trace_names_them_only(world: World, base: str, field: str) -> None:
    info = trace_info(world, **{field: {**PEOPLE, **LOGIN}, "tags": PEOPLE})
    world.alice.do("POST", f"{base}/traces", {"trace": {"trace_info": info}})
    assert metadata(world.alice, info["trace_id"]) == {
        "mlflow.user": "alice",
        "mlflow.trace.user": "alice",
        "mlflow.auth.username": "alice",
        "mlflow.auth.userId": "uid-of-alice",
        "kept": "as it is",
    }
    tags = read(world.alice, info["trace_id"])["tags"]
    assert [tags["mlflow.user"], tags["mlflow.trace.user"], tags["kept"]] == ["alice", "alice", "as it is"]


def test_an_application_names_its_end_user_and_itself(world: World) -> None:
    info = trace_info(world, trace_metadata={**PEOPLE, "mlflow.auth.username": VICTIM})
    world.trainer.do("POST", f"{API3}/traces", {"trace": {"trace_info": info}})
    assert metadata(world.alice, info["trace_id"]) == {
        "mlflow.user": ACCOUNT,
        "mlflow.trace.user": VICTIM,
        "mlflow.auth.username": ACCOUNT,
        "kept": "as it is",
    }


def test_a_trace_without_any_name_gets_its_authors(world: World) -> None:
    for writer in world.everybody:
        info = trace_info(world)
        writer.do("POST", f"{API3}/traces", {"trace": {"trace_info": info}})
        people = {"mlflow.user": writer.name, "mlflow.trace.user": writer.name}
        assert metadata(world.alice, info["trace_id"]) == people


def test_the_older_protocol_is_no_way_around(world: World) -> None:
    def pairs(values: dict[str, str]) -> list[dict[str, str]]:
        return [{"key": key, "value": value} for key, value in values.items()]

    started = world.alice.do(
        "POST",
        f"{API}/traces",
        {"experiment_id": world.experiment, "timestamp_ms": 1, "request_metadata": [], "tags": pairs(PEOPLE)},
    )
    trace_id = started["trace_info"]["request_id"]
    assert metadata(world.alice, trace_id) == {"mlflow.user": "alice", "mlflow.trace.user": "alice"}
    world.bob.do(
        "PATCH",
        f"{API}/traces/{trace_id}",
        {"timestamp_ms": 2, "status": "OK", "requestMetadata": pairs(PEOPLE), "tags": []},
    )
    assert metadata(world.alice, trace_id) == {
        "mlflow.user": world.bob.name,
        "mlflow.trace.user": world.bob.name,
        "kept": "as it is",
    }
    for version in (API, API3):
        tag = {"key": "mlflow.trace.user", "value": VICTIM}
        world.alice.do("PATCH", f"{version}/traces/{trace_id}/tags", tag)
        assert read(world.alice, trace_id)["tags"]["mlflow.trace.user"] == "alice"


@pytest.mark.parametrize("source_type", ["HUMAN", "SOURCE_TYPE_UNSPECIFIED", None])
def test_a_persons_assessment_names_them(world: World, source_type: str | None) -> None:
    source = (
        {"source_id": VICTIM} if source_type is None else {"source_type": source_type, "sourceId": VICTIM}
    )
    document = {"assessment_name": "good", "feedback": {"value": True}, "source": source}
    info = trace_info(world, assessments=[{**document, "assessment_id": f"a-{secrets.token_hex(16)}"}])
    world.alice.do("POST", f"{API3}/traces", {"trace": {"trace_info": info}})
    made = world.trainer.ask(
        "POST",
        f"{API3}/traces/{info['trace_id']}/assessments",
        {"assessment": {**document, "create_time": "2026-01-01T00:00:00Z"}},
    )
    assert made.status == 200, made.text
    sources = [found["source"]["source_id"] for found in read(world.alice, info["trace_id"])["assessments"]]
    assert sorted(sources) == ["alice", ACCOUNT]


def spans(trace_id: str, **attributes: str) -> ExportTraceServiceRequest:
    """A root and its child, both with the attributes (``__`` is a dot)."""
    values = [
        KeyValue(key=key.replace("__", "."), value=AnyValue(string_value=value))
        for key, value in attributes.items()
    ]
    raw = bytes.fromhex(trace_id.removeprefix("tr-"))
    root, child = secrets.token_bytes(8), secrets.token_bytes(8)
    both = [
        Span(trace_id=raw, span_id=child, parent_span_id=root, name="child", attributes=values),
        Span(trace_id=raw, span_id=root, name="root", attributes=values),
    ]
    for span in both:
        span.start_time_unix_nano, span.end_time_unix_nano = 1, 2_000_000
    return ExportTraceServiceRequest(
        resource_spans=[ResourceSpans(resource=Resource(), scope_spans=[ScopeSpans(spans=both)])]
    )


def as_otlp_json(message: ExportTraceServiceRequest) -> bytes:
    """OTLP's JSON: ids in hexadecimal."""
    written = [
        {
            "traceId": span.trace_id.hex(),
            "spanId": span.span_id.hex(),
            "parentSpanId": span.parent_span_id.hex(),
            "name": span.name,
            "startTimeUnixNano": str(span.start_time_unix_nano),
            "endTimeUnixNano": str(span.end_time_unix_nano),
            "attributes": [
                {"key": one.key, "value": {"stringValue": one.value.string_value}} for one in span.attributes
            ],
        }
        for span in message.resource_spans[0].scope_spans[0].spans
    ]
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": written}]}]}).encode()


def export(writer: Writer, world: World, content: bytes, **headers: str) -> Any:
    given = {"x-mlflow-experiment-id": world.experiment, "Content-Type": "application/x-protobuf"}
    return writer.ask("POST", "/v1/traces", body=content, headers={**given, **headers})


def kinds(message: ExportTraceServiceRequest) -> list[tuple[bytes, dict[str, str]]]:
    """One message in every way that MLflow takes it."""
    binary, text = message.SerializeToString(), as_otlp_json(message)
    return [
        (binary, {}),
        (gzip.compress(binary), {"Content-Encoding": "gzip"}),
        (text, {"Content-Type": "application/json"}),
        (
            gzip.compress(text),
            {"Content-Type": "application/json; charset=utf-8", "Content-Encoding": "gzip"},
        ),
    ]


@pytest.mark.parametrize("kind", range(4))
def test_spans_name_their_author_and_of_an_application_its_end_user(world: World, kind: int) -> None:
    spoof = {"user__id": VICTIM, "mlflow__traceTag__mlflow__user": VICTIM, "mlflow__traceTag__stage": "one"}
    for writer, end_user in ((world.alice, "alice"), (world.trainer, VICTIM)):
        trace_id = new_id()
        content, headers = kinds(spans(trace_id, **spoof))[kind]
        answer = export(writer, world, content, **headers)
        assert answer.status == 200, answer.text
        assert metadata(world.alice, trace_id) == {"mlflow.trace.user": end_user}
        tags = read(world.alice, trace_id)["tags"]
        assert [tags["mlflow.user"], tags["stage"]] == [writer.name, "one"]


def test_spans_that_name_nobody_name_their_author(world: World) -> None:
    trace_id = new_id()
    assert export(world.trainer, world, spans(trace_id).SerializeToString()).status == 200
    assert metadata(world.alice, trace_id) == {}
    assert read(world.alice, trace_id)["tags"]["mlflow.user"] == ACCOUNT


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"\xff\xff", "application/x-protobuf"),
        (b"no json", "application/json"),
        (b'{"resourceSpans": {}, "resourceSpans": []}', "application/json"),
        (b'{"resourceSpans": ["no object"]}', "application/json"),
        (b'{"resourceSpans": []}', "application/json\xa0".encode("latin-1").decode("latin-1")),
        (b"", "text/plain"),
    ],
)
def test_spans_that_cannot_be_read_are_refused(world: World, content: bytes, media_type: str) -> None:
    answer = export(world.alice, world, content, **{"Content-Type": media_type})
    assert (answer.status, answer.json["error_code"]) == (400, "INVALID_PARAMETER_VALUE"), answer.text
