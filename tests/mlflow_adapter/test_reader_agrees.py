"""The one reader against MLflow's own parser: whatever MLflow finds in a request, the reader finds too."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from flask import Request
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import event, given, settings
from hypothesis import strategies as st
from mlflow.server import handlers
from werkzeug.exceptions import HTTPException

from workspace_authz.catalog.compile import Match
from workspace_authz.catalog.model import Guarded, NameSource, Origin, Route
from workspace_authz.catalog.routes import all_routes
from workspace_authz.errors import BadRequestError
from workspace_authz.mlflow_adapter.reading.messages import _MESSAGES, environ_of, read_message
from workspace_authz.mlflow_adapter.reading.reader import UNREADABLE, RequestReader, walk
from workspace_authz.mlflow_adapter.reading.request import AccessRequest, GivenBody

OPERATIONS = ("SetTag", "LogBatch", "StartTraceV3", "CreateModelVersion")
ROUTES = {route.operation: route for route in all_routes() if route.operation in OPERATIONS}
OTHERS = frozenset({"key", "value", "tags", "trace_metadata", "assessment_id", "source_id"})
"""Fields that may stand beside those of the catalog."""


def sources(route: Route) -> list[NameSource]:
    """Where the catalog looks for names in the route's message."""
    assert isinstance(route.policy, Guarded)
    return [
        source
        for needed in route.policy.requirements
        for source in needed.names
        if source.origin is Origin.BODY
    ]


def paths(route: Route) -> list[str]:
    return [path for source in sources(route) for path in (source.field, *source.aliases)]


def _object(pairs: Sequence[tuple[str, str]]) -> str:
    """A JSON object in which a key may stand twice."""
    return "{" + ",".join(f"{json.dumps(key)}: {value}" for key, value in pairs) + "}"


TEXTS = st.sampled_from(["a", "b", "c", "", "iss-1", "gateway:/e"]).map(json.dumps)
WRONG = st.sampled_from(
    ["null", "7", "true", "{}", "[]", "[[]]", '["a"]', '{"value": "a"}', '["a", null]', "1e400"]
)


def _values(field: FieldDescriptor, known: frozenset[str]) -> st.SearchStrategy[str]:
    """JSON texts for a field: mostly as its type wants them, sometimes another."""
    right = TEXTS if field.message_type is None else _objects(field.message_type, known)
    if field.is_repeated:
        right = st.lists(right, max_size=3).map(lambda inner: "[" + ", ".join(inner) + "]")
    return st.one_of(right, right, right, right, WRONG)


def _objects(message: Descriptor, known: frozenset[str]) -> st.SearchStrategy[str]:
    fields = [field for field in message.fields if field.name in known] or list(message.fields)[:1]
    pairs = [
        st.tuples(st.sampled_from([field.name, field.json_name]), _values(field, known)) for field in fields
    ]
    strange = st.tuples(st.sampled_from(["", "x", "RUN_ID", "runid"]), WRONG)
    return st.lists(st.one_of(*pairs, *pairs, strange), max_size=5).map(_object)


def _naming(message: Descriptor, path: str) -> st.SearchStrategy[str]:
    """A document that names something at ``path``, each step in one of its spellings."""
    step, _, further = path.partition(".")
    field = message.fields_by_name[step.removesuffix("[]")]
    inner = _naming(field.message_type, further) if further else TEXTS
    if field.is_repeated:
        inner = st.lists(inner, min_size=1, max_size=2).map(lambda found: f"[{', '.join(found)}]")
    named = st.tuples(st.sampled_from([field.name, field.json_name]), inner)
    return st.lists(named, min_size=1, max_size=2).map(_object)


def _sent(text: str, form: str) -> bytes:
    match form:
        case "as it is":
            return text.encode()
        case "in a text":
            return json.dumps(text).encode()
        case "in a text in a text":
            return json.dumps(json.dumps(text)).encode()
        case "in a list":
            return f"[{text}]".encode()
        case "utf-16":
            return text.encode("utf-16")
        case "with a mark":
            return text.encode("utf-8-sig")
        case _:
            return text.encode()[:-1]


FORMS = st.sampled_from(
    [
        *("as it is",) * 6,
        *("in a text",) * 2,
        *("in a text in a text", "in a list", "utf-16", "with a mark", "cut off"),
    ]
)
GARBAGE = st.sampled_from(
    [
        b"",
        b"null",
        b'"null"',
        b'""',
        b"[]",
        b"7",
        b"{",
        b"\xff",
        b'{"run_id": "a",}',
        b"NaN",
        b" {} ",
        b"[" * 9999,
    ]
)


def bodies(route: Route) -> st.SearchStrategy[bytes]:
    known = OTHERS | {step.removesuffix("[]") for path in paths(route) for step in path.split(".")}
    message = _MESSAGES[route.operation]
    documents = st.one_of(
        _objects(message, known), st.sampled_from(paths(route)).flatmap(lambda path: _naming(message, path))
    )
    return st.one_of(*[st.builds(_sent, documents, FORMS)] * 8, GARBAGE)


def queries(route: Route) -> st.SearchStrategy[bytes]:
    names = st.sampled_from([*paths(route), "runId", "runUuid", "x"])
    pairs = st.tuples(names, st.sampled_from(["a", "b", "", "%61", "a+b", "a%26b", "%ff", "a;run_id=c"]))
    written = st.lists(pairs, max_size=3).map(lambda found: "&".join(f"{k}={v}" for k, v in found).encode())
    return st.just(b"") | written


def request(method: str, query: bytes, body: bytes) -> AccessRequest:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    return AccessRequest(method, "/", headers=headers, query=query, body=GivenBody(body))


def reader_of(asked: AccessRequest, route: Route) -> RequestReader:
    return RequestReader(asked, Match(route), reading=None)


@pytest.mark.parametrize("operation", OPERATIONS)
@settings(max_examples=100)
@given(data=st.data())
async def test_what_mlflow_finds_is_among_the_possible_values(operation: str, data: st.DataObject) -> None:
    route = ROUTES[operation]
    asked = request(
        data.draw(st.sampled_from(["POST", "POST", "GET"])),
        data.draw(queries(route)),
        data.draw(bodies(route)),
    )
    try:
        message = read_message(
            route,
            method=asked.method,
            query=asked.query,
            headers=asked.headers,
            body=await asked.body.read() or b"",
        )
    except BadRequestError:
        event("MLflow reads no message")
        return
    for source in sources(route):
        possible = await reader_of(asked, route).possible_values(source)
        for path in (source.field, *source.aliases):
            found = [value for value in walk(message, path.split(".")) if value not in (None, "")]
            event("something was found" if found else "nothing was found")
            assert UNREADABLE in possible or all(value in possible for value in found)


@pytest.mark.parametrize("operation", OPERATIONS)
@settings(max_examples=100)
@given(data=st.data())
async def test_a_document_is_what_mlflow_reads_or_it_is_refused(operation: str, data: st.DataObject) -> None:
    route = ROUTES[operation]
    body = data.draw(bodies(route))
    asked = request("POST", b"", body)
    try:
        ours = await reader_of(asked, route).document()
    except BadRequestError:
        event("refused")
        return
    try:
        flask_request = Request(environ_of(method="POST", query=b"", headers=asked.headers, body=body))
        theirs: Any = handlers._get_normalized_request_json(flask_request)
    except (ValueError, HTTPException) as error:
        pytest.fail(f"MLflow reads nothing ({error!r}), and the reader {ours}")
    event("empty" if not ours else "read")
    assert json.dumps(ours) == json.dumps(theirs)
