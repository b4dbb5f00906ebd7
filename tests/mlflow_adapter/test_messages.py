"""What we read in a request is what MLflow's handler reads, whatever the request looks like."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from tempfile import SpooledTemporaryFile
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from google.protobuf.json_format import MessageToDict
from hypothesis import given
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException
from mlflow.protos.issues_pb2 import SearchIssues
from mlflow.protos.service_pb2 import SearchRuns
from mlflow.server.handlers import _get_request_message
from werkzeug.exceptions import HTTPException

from workspace_authz.catalog.model import Guarded, Server
from workspace_authz.catalog.routes import all_routes
from workspace_authz.errors import BadRequestError
from workspace_authz.mlflow_adapter.reading.messages import _FILES, has_field, read_message

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Starlette deprecates what MLflow still uses
    from workspace_authz.mlflow_adapter.patches.wsgi import _environ

ROUTES = {route.operation: route for route in all_routes()}
JSON = (b"content-type", b"application/json")


def length(body: bytes) -> tuple[bytes, bytes]:
    return b"content-length", str(len(body)).encode()


def read(
    operation: str, *, method: str = "POST", query: bytes = b"", body: bytes = b"", **headers: str
) -> Mapping[str, Any]:
    given = [JSON, length(body), *((k.replace("_", "-").encode(), v.encode()) for k, v in headers.items())]
    return read_message(ROUTES[operation], method=method, query=query, headers=given, body=body)


fields = st.sampled_from(["experiment_id", "experimentId", "experiment_ids", "experimentIds", "filter"])
values = st.one_of(
    st.sampled_from(["1", "2", "", None, 7, True, "\u0661"]),
    st.lists(st.sampled_from(["1", "2", 3]), max_size=3),
    st.dictionaries(fields, st.just("1"), max_size=1),
)


def _objects(pairs: Sequence[tuple[str, object]]) -> str:
    return "{" + ",".join(f"{json.dumps(key)}:{json.dumps(value)}" for key, value in pairs) + "}"


documents = st.lists(st.tuples(fields, values), max_size=4).map(_objects)
bodies = st.one_of(
    documents.map(str.encode),
    documents.map(lambda text: json.dumps(text).encode()),
    documents.map(lambda text: text.encode("utf-16")),
    st.sampled_from([b"", b"[]", b"null", b'"null"', b"{", b"\xff", b'{"experiment_id": NaN}']),
)
queries = st.lists(st.tuples(fields, st.sampled_from(["1", "2", "", "%31", "a+b", "%ff"])), max_size=3).map(
    lambda pairs: "&".join(f"{key}={value}" for key, value in pairs).encode()
)
headers = st.lists(
    st.sampled_from(
        [
            JSON,
            (b"content-type", b"text/plain"),
            (b"content-type", b"application/x-www-form-urlencoded"),
            (b"content-length", b"5"),
            (b"content-length", b"100000"),
            (b"content-length", b"x"),
            (b"content_length", b"3"),
            (b"transfer-encoding", b"chunked"),
        ]
    ),
    max_size=3,
)


@pytest.mark.parametrize("message", [SearchIssues, SearchRuns])
@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "PATCH", "DELETE"]),
    query=queries,
    body=bodies,
    extra=headers,
    sized=st.booleans(),
)
def test_every_request_is_read_as_mlflow_reads_it(
    message: Any, method: str, query: bytes, body: bytes, extra: list[tuple[bytes, bytes]], sized: bool
) -> None:
    sent = [*extra, *([length(body)] if sized else [])]
    scope = {
        "type": "http",
        "method": method,
        "path": "/",
        "http_version": "1.1",
        "query_string": query,
        "headers": sent,
    }
    with SpooledTemporaryFile() as arrived:
        arrived.write(body)
        with Flask("mlflow").request_context(dict(_environ(scope, arrived))):
            try:
                theirs = MessageToDict(_get_request_message(message()), preserving_proto_field_name=True)
            except (MlflowException, HTTPException, ValueError, TypeError, AttributeError):
                theirs = None
    try:
        ours: Mapping[str, Any] | None = read_message(
            ROUTES[message.DESCRIPTOR.name], method=method, query=query, headers=sent, body=body
        )
    except BadRequestError:
        ours = None
    assert ours == theirs


def test_camel_case_a_text_that_holds_json_and_the_last_of_equal_keys() -> None:
    for body in (
        b'{"experimentId": "1"}',
        json.dumps('{"experiment_id": "1"}').encode(),
        b'{"experiment_id": "2", "experiment_id": "1"}',
    ):
        assert read("SearchIssues", body=body) == {"experiment_id": "1"}


def test_both_spellings_are_refused() -> None:
    with pytest.raises(BadRequestError):
        read("SearchIssues", body=b'{"experiment_id": "1", "experimentId": "2"}')


def test_a_message_that_one_wrong_field_leaves_half_empty_names_nothing() -> None:
    """MLflow searches the whole workspace then."""
    assert read("SearchIssues", body=b'{"max_results": "x", "experiment_id": "1"}') == {}


@pytest.mark.parametrize("name", ["content-encoding", "content_encoding"])
def test_an_encoded_body_is_refused(name: str) -> None:
    body = b'{"experiment_id": "1"}'
    headers = [JSON, length(body), (name.encode(), b"gzip")]
    with pytest.raises(BadRequestError):
        read_message(ROUTES["SearchIssues"], method="POST", query=b"", headers=headers, body=body)


def test_native_routes_and_plain_handlers_read_json() -> None:
    assert read("ChatCompletions", body=b'{"model": "a", "model": "b"}') == {"model": "b"}
    assert read("CreatePromptlabRun", body=b'{"experiment_id": "1"}') == {"experiment_id": "1"}
    for operation in ("ChatCompletions", "CreatePromptlabRun"):
        for body in (b"", b"[]", b'"{}"', b"{"):
            with pytest.raises(BadRequestError):
                read(operation, body=body)


def test_deep_json_is_refused() -> None:
    with pytest.raises(BadRequestError):
        read("ChatCompletions", body=b'{"model": ' + b"[" * 100_000)


def test_each_operation_has_its_own_message() -> None:
    names = Counter(
        method.input_type.name
        for file in _FILES
        for service in file.services_by_name.values()
        for method in service.methods
    )
    assert [name for name, count in names.items() if count > 1] == ["ListArtifacts"]
    assert read("ListArtifacts", method="GET", query=b"run_id=r&path=p") == {"run_id": "r", "path": "p"}


def test_what_is_no_message_is_known() -> None:
    plain = {
        route.operation
        for route in all_routes()
        if isinstance(route.policy, Guarded)
        and route.server is Server.FLASK
        and any(source.origin == "body" for need in route.policy.requirements for source in need.names)
        and route.operation
        not in {m.input_type.name for f in _FILES for s in f.services_by_name.values() for m in s.methods}
    }
    assert plain == {"CreatePromptlabRun"}


def test_a_native_query_is_read_and_a_doubled_parameter_is_a_list() -> None:
    found = read("SearchMcpServers", method="GET", query=b"filter_string=a%26b&order_by=x&order_by=y&empty=")
    assert found == {"filter_string": "a&b", "order_by": ["x", "y"], "empty": ""}
    with pytest.raises(BadRequestError):
        read("SearchMcpServers", method="GET", query=b"filter_string=%ff")


def test_a_message_can_be_sent_again() -> None:
    """What was read, sent as JSON or as a query, is read as the same."""
    sent = {"view_type": "DELETED_ONLY", "max_results": "5", "filter": "a&b", "orderBy": ["name", "x"]}
    fields = read("SearchExperiments", body=json.dumps(sent).encode())
    assert read("SearchExperiments", body=json.dumps(fields).encode()) == fields
    query = urlencode(fields, doseq=True).encode()
    assert read("SearchExperiments", method="GET", query=query) == fields


def test_which_fields_this_mlflow_knows() -> None:
    assert has_field(ROUTES["ListScorers"], "experiment_ids")
    assert not has_field(ROUTES["ListScorers"], "made_up")
    assert has_field(
        ROUTES["SearchSkills"], "include_skill_identities"
    )  # of FastAPI, which the catalog knows
