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

from tests.harness.server import MlflowServer
from tests.harness.usage import worker_below
from tests.stamps.conftest import ACCOUNT, AJAX3, API, API3, World, Writer
from workspace_authz.catalog.identity_stamps import RECORDED_BY

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
def test_a_trace_names_its_author_and_keeps_its_end_user(world: World, base: str, field: str) -> None:
    """Who logged in at the gateway, only the gateway says."""
    for writer in world.everybody:
        info = trace_info(world, **{field: {**PEOPLE, **LOGIN}, "tags": {**PEOPLE, **LOGIN}})
        writer.do("POST", f"{base}/traces", {"trace": {"trace_info": info}})
        people = {"mlflow.user": writer.name, "mlflow.trace.user": VICTIM, "kept": "as it is"}
        assert metadata(world.alice, info["trace_id"]) == people
        tags = read(world.alice, info["trace_id"])["tags"]
        assert {key: value for key, value in tags.items() if key in {**PEOPLE, **LOGIN}} == people


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
        {
            "experiment_id": world.experiment,
            "timestamp_ms": 1,
            "request_metadata": pairs(LOGIN),
            "tags": pairs({**PEOPLE, **LOGIN}),
        },
    )
    trace_id = started["trace_info"]["request_id"]
    assert metadata(world.alice, trace_id) == {"mlflow.user": "alice", "mlflow.trace.user": "alice"}
    world.bob.do(
        "PATCH",
        f"{API}/traces/{trace_id}",
        {"timestamp_ms": 2, "status": "OK", "requestMetadata": pairs({**PEOPLE, **LOGIN}), "tags": []},
    )
    assert metadata(world.alice, trace_id) == {
        "mlflow.user": world.bob.name,
        "mlflow.trace.user": VICTIM,
        "kept": "as it is",
    }
    for version in (API, API3):
        for key, value in (("mlflow.trace.user", VICTIM), ("mlflow.user", "alice")):
            world.alice.do("PATCH", f"{version}/traces/{trace_id}/tags", {"key": key, "value": VICTIM})
            assert read(world.alice, trace_id)["tags"][key] == value


@pytest.mark.parametrize("source_type", ["HUMAN", "SOURCE_TYPE_UNSPECIFIED", None])
def test_a_persons_assessment_names_them_and_a_services_its_user(
    world: World, source_type: str | None
) -> None:
    source = (
        {"source_id": VICTIM} if source_type is None else {"source_type": source_type, "sourceId": VICTIM}
    )
    document = {
        "assessment_name": "good",
        "feedback": {"value": True},
        "source": source,
        "metadata": {RECORDED_BY: VICTIM, "kept": "1"},
    }
    info = trace_info(world, assessments=[{**document, "assessment_id": f"a-{secrets.token_hex(16)}"}])
    world.alice.do("POST", f"{API3}/traces", {"trace": {"trace_info": info}})
    made = world.trainer.ask(
        "POST",
        f"{API3}/traces/{info['trace_id']}/assessments",
        {"assessment": {**document, "create_time": "2026-01-01T00:00:00Z"}},
    )
    assert made.status == 200, made.text
    found = read(world.alice, info["trace_id"])["assessments"]
    people = {one["source"]["source_id"]: one.get("metadata", {}) for one in found}
    assert people == {"alice": {"kept": "1"}, VICTIM: {"kept": "1", RECORDED_BY: ACCOUNT}}
    passed_on = next(one["assessment_id"] for one in found if one["source"]["source_id"] == VICTIM)
    path = f"{API3}/traces/{info['trace_id']}/assessments/{passed_on}"
    changed = world.bob.do(
        "PATCH",
        path,
        {"assessment": {"metadata": {RECORDED_BY: "bob", "more": "2"}}, "update_mask": "metadata"},
    )
    assert changed["assessment"]["metadata"] == {"kept": "1", "more": "2", RECORDED_BY: ACCOUNT}


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
def test_spans_name_their_author_and_keep_their_end_user(world: World, kind: int) -> None:
    spoof = {"user__id": VICTIM, "mlflow__traceTag__mlflow__user": VICTIM, "mlflow__traceTag__stage": "one"}
    for writer in world.everybody:
        trace_id = new_id()
        content, headers = kinds(spans(trace_id, **spoof))[kind]
        answer = export(writer, world, content, **headers)
        assert answer.status == 200, answer.text
        assert metadata(world.alice, trace_id) == {"mlflow.trace.user": VICTIM}
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
    """In the shape of MLflow's own refusals at this route, which are FastAPI's."""
    answer = export(world.alice, world, content, **{"Content-Type": media_type})
    assert answer.status == 400, answer.text
    assert answer.json.get("detail") or answer.json["error_code"] == "INVALID_PARAMETER_VALUE"


@pytest.mark.parametrize("key", ["Mlflow.user", "MLFLOW.USER", "mlflow.\u00fcser", "m\u0142flow.user"])
def test_in_no_place_another_spelling_becomes_a_tag(world: World, key: str) -> None:
    """A database that ignores case or accents takes it for ``mlflow.user``: it names the caller, too."""
    trace_id = new_id()
    sent = spans(trace_id, **{f"mlflow__traceTag__{key.replace('.', '__')}": VICTIM})
    sent.resource_spans[0].resource.attributes.append(KeyValue(key=key, value=AnyValue(string_value=VICTIM)))
    answer = export(world.alice, world, sent.SerializeToString())
    assert answer.status == 200, answer.text
    tags = read(world.alice, trace_id)["tags"]
    assert VICTIM not in tags.values()
    for document in ({"key": key, "value": VICTIM},):
        world.alice.do("PATCH", f"{API3}/traces/{trace_id}/tags", document)
    assert VICTIM not in read(world.alice, trace_id)["tags"].values()


def test_a_long_run_of_combining_marks_is_refused_in_a_key_and_kept_in_a_value(world: World) -> None:
    trace_id, evil = new_id(), "a" + "\u0301" * 20 + "\u0323" * 20
    world.alice.do("POST", f"{API3}/traces", {"trace": {"trace_info": trace_info(world, trace_id=trace_id)}})
    path = f"{API3}/traces/{trace_id}/tags"
    answer = world.alice.ask("PATCH", path, {"key": evil, "value": "x"})
    assert (answer.status, "combining marks" in answer.text) == (400, True)
    world.alice.do("PATCH", path, {"key": "k", "value": evil})
    assert read(world.alice, trace_id)["tags"]["k"] == evil


def test_a_bomb_of_spans_is_refused(world: World, server: MlflowServer) -> None:
    worker = worker_below(server.process.process.pid)
    for content in (b"\x0a\x00" * 15_000_000, b"a" + "\u0301".encode() * 64_000):
        before = worker.usage().cpu
        answer = export(world.alice, world, gzip.compress(content), **{"Content-Encoding": "gzip"})
        assert answer.status == 400, answer.text
        assert worker.usage().cpu - before < 5


def test_a_large_export_arrives_although_a_thread_reads_it(world: World) -> None:
    """Larger than what MLflow converts on its event loop here."""
    trace_id = new_id()
    sent = spans(trace_id, text="x" * 100_000)
    assert export(world.alice, world, sent.SerializeToString()).status == 200
    assert read(world.alice, trace_id)["tags"]["mlflow.user"] == "alice"
