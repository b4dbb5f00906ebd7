"""What a request may not contain: the corners that MLflow's server need not show."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from tests.pipeline.known_objects import KnownObjects
from workspace_authz.catalog.compile import Match
from workspace_authz.catalog.model import Authenticated, Restriction, Route
from workspace_authz.doors.asgi.body import ReplayedBody
from workspace_authz.errors import BadRequestError, ForbiddenError, MissingError, RequestError
from workspace_authz.mlflow_adapter.reading import span_limits
from workspace_authz.mlflow_adapter.reading.artifact_paths import canonical, check_file_name
from workspace_authz.mlflow_adapter.reading.mlflow_reading import MLflowReading
from workspace_authz.mlflow_adapter.reading.reader import RequestReader
from workspace_authz.mlflow_adapter.reading.request import SPANS_BYTES, AccessRequest, GivenBody
from workspace_authz.mlflow_adapter.reading.spellings import same_key
from workspace_authz.restrictions.restrictions import Restrictions
from workspace_authz.restrictions.trace_locations import RESERVED, check_document

KEY = "mlflow.artifactLocation"


PROTOBUF = {b"content-type": b"application/x-protobuf"}


@pytest.fixture(scope="module")
def reading() -> Iterator[MLflowReading]:
    found = MLflowReading()
    yield found
    found.close()


def route(*restrictions: Restriction) -> Route:
    return Route("POST", "/x", "X", Authenticated("A test."), restrictions=restrictions)


async def check(
    *restrictions: Restriction,
    body: bytes = b"",
    headers: Mapping[bytes, bytes] | None = None,
    root: str | None = None,
    reading: MLflowReading | None = None,
) -> None:
    request = AccessRequest("POST", "/x", headers=tuple((headers or {}).items()), body=GivenBody(body))
    reader = RequestReader(request, Match(route(*restrictions)), reading=reading)
    await Restrictions(root).check(reader, workspace="team-a")


async def check_artifact(path: str, *, workspace: str | None) -> None:
    """Where the workspace has one experiment, 12, at its usual place."""
    objects = KnownObjects({"12": "fraud"}, workspace=workspace or "")
    match = Match(route(Restriction.OWN_ARTIFACT), {"artifact_path": path})
    reader = RequestReader(AccessRequest("GET", "/x"), match, reading=None)
    await Restrictions(store=objects).check(reader, workspace=workspace)


@pytest.mark.parametrize(
    "path",
    [
        "12",
        "12/",
        "12/a/b.txt",
        "12/%C3%A4",
        "12/100%",
        "12/a b",
        "12/a:b",
        "workspaces/team-a/12/x",
        "12/..x",
    ],
)
async def test_an_artifact_path_lies_in_its_experiment(path: str) -> None:
    await check_artifact(path, workspace="team-a")


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", ".", "..", "12/..", "12/.", "./12", "/12", "//12", "12//x", "12//", "\\12", "12\\x"),
        *("12/%2e%2e/13", "12%2f..%2f13", "12/%252e%252e/13", "12/%00", "12/\x7f", "12/x#y", "12/.\t./x"),
        *("12/.;", "12/..;", "12/..?", "http://[12", "12/%" + "25" * 12 + "41"),
    ],
)
def test_a_path_that_must_be_resolved_is_refused(path: str) -> None:
    with pytest.raises(BadRequestError):
        canonical(path)


@pytest.mark.parametrize(
    "path",
    [
        *("x", "12a", "-1", "1.0", "¹", "١٢", "workspaces", "workspaces/team-b/12", "workspaces/team-a"),
        *(
            "workspaces/team-a/x",
            "workspaces/team-a/workspaces/team-b/12",
            "Workspaces/team-b/12",
            "team-b/12",
        ),
        *("9" * 20, "mlflow-artifacts:12"),
    ],
)
@pytest.mark.parametrize("workspace", ["team-a", "default", None])
async def test_a_path_outside_of_the_workspaces_experiments_is_refused(
    path: str, workspace: str | None
) -> None:
    with pytest.raises(ForbiddenError):
        await check_artifact(path, workspace=workspace)


@pytest.mark.parametrize("workspace", ["team-a", None])
async def test_an_experiment_that_is_not_there_is_told_so(workspace: str | None) -> None:
    with pytest.raises(MissingError, match="is not in"):
        await check_artifact("13/x", workspace=workspace)


@pytest.mark.parametrize(
    "path", ["v1/models/../../admin", "..", "v1/%2e%2e/admin", "%252e%252E/x", "v1\\..\\x"]
)
async def test_a_path_that_leaves_the_provider_is_refused(path: str) -> None:
    match = Match(route(Restriction.UPSTREAM_PATH), {"path": path})
    reader = RequestReader(AccessRequest("POST", "/x"), match, reading=None)
    with pytest.raises(BadRequestError, match="path is refused"):
        await Restrictions().check(reader, workspace="team-a")


@pytest.mark.parametrize(
    "path", ["v1/models", "v1beta/models/gemini-pro:generateContent", "files/100%", "a/"]
)
async def test_a_path_below_the_provider_is_not(path: str) -> None:
    match = Match(route(Restriction.UPSTREAM_PATH), {"path": path})
    reader = RequestReader(AccessRequest("POST", "/x"), match, reading=None)
    await Restrictions().check(reader, workspace="team-a")


@pytest.mark.parametrize("path", ["/home/me/x.bin", "x", "C:\\x.bin", "a b", "..x"])
def test_an_upload_is_named_after_a_file(path: str) -> None:
    check_file_name(path)


@pytest.mark.parametrize("path", [None, 1, "", "x/", "..", "/home/..", ".", "x\n"])
def test_an_upload_without_a_name_is_refused(path: object) -> None:
    with pytest.raises(BadRequestError):
        check_file_name(path)


async def test_the_reserved_tags_are_found_at_any_depth() -> None:
    for document in (
        {KEY: 1},
        {"a": [{"b": KEY}]},
        {"a": {"b": {KEY.upper(): ""}}},
        json.dumps({"key": KEY}),
    ):
        with pytest.raises(ForbiddenError):
            await check(Restriction.NO_TRACE_LOCATION, body=json.dumps(document).encode())
    await check(Restriction.NO_TRACE_LOCATION, body=json.dumps({"text": f"about {KEY}"}).encode())
    await check(Restriction.NO_TRACE_LOCATION)
    await check(Restriction.NO_TRACE_LOCATION, body=b"null")  # MLflow reads an empty message


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"1", b'{"a": 1, "a": 2}', b"{", b"\xff", b'"\\"{}\\""'])
async def test_a_body_that_is_no_plain_object_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequestError):
        await check(Restriction.NO_TRACE_LOCATION, body=body)


async def test_a_body_is_read_up_to_its_bound_and_spans_up_to_theirs(reading: MLflowReading) -> None:
    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b'{"key": "x"}' + b" " * 100, "more_body": False}

    def reader(restriction: Restriction) -> RequestReader:
        headers = [(b"content-type", b"application/json")]
        request = AccessRequest("POST", "/x", headers=headers, body=ReplayedBody(receive, limit=100))
        return RequestReader(request, Match(route(restriction)), reading=reading)

    with pytest.raises(BadRequestError):
        await Restrictions().check(reader(Restriction.NO_TRACE_LOCATION), workspace=None)
    await Restrictions().check(reader(Restriction.NO_SPAN_TRACE_LOCATION), workspace=None)


def _packed(name: bytes, content: bytes) -> bytes:
    if name == b"gzip":
        return gzip.compress(content)
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS if name == b"deflate" else -zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


@pytest.mark.parametrize("encoding", [b"gzip", b"deflate"])
async def test_spans_that_unpack_beyond_the_bound_are_refused(
    encoding: bytes, reading: MLflowReading, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = {b"content-type": b"application/json", b"content-encoding": encoding}
    bound = 2 * span_limits.FREE_BYTES
    assert bound < SPANS_BYTES
    monkeypatch.setattr(span_limits, "SPANS_BYTES", bound)
    blanks = b"{}" + Random(0).randbytes(bound).translate(bytes(b" \n\t\r"[byte % 4] for byte in range(256)))

    async def send(content: bytes) -> None:
        body = _packed(encoding, content)
        await check(Restriction.NO_SPAN_TRACE_LOCATION, body=body, headers=headers, reading=reading)

    await send(blanks[:bound])
    with pytest.raises(BadRequestError, match="beyond"):
        await send(blanks[: bound + 1])


@pytest.mark.parametrize("encoding", [b"gzip", b"deflate"])
async def test_beyond_a_size_spans_are_not_packed_more_tightly_than_spans_can_be(
    encoding: bytes, reading: MLflowReading
) -> None:
    headers = {b"content-type": b"application/json", b"content-encoding": encoding}

    async def send(size: int) -> None:
        body = _packed(encoding, b"{}".ljust(size))
        await check(Restriction.NO_SPAN_TRACE_LOCATION, body=body, headers=headers, reading=reading)

    await send(span_limits.FREE_BYTES)
    with pytest.raises(BadRequestError, match="200:1"):
        await send(span_limits.FREE_BYTES + 1)


def _export(place: str, key: str) -> ExportTraceServiceRequest:
    attributes = [KeyValue(key=key, value=AnyValue(string_value="s3://elsewhere"))]
    places: dict[str, Any] = {place: attributes}
    span = Span(
        attributes=places.get("span"),
        events=[Span.Event(attributes=places.get("event"))],
        links=[Span.Link(attributes=places.get("link"))],
    )
    scope = ScopeSpans(scope=InstrumentationScope(attributes=places.get("scope")), spans=[Span(), span])
    resource = ResourceSpans(resource=Resource(attributes=places.get("resource")), scope_spans=[scope])
    return ExportTraceServiceRequest(resource_spans=[ResourceSpans(), resource])


@pytest.mark.parametrize("place", ["resource", "scope", "span", "event", "link"])
@pytest.mark.parametrize(
    "attribute",
    [
        f"mlflow.traceTag.{KEY}",
        f"mlflow.traceTag. {KEY.lower()}",
        f"mlflow.traceTag.{KEY.replace('a', 'á')}",
        f"mlflow.traceTag.{KEY.replace('L', 'Ｌ')}",
        f"mlflow.traceTag.\u200b{KEY}",
        f"mlflow.traceTag.{KEY}" + " " * 300,
    ],
)
async def test_the_attributes_are_looked_for_wherever_they_stand(
    place: str, attribute: str, reading: MLflowReading
) -> None:
    body = _export(place, attribute).SerializeToString()
    with pytest.raises(ForbiddenError):
        await check(Restriction.NO_SPAN_TRACE_LOCATION, body=body, headers=PROTOBUF, reading=reading)


@pytest.mark.parametrize("key", [KEY.replace("mlflow", "MLflow"), f" {KEY}", KEY.replace("m", "ｍ")])
async def test_a_resources_attribute_is_itself_a_tag(key: str, reading: MLflowReading) -> None:
    """MLflow leaves out what begins with ``mlflow.``, and compares that exactly."""
    body = _export("resource", key).SerializeToString()
    with pytest.raises(ForbiddenError):
        await check(Restriction.NO_SPAN_TRACE_LOCATION, body=body, headers=PROTOBUF, reading=reading)
    body = _export("span", key).SerializeToString()
    await check(Restriction.NO_SPAN_TRACE_LOCATION, body=body, headers=PROTOBUF, reading=reading)


@pytest.mark.parametrize(
    ("place", "attribute"),
    [
        ("span", KEY),
        ("span", f"x mlflow.traceTag.{KEY}"),
        ("span", f"mlflow.traceTag.{KEY}x"),
        ("span", "mlflow.traceTag.mine"),
        ("resource", KEY),
    ],
)
async def test_of_other_attributes_mlflow_makes_no_such_tag(
    place: str, attribute: str, reading: MLflowReading
) -> None:
    body = _export(place, attribute).SerializeToString()
    await check(Restriction.NO_SPAN_TRACE_LOCATION, body=body, headers=PROTOBUF, reading=reading)


async def test_an_attribute_may_hide_behind_escapes_of_json(reading: MLflowReading) -> None:
    hidden = KEY.replace("a", "\\u0061")
    attributes = f'[{{"key": "mlflow.trace\\u0054ag.{hidden}", "value": {{"stringValue": "x"}}}}]'
    body = f'{{"resourceSpans": [{{"scopeSpans": [{{"spans": [{{"attributes": {attributes}}}]}}]}}]}}'
    headers = {b"content-type": b"application/json"}
    with pytest.raises(ForbiddenError):
        await check(Restriction.NO_SPAN_TRACE_LOCATION, body=body.encode(), headers=headers, reading=reading)


@given(
    key=st.sampled_from(RESERVED).flatmap(
        lambda key: st.sampled_from(
            (
                key,
                f" {key}",
                f"{key}\n",
                key.swapcase(),
                key.replace("o", "ö"),
                f"{key}\u0301",
                f"x{key}",
                key[1:],
            )
        )
    )
)
def test_keys_are_alike_for_the_caller_and_for_places(key: str) -> None:
    refused = False
    try:
        check_document({key: ""})
    except ForbiddenError:
        refused = True
    assert refused is any(same_key(key, reserved) for reserved in RESERVED)


async def test_several_restrictions_all_hold() -> None:
    both = (Restriction.NO_TRACE_LOCATION, Restriction.NO_GLOBAL_BUDGET)
    with pytest.raises(RequestError, match="all workspaces"):
        await check(*both, body=b'{"target_scope": "GLOBAL"}')
    with pytest.raises(RequestError, match="MLflow itself"):
        await check(*both, body=b'{"target_scope": "WORKSPACE", "x": "mlflow.artifactLocation"}')


async def test_a_source_below_the_servers_artifact_root_is_known_by_it() -> None:
    body = b'{"source": "s3://bucket/root/workspaces/team-a/1/model"}'
    await check(Restriction.OWN_SOURCE, body=body, root="s3://bucket/root")
    with pytest.raises(ForbiddenError):
        await check(Restriction.OWN_SOURCE, body=body, root="s3://bucket")
    await check(Restriction.OWN_SOURCE, body=b"{}")
