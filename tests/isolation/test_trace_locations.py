"""No caller tells the server where a trace's data lie."""

from __future__ import annotations

import gzip
import json
import secrets
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.harness.http import Answer
from tests.harness.sdk import Sdk, sdk
from tests.isolation.steps import copy_trace, span_names, tag_trace, trace_tag
from tests.isolation.world import CANARY, World
from tests.scenarios.people import TEAM_A, TEAM_B
from tests.scenarios.steps import trace as make_trace
from tests.scenarios.steps import trace_ids
from workspace_authz.restrictions.trace_locations import RESERVED

LOCATION = "mlflow.artifactLocation"
V2, V3 = "/api/2.0/mlflow/traces", "/api/3.0/mlflow/traces"


@dataclass(frozen=True, slots=True)
class Theft:
    """A trace of team-a that shall be read from a place of team-b."""

    world: World
    experiment: str
    place: str

    def started(
        self, *, tags: dict[str, str] | None = None, metadata: dict[str, str] | None = None
    ) -> Answer:
        """A trace by the SDK's own request."""
        info = {
            "trace_id": f"tr-{secrets.token_hex(16)}",
            "trace_location": {
                "type": "MLFLOW_EXPERIMENT",
                "mlflow_experiment": {"experiment_id": self.experiment},
            },
            "request_time": "2026-01-01T00:00:00Z",
            "state": "OK",
            "tags": tags or {},
            "trace_metadata": metadata or {},
        }
        return self.world.ask("POST", V3, json_body={"trace": {"trace_info": info}})

    def trace(self) -> str:
        """The id of a trace."""
        answer = self.started()
        assert answer.status == 200, answer.text
        return str(answer.json["trace"]["trace_info"]["trace_id"])

    def started_v2(self, **content: object) -> Answer:
        """A trace by the old request."""
        document = {"experiment_id": self.experiment, "timestamp_ms": 1, **content}
        return self.world.ask("POST", V2, json_body=document)

    def data(self, trace: str) -> Answer:
        """What the server reads as the trace's data."""
        return self.world.ask("GET", f"/ajax-api/3.0/mlflow/get-trace-artifact?request_id={trace}")

    def location(self, trace: str) -> str:
        """Where the server takes the trace to be."""
        answer = self.world.ask("GET", f"{V3}/{trace}")
        return str(answer.json["trace"]["trace_info"]["tags"][LOCATION])


@pytest.fixture
def on_stock(stock: World, stock_ids: dict[str, str]) -> Theft:
    return Theft(stock, stock_ids[TEAM_A], f"mlflow-artifacts:/workspaces/{TEAM_B}/{stock_ids[TEAM_B]}")


@pytest.fixture
def theft(guarded: World, guarded_ids: dict[str, str]) -> Theft:
    place = f"mlflow-artifacts:/workspaces/{TEAM_B}/{guarded_ids[TEAM_B]}"
    return Theft(guarded, guarded_ids[TEAM_A], place)


def spans(trace: str, attribute: str, value: str) -> ExportTraceServiceRequest:
    """One root span with one attribute."""
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add()
    span.trace_id, span.span_id = bytes.fromhex(trace.removeprefix("tr-")), secrets.token_bytes(8)
    span.name, span.start_time_unix_nano, span.end_time_unix_nano = "root", 1, 2
    found = span.attributes.add()
    found.key, found.value.string_value = attribute, value
    return request


def exported(theft: Theft, body: bytes, *, encoding: str = "", json_type: bool = False) -> Answer:
    headers = {
        "Content-Type": "application/json" if json_type else "application/x-protobuf",
        "x-mlflow-experiment-id": theft.experiment,
    }
    if encoding:
        headers["Content-Encoding"] = encoding
    return theft.world.ask("POST", "/v1/traces", headers=headers, body=body)


def json_spans(trace: str, attribute: str, value: str) -> bytes:
    span = {
        "traceId": trace.removeprefix("tr-"),
        "spanId": secrets.token_hex(8),
        "name": "root",
        "startTimeUnixNano": "1",
        "endTimeUnixNano": "2",
        "attributes": [{"key": attribute, "value": {"stringValue": value}}],
    }
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()


@pytest.mark.parametrize("base", [V2, V3])
def test_stock_mlflow_reads_from_where_a_tag_says(on_stock: Theft, base: str) -> None:
    trace = on_stock.trace()
    tag = {"key": LOCATION, "value": on_stock.place}
    assert on_stock.world.ask("PATCH", f"{base}/{trace}/tags", json_body=tag).status == 200
    assert on_stock.data(trace).body == CANARY


def test_stock_mlflow_takes_such_tags_from_every_request_that_has_tags(on_stock: Theft) -> None:
    tags = [{"key": LOCATION, "value": on_stock.place}]
    trace = str(on_stock.started_v2().json["trace_info"]["request_id"])
    ended = on_stock.world.ask(
        "PATCH", f"{V2}/{trace}", json_body={"timestamp_ms": 2, "status": "OK", "tags": tags}
    )
    assert ended.status == 200
    assert on_stock.data(trace).body == CANARY
    archived = {"mlflow.trace.spansLocation": "ARCHIVE_REPO", "mlflow.trace.archiveLocation": on_stock.place}
    answer = on_stock.started(tags=archived)
    assert answer.json["trace"]["trace_info"]["tags"].items() >= archived.items()
    by_spans = f"tr-{secrets.token_hex(16)}"
    body = spans(by_spans, f"mlflow.traceTag.{LOCATION}", on_stock.place).SerializeToString()
    assert exported(on_stock, body).status == 200
    assert on_stock.location(by_spans) == on_stock.place


def refusals(theft: Theft, key: str) -> Iterator[Answer]:
    """Every request that could write the tag, in MLflow's spellings."""
    trace, place, ask = theft.trace(), theft.place, theft.world.ask
    ids = (trace, "no-such-trace")
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in key)
    for path in (f"{base}/{one}/tags" for base in (V2, V3, V3.replace("api", "ajax-api")) for one in ids):
        yield ask("PATCH", path, json_body={"key": key, "value": place})
        yield ask("PATCH", path, json_body=json.dumps({"key": key, "value": place}))
        yield ask("PATCH", path, body=json.dumps({"key": key, "value": place}).encode())
        yield ask("DELETE", path, json_body={"key": key})
        yield ask("PATCH", path, body=f'{{"key": "{escaped}", "value": "x"}}'.encode())
    entry = [{"key": "other", "value": "x"}, {"key": key, "value": place}]
    for content in ({"tags": entry}, {"request_metadata": entry}, {"requestMetadata": entry}):
        yield theft.started_v2(**content)
        yield ask("PATCH", f"{V2}/{trace}", json_body={"timestamp_ms": 2, "status": "OK", **content})
    yield theft.started(tags={key: place})
    yield theft.started(metadata={key: place})
    camel = {"trace": {"traceInfo": {"traceId": trace, "traceMetadata": {key: place}}}}
    yield ask("POST", V3, json_body=camel)


@pytest.mark.parametrize("key", [*RESERVED, LOCATION.upper(), f" {LOCATION} "])
def test_the_tags_are_refused_wherever_they_stand(theft: Theft, key: str) -> None:
    for answer in refusals(theft, key):
        assert answer.status == 403
        assert answer.json["error_code"] == "PERMISSION_DENIED"
        assert LOCATION in answer.json["message"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"key": "x", "key": "mlflow.artifactLocation", "value": "x"}',
        b'{"key": "mlflow.artifactLocation", "key": "x", "value": "x"}',
        b'["mlflow.artifactLocation"]',
        b"key=mlflow.artifactLocation",
        b'{"key": "mlflow.artifactLocation"',
        b"[" * 100_000,
    ],
)
def test_a_body_that_could_be_read_in_two_ways_is_refused(theft: Theft, body: bytes) -> None:
    answer = theft.world.ask("PATCH", f"{V3}/{theft.trace()}/tags", body=body)
    assert answer.status == 400
    assert answer.json["error_code"] == "INVALID_PARAMETER_VALUE"


def test_a_body_that_is_encoded_or_too_large_is_refused(theft: Theft) -> None:
    path = f"{V3}/{theft.trace()}/tags"
    packed = gzip.compress(b'{"key": "x", "value": "x"}')
    assert theft.world.ask("PATCH", path, headers={"Content-Encoding": "gzip"}, body=packed).status == 400
    large = json.dumps({"key": "x", "value": "x" * 65 * 2**20}).encode()
    assert theft.world.ask("PATCH", path, body=large).status == 400


def _plain(body: bytes) -> bytes:
    return body


def _raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


def _two_members(body: bytes) -> bytes:
    return gzip.compress(body[:20]) + gzip.compress(body[20:])


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("", _plain),
        ("gzip", gzip.compress),
        ("GZIP", _two_members),
        ("deflate", zlib.compress),
        ("deflate", _raw_deflate),
    ],
)
@pytest.mark.parametrize("key", RESERVED)
def test_spans_cannot_carry_the_tags(
    theft: Theft, key: str, encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    trace = f"tr-{secrets.token_hex(16)}"
    attribute = f"mlflow.traceTag.{key}"
    bodies = (
        (spans(trace, attribute, theft.place).SerializeToString(), False),
        (json_spans(trace, attribute, theft.place), True),
        (json_spans(trace, attribute, theft.place).replace(b"mlflow.", b"mlfl\\u006fw."), True),
    )
    for body, json_type in bodies:
        answer = exported(theft, pack(body), encoding=encoding, json_type=json_type)
        assert answer.status == 403
        assert LOCATION in answer.json["message"]
    assert theft.world.ask("GET", f"{V3}/{trace}").status == 404


def test_spans_that_cannot_be_read_are_refused(theft: Theft) -> None:
    body = spans(f"tr-{secrets.token_hex(16)}", "x", "y").SerializeToString()
    assert exported(theft, body, encoding="zstd").status == 400
    assert exported(theft, body, encoding="gzip").status == 400
    assert exported(theft, body, encoding="deflate").status == 400
    assert exported(theft, body, json_type=True).status == 400
    assert exported(theft, gzip.compress(b"\0" * (65 * 2**20)), encoding="gzip").status == 400
    twice = [
        ("Content-Type", "application/x-protobuf"),
        ("Content-Encoding", "identity"),
        ("Content-Encoding", "gzip"),
        ("x-mlflow-experiment-id", theft.experiment),
    ]
    assert theft.world.ask("POST", "/v1/traces", headers=twice, body=body).status == 400


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_other_spans_pass_whatever_they_speak_of(theft: Theft, encoding: str) -> None:
    """An agent that looks at traces has their tags in its outputs. Spans may be larger than other bodies."""
    trace = f"tr-{secrets.token_hex(16)}"
    speech = json.dumps({LOCATION: theft.place}) + secrets.token_hex(3 * 2**20)
    body = spans(trace, "mlflow.spanOutputs", speech).SerializeToString()
    packed = gzip.compress(body) if encoding else body
    assert exported(theft, packed, encoding=encoding).status == 200
    assert theft.location(trace).startswith(f"mlflow-artifacts:/workspaces/{TEAM_A}/{theft.experiment}/")


@pytest.fixture
def alice(guarded: World, tmp_path: Path) -> Iterator[Sdk]:
    with sdk(guarded.server.uri, tmp_path, token=guarded.tokens[TEAM_A], workspace=TEAM_A) as running:
        yield running


def test_the_sdk_traces_as_before(alice: Sdk, theft: Theft) -> None:
    trace = alice.run(make_trace, theft.experiment)
    assert trace in alice.run(trace_ids, theft.experiment)
    alice.run(tag_trace, trace, "purpose", "test")
    assert alice.run(trace_tag, trace, "purpose") == "test"
    assert theft.location(trace).startswith(f"mlflow-artifacts:/workspaces/{TEAM_A}/{theft.experiment}/")


def test_the_sdk_logs_a_trace_that_it_read_before(alice: Sdk, theft: Theft) -> None:
    """With all of its tags at hand, MLflow's own among them."""
    trace = alice.run(make_trace, theft.experiment)
    copied = alice.run(copy_trace, trace)
    assert copied != trace
    assert alice.run(span_names, copied) == ["think"]
