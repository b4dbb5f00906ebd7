"""What reaches MLflow in place of a body, and what of it a route without stamps notices: nothing."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator

import pytest

from tests.doors.test_body import Client, chunks
from workspace_authz.catalog.compile import Match
from workspace_authz.catalog.identity_stamps import STAMPS
from workspace_authz.catalog.model import Authenticated, Route
from workspace_authz.doors.asgi.answers import replaced
from workspace_authz.doors.asgi.body import ReplayedBody
from workspace_authz.effects.json_stamps import Author
from workspace_authz.effects.rewriting import RequestReplacement, changes_nothing
from workspace_authz.effects.stamps import plan_stamps
from workspace_authz.errors import BadRequestError
from workspace_authz.mlflow_adapter.reading.mlflow_reading import MLflowReading
from workspace_authz.mlflow_adapter.reading.reader import RequestReader
from workspace_authz.mlflow_adapter.reading.request import AccessRequest
from workspace_authz.types import UserInfo

ALICE = UserInfo("alice")
Headers = list[tuple[bytes, bytes]]


@pytest.fixture(scope="module")
def reading() -> Iterator[MLflowReading]:
    found = MLflowReading()
    yield found
    found.close()


def route(operation: str) -> Route:
    policy = Authenticated("It is a test.")
    return Route("POST", "/", operation, policy, stamps=STAMPS.get(operation, ()))


def request(headers: Headers, *parts: bytes) -> tuple[AccessRequest, ReplayedBody, Client]:
    client = Client(*chunks(*parts))
    body = ReplayedBody(client, limit=200_000)
    return AccessRequest("POST", "/", headers=headers, body=body), body, client


async def stamped(
    asked: AccessRequest,
    taken: Route,
    *,
    base: RequestReplacement | None = None,
    reading: MLflowReading | None = None,
) -> RequestReplacement | None:
    reader = RequestReader(asked, Match(taken), reading=reading)
    return await plan_stamps(reader, taken, author=Author(ALICE), base=base)


async def test_a_route_without_stamps_pays_nothing() -> None:
    asked, _, client = request([], b"one", b"two")
    assert await stamped(asked, route("LogMetric")) is None
    assert len(client.waiting) == 2


async def test_the_body_is_replaced_and_its_headers_with_it() -> None:
    headers = [
        (b"host", b"x"),
        (b"content-type", b"application/json"),
        (b"content-length", b"99"),
        (b"content_length", b"98"),
        (b"transfer-encoding", b"chunked"),
        (b"content-encoding", b"identity"),
    ]
    asked, body, _ = request(headers, b'{"name": "n",', b' "created_by": "bob"}')
    replacement = await stamped(asked, route("CreateIssue"))
    assert replacement is not None
    content = replacement.content
    assert json.loads(content) == {"name": "n", "created_by": "alice"}
    length = (b"content-length", str(len(content)).encode())
    assert replacement.headers(headers) == [*headers[:2], length]
    scope, receive = replaced(replacement, {"headers": headers, "query_string": b"a=b"}, body)
    assert scope == {"headers": [*headers[:2], length], "query_string": b"a=b"}
    assert await receive() == {"type": "http.request", "body": content, "more_body": False}


async def test_a_large_body_is_written_too() -> None:
    text = "x" * 100_000
    asked, _, _ = request([], json.dumps({"name": text}).encode())
    replacement = await stamped(asked, route("CreateIssue"))
    assert replacement is not None
    assert json.loads(replacement.content) == {"name": text, "created_by": "alice"}


async def test_too_large_a_body_is_refused() -> None:
    asked, _, client = request([], *[b" " * 100_000] * 6)
    with pytest.raises(BadRequestError, match=r"at most 200000 bytes.*WORKSPACE_AUTHZ_BODY_BYTES"):
        await stamped(asked, route("CreateIssue"))
    assert client.waiting


@pytest.mark.parametrize("encodings", [[b"gzip"], [b"identity, gzip"], [b"zstd"], [b"identity", b"gzip"]])
async def test_a_compressed_document_is_refused(encodings: list[bytes]) -> None:
    headers = [(b"content-encoding", encoding) for encoding in encodings]
    asked, _, _ = request(headers, gzip.compress(b"{}"))
    with pytest.raises(BadRequestError):
        await stamped(asked, route("CreateIssue"))


@pytest.mark.parametrize(
    "media_type", [b"", b"text/plain", b"Application/JSON", b"application/json\xa0", b"application/json,x"]
)
async def test_spans_are_taken_as_mlflow_takes_them_only(media_type: bytes, reading: MLflowReading) -> None:
    asked, _, _ = request([(b"content-type", media_type)], b"{}")
    with pytest.raises(BadRequestError, match="Invalid Content-Type"):
        await stamped(asked, route("ExportTraces"), reading=reading)


async def test_spans_go_on_as_protobuf_uncompressed(reading: MLflowReading) -> None:
    headers = [(b"content-type", b"application/json; charset=utf-8"), (b"content-encoding", b"GZIP")]
    asked, _, _ = request(headers, gzip.compress(b'{"resourceSpans": [{"scopeSpans": [{"spans": [{}]}]}]}'))
    replacement = await stamped(asked, route("ExportTraces"), reading=reading)
    assert replacement is not None
    assert b"mlflow.traceTag.mlflow.user" in replacement.content
    assert [value for name, value in replacement.headers(headers) if name == b"content-type"] == [
        b"application/x-protobuf"
    ]
    assert not [value for name, value in replacement.headers(headers) if name == b"content-encoding"]


async def test_what_another_effect_has_written_is_stamped_and_keeps_its_query() -> None:
    asked, _, client = request([], b"{}")
    base = RequestReplacement(b'{"name": "n", "created_by": "bob"}', query=b"")
    replacement = await stamped(asked, route("CreateIssue"), base=base)
    assert replacement is not None
    assert json.loads(replacement.content) == {"name": "n", "created_by": "alice"}
    assert replacement.query == b""
    assert len(client.waiting) == 1  # nobody needs what was sent
    assert await stamped(asked, route("LogMetric"), base=base) is base


NAMED = {"user_id": "alice", "tags": [{"key": "mlflow.user", "value": "alice"}]}


@pytest.mark.parametrize(
    ("operation", "document", "nothing"),
    [
        ("CreateRun", {**NAMED, "experiment_id": "1"}, True),
        ("CreateRun", {"experiment_id": "1", **NAMED}, True),
        ("CreateRun", {"experiment_id": "1", **NAMED, "userId": "alice"}, False),
        ("CreateRun", {"experiment_id": "1", **NAMED, "user_id": "bob"}, False),
        ("CreateRun", {"experiment_id": "1"}, False),
        # MLflow's parser stops at the field that it cannot take, and forgets who is named after it.
        ("CreateRun", {"experiment_id": {"x": 1}, **NAMED}, False),
        ("SetTag", {"run_id": "r", "key": "purpose", "value": "x"}, True),
        ("SetTag", {"run_id": "r", "key": "mlflow.user", "value": "bob"}, False),
        ("CreateAssessment", {"assessment": {"assessment_name": "a"}, "trace_id": "t"}, False),
    ],
)
async def test_a_stamp_that_changes_nothing_is_seen(
    operation: str, document: dict[str, object], nothing: bool, reading: MLflowReading
) -> None:
    asked, _, _ = request([(b"content-type", b"application/json")], json.dumps(document).encode())
    taken = route(operation)
    replacement = await stamped(asked, taken, reading=reading)
    assert replacement is not None
    assert await changes_nothing(replacement, asked, route=taken, reading=reading) is nothing


async def test_what_mlflows_message_lacks_counts_as_well(reading: MLflowReading) -> None:
    """Given a field that MLflow's message does not have and a handler may read, then it may not change."""
    asked, _, _ = request([(b"content-type", b"application/json")], b'{"run_id": "r", "more": 1}')
    for content, nothing in ((b'{"more": 1, "run_id": "r"}', True), (b'{"run_id": "r"}', False)):
        replacement = RequestReplacement(content)
        found = await changes_nothing(replacement, asked, route=route("SetTag"), reading=reading)
        assert found is nothing
    other_query = RequestReplacement(b'{"run_id": "r", "more": 1}', query=b"")
    assert not await changes_nothing(other_query, asked, route=route("SetTag"), reading=reading)
