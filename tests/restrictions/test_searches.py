"""A search may hold so many comparisons and terms only, however they are spelt."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

import pytest
from mlflow.utils.search_utils import SearchTraceUtils, SearchUtils

from workspace_authz.catalog.compile import compile_catalog
from workspace_authz.catalog.routes import all_routes
from workspace_authz.errors import BadRequestError
from workspace_authz.mlflow_adapter.reading.filters import any_large_filter
from workspace_authz.mlflow_adapter.reading.messages import _MESSAGES
from workspace_authz.mlflow_adapter.reading.mlflow_reading import MLflowReading
from workspace_authz.mlflow_adapter.reading.reader import RequestReader
from workspace_authz.mlflow_adapter.reading.request import AccessRequest, GivenBody
from workspace_authz.restrictions.restrictions import Restrictions
from workspace_authz.restrictions.searches import FILTERS, MAX_COMPARISONS, MAX_FILTER, ORDER, SEARCHES

CATALOG = compile_catalog()
RUNS = "/api/2.0/mlflow/runs/search"
TRACES = "/api/3.0/mlflow/traces/search"
LOGGED = "/api/2.0/mlflow/logged-models/search"
GRAPHQL = "mutation M($f: String) { mlflowSearchRuns(input: {filter: $f}) { runs { info { runUuid } } } }"


@pytest.fixture
def reading() -> Iterator[MLflowReading]:
    reading = MLflowReading()
    yield reading
    reading.close()


def filter_of(comparisons: int, one: str = "tags.a = 'b'") -> str:
    return " AND ".join([one] * comparisons)


TOO_MANY = filter_of(MAX_COMPARISONS + 1)


async def send(
    reading: MLflowReading, path: str, fields: Mapping[str, Any] | str, *, method: str = "POST"
) -> None:
    query = urlencode(dict(fields), doseq=True) if method == "GET" and not isinstance(fields, str) else ""
    body = b"" if query else json.dumps(fields).encode()
    headers = [(b"content-type", b"application/json")]
    request = AccessRequest(method, path, headers=headers, query=query.encode(), body=GivenBody(body))
    match = CATALOG.match(method, path)
    assert match is not None
    await Restrictions().check(RequestReader(request, match, reading=reading), workspace="team-a")


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (RUNS, {"filter": TOO_MANY}),
        (RUNS, json.dumps({"filter": TOO_MANY})),
        (RUNS, {"filter": "name = '\\'' AND " + TOO_MANY}),
        (RUNS, {"filter": filter_of(MAX_COMPARISONS + 1, "tags.a IS NULL")}),
        (RUNS, {"filter": filter_of(MAX_COMPARISONS + 1, "a in ('b')")}),
        (RUNS, {"orderBy": ["metrics.a"] * (MAX_COMPARISONS + 1)}),
        (RUNS, {"filter": "," * 30_000}),
        (RUNS, {"filter": "a" * (MAX_FILTER + 1)}),
        (TRACES, {"filter": filter_of(MAX_COMPARISONS + 1, "tag.a RLIKE 'b'")}),
        ("/api/3.0/mlflow/traces/calculate-filter-correlation", {"filter_string2": TOO_MANY}),
        ("/api/3.0/mlflow/traces/metrics", {"filters": ["", TOO_MANY]}),
        ("/api/3.0/mlflow/issues/search", {"filter_string": TOO_MANY}),
        (LOGGED, {"filter": TOO_MANY}),
        (LOGGED, {"order_by": [{"field_name": "metrics.a"}] * (MAX_COMPARISONS + 1)}),
        ("/graphql", {"query": GRAPHQL, "variables": {"f": TOO_MANY}}),
    ],
)
async def test_more_are_refused(reading: MLflowReading, path: str, fields: Mapping[str, Any]) -> None:
    with pytest.raises(BadRequestError, match="at most"):
        await send(reading, path, fields)


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/api/2.0/mlflow/experiments/search", {"filter": TOO_MANY}),
        ("/api/2.0/mlflow/registered-models/search", {"filter": TOO_MANY}),
        ("/api/2.0/mlflow/model-versions/search", {"order_by": ["name"] * (MAX_COMPARISONS + 1)}),
        ("/api/3.0/mlflow/datasets/search", {"filter_string": TOO_MANY}),
        ("/api/2.0/mlflow/traces", {"filter": TOO_MANY}),
        ("/api/3.0/mlflow/mcp-servers", {"filter_string": TOO_MANY}),
        ("/api/3.0/mlflow/mcp-servers", {"order_by": ["name"] * (MAX_COMPARISONS + 1)}),
    ],
)
async def test_more_are_refused_in_a_query(
    reading: MLflowReading, path: str, fields: Mapping[str, Any]
) -> None:
    with pytest.raises(BadRequestError, match="at most"):
        await send(reading, path, fields, method="GET")


async def test_so_many_are_allowed(reading: MLflowReading) -> None:
    await send(reading, RUNS, {"filter": filter_of(MAX_COMPARISONS)})
    await send(reading, RUNS, {"order_by": ["metrics.a"] * MAX_COMPARISONS})
    await send(reading, RUNS, {"filter": f"run_id IN ({','.join(['9'] * 4000)})"})
    await send(reading, RUNS, {"filter": f"params.a = '{'= and like ' * 1000}'"})
    await send(reading, TRACES, {"filter": f"trace.text LIKE '{'%a' * 1000}'"})


@pytest.mark.parametrize(
    "text",
    [
        "tags.a != 'b' AND tags.c IS NOT NULL AND params.d ILIKE 'e' AND metrics.f >= 1",
        "attributes.run_id NOT IN ('a', 'b') AND tags.`a b` LIKE '%' AND attributes.status = 'x'",
        "tags.a='b'tags.c='d'",
        "tags.\"a\" = 'it''s' AND params.b = 'c\\'' AND tags.d = 'e'",
    ],
)
def test_none_of_mlflows_comparisons_is_missed(text: str) -> None:
    read = len(SearchUtils.parse_search_filter(text))
    assert read > 1
    assert any_large_filter([text], comparisons=read - 1)


def test_none_of_mlflows_comparisons_of_traces_is_missed() -> None:
    text = "tag.a RLIKE 'b' AND metadata.c IS NULL AND feedback.d < 3 AND status IN ('OK')"
    assert len(SearchTraceUtils.parse_search_filter_for_search_traces(text)) == 4
    assert any_large_filter([text], comparisons=3)
    assert not any_large_filter([text], comparisons=4)


def test_every_operation_with_a_filter_is_known() -> None:
    takes = {
        operation
        for operation, message in _MESSAGES.items()
        if {*FILTERS, ORDER} & set(message.fields_by_name)
    }
    guarded = {route.operation for route in all_routes()}
    # It is refused to all: it reads other workspaces.
    assert (takes & guarded) - SEARCHES == {"SearchUnifiedTraces"}
    assert not SEARCHES - guarded
