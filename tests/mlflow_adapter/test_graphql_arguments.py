"""A document that was written anew asks MLflow for the same, but with the arguments that were changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import flask
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.mlflow_adapter.executed import executed
from tests.mlflow_adapter.graphql_documents import requests
from tests.mlflow_adapter.test_graphql import JSON, read, touched_by
from workspace_authz.catalog.graphql import Changes
from workspace_authz.errors import BadRequestError
from workspace_authz.mlflow_adapter.reading.graphql_arguments import changed_document

APP = flask.Flask(__name__)
VALUES: Final[Mapping[str, Mapping[str, Any]]] = {
    "mlflowSearchRuns": {"experiment_ids": ["kept"]},
    "mlflowSearchDatasets": {"experiment_ids": ["kept", "too"]},
    "mlflowSearchModelVersions": {"filter": "name IN ('kept')"},
}


def written(asked: dict[str, Any], changes: Changes, method: str = "POST") -> bytes:
    body = json.dumps(asked).encode()
    headers = [(b"content-type", JSON.encode()), (b"content-length", str(len(body)).encode())]
    return changed_document(changes, method=method, query=b"", headers=headers, body=body)


@settings(max_examples=150)
@given(asked=requests(), chosen=st.sets(st.integers(0, 3)))
def test_nothing_else_changes(asked: dict[str, Any], chosen: set[int]) -> None:
    try:
        calls = read("POST", json.dumps(asked).encode(), JSON)
    except BadRequestError:
        return
    changes: Changes = {
        call.path[0]: VALUES[name]
        for call in calls
        if len(call.path) == 1
        and (name := call.field.partition(".")[2]) in VALUES
        and int(call.path[0].removeprefix("a")) in chosen
    }
    body = written(asked, changes)
    expected = [call.changed(changes) for call in calls]
    assert list(read("POST", body, JSON)) == expected
    assert executed(APP, "POST", body, JSON) == touched_by(expected)


RUNS = "{ runs { info { runUuid } experiment { name } } }"
BOTH = 'experimentIds: ["7", "8"]'
DOCUMENTS = (
    'query Q($d: MlflowSearchRunsInput!) @component(name: "x") { a: mlflowSearchRuns(input: $d) RUNS }',
    """query($i: [String] = ["7", "8"], $n: Int) {
      a: mlflowSearchRuns(input: {experimentIds: $i, maxResults: $n, orderBy: ["a", "b"]}) RUNS
    }""",
    """query($i: String = "8") {
      a: mlflowSearchRuns(input: {experimentIds: ["7", $i], pageToken: "p"}) RUNS
    }""",
    "{ ...F ...F } fragment F on Query { a: mlflowSearchRuns(input: {BOTH}) RUNS }",
    """query($narrowed_a: [String] = ["7", "8"]) {
      a: mlflowSearchRuns(input: {experimentIds: $narrowed_a}) RUNS
      b: mlflowSearchRuns(input: {experimentIds: $narrowed_a}) { nextPageToken }
    }""",
    'mutation { a: mlflowSearchRuns(input: {BOTH, filter: "x = \\"y\\"", maxResults: 3}) RUNS }',
    "{ a: mlflowSearchRuns(input: {BOTH}) RUNS ... on Query { a: mlflowSearchRuns(input: {BOTH}) RUNS } }",
)


@pytest.mark.parametrize("document", DOCUMENTS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_however_the_arguments_are_written(method: str, document: str) -> None:
    """As literals, variables, defaults, in fragments, in one field that stands twice."""
    text = document.replace("RUNS", RUNS).replace("BOTH", BOTH)
    asked = {"query": text, "variables": {"d": {"experimentIds": ["7", "8"], "orderBy": None}}}
    calls = read(method, json.dumps(asked).encode(), JSON)
    changes = {"a": {"experiment_ids": ["7"]}}
    body = written(asked, changes, method)
    expected = [call.changed(changes) for call in calls]
    assert list(read(method, body, JSON)) == expected
    found = executed(APP, method, body, JSON)
    assert found["search_runs_impl", ("7",)] == 1
    assert found == touched_by(expected)


def test_what_has_no_arguments_gets_some() -> None:
    for text in (
        "{ mlflowSearchModelVersions { nextPageToken } }",
        "{ mlflowSearchModelVersions(input: null) { nextPageToken } }",
    ):
        body = written({"query": text}, {"mlflowSearchModelVersions": {"filter": "name IN ('fraud')"}})
        assert executed(APP, "POST", body, JSON) == {
            ("search_model_versions_impl", ("name IN ('fraud')",)): 1
        }
