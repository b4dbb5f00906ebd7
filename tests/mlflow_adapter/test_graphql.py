"""What a document is said to touch is what MLflow's own handler asks its stores for."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

import flask
import pytest
from graphql import GraphQLObjectType
from hypothesis import given, settings
from mlflow.server.graphql.graphql_schema_extensions import schema

from tests.mlflow_adapter.executed import FOUND_EXPERIMENT, FOUND_RUN, Touched, executed
from tests.mlflow_adapter.graphql_documents import requests
from workspace_authz.catalog.graphql import DOCUMENT, FieldCall
from workspace_authz.errors import BadRequestError
from workspace_authz.mlflow_adapter.reading.graphql import DOCUMENT_CHARACTERS, calls_in, computed, read_calls

APP = flask.Flask(__name__)
JSON = "application/json"

IMPLS = {
    "mlflowGetExperiment": ("get_experiment_impl", "experiment_id"),
    "mlflowGetRun": ("get_run_impl", "run_id"),
    "mlflowListArtifacts": ("list_artifacts_impl", "run_id"),
    "mlflowGetMetricHistoryBulkInterval": ("get_metric_history_bulk_interval_impl", "run_ids"),
    "mlflowSearchRuns": ("search_runs_impl", "experiment_ids"),
    "mlflowSearchDatasets": ("search_datasets_impl", "experiment_ids"),
    "mlflowSearchModelVersions": ("search_model_versions_impl", "filter"),
}


def touched_by(calls: Iterable[FieldCall]) -> Touched:
    """The same as MLflow's functions are called with."""
    found: Touched = Counter()
    for call in calls:
        kind, _, name = call.field.partition(".")
        if call.field == "MlflowRunExtension.experiment":
            found["get_experiment_impl", (FOUND_EXPERIMENT,)] += 1
        elif call.field == "MlflowRunExtension.modelVersions":
            found["search_model_versions_impl", (f"run_id='{FOUND_RUN}'",)] += 1
        elif kind in ("Query", "Mutation") and name in IMPLS:
            impl, argument = IMPLS[name]
            sent = call.arguments.get("input") or {}
            value = sent.get(argument) or (sent.get("run_uuid") if argument == "run_id" else None)
            found[impl, tuple(value or ()) if argument.endswith("s") else (value or "",)] += 1
    return found


def read(method: str, body: bytes, content_type: str, query: str = "") -> tuple[FieldCall, ...]:
    headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
    return read_calls(method=method, query=query.encode(), headers=headers, body=body)


@settings(max_examples=150)
@given(asked=requests())
def test_what_is_read_is_what_mlflow_executes(asked: dict[str, Any]) -> None:
    body = json.dumps(asked).encode()
    assert touched_by(read("POST", body, JSON)) == executed(APP, "POST", body, JSON)


FRAUD = '{ mlflowGetExperiment(input: {experimentId: "1"}) { experiment { name } } }'
RUN = '{ mlflowGetRun(input: {runId: "1"}) { run { info { runUuid } } } }'
PLAIN = {"query": FRAUD}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (json.dumps(PLAIN), JSON),
        (json.dumps(PLAIN), "application/json; charset=utf-8"),
        (json.dumps(PLAIN), "text/plain"),
        (json.dumps(PLAIN), ""),
        (json.dumps([PLAIN]), JSON),
        (json.dumps(json.dumps(PLAIN)), JSON),
        (f'{{"query": {json.dumps(FRAUD)}, "query": {json.dumps(RUN)}}}', JSON),
        (f'{{"query": {json.dumps(FRAUD)}, "QUERY": {json.dumps(RUN)}}}', JSON),
        (json.dumps({"query": [FRAUD]}), JSON),
        (json.dumps({"query": None}), JSON),
        (json.dumps({"query": FRAUD, "variables": []}), JSON),
        (json.dumps({"query": FRAUD, "variables": "{}"}), JSON),
        (json.dumps({"query": FRAUD, "operationName": 7}), JSON),
        (json.dumps({"query": f"query A {FRAUD} query B {RUN}"}), JSON),
        (json.dumps({"query": f"query A {FRAUD}", "operationName": "B"}), JSON),
        (json.dumps({"query": "{ nothing }"}), JSON),
        (json.dumps({"query": RUN.replace(") {", ") @skip(if: true) {", 1)}), JSON),
        (json.dumps({"query": RUN.replace("run {", "run @include(if: true) {", 1)}), JSON),
        (json.dumps({"query": "{ mlflowGetRun { run { info { runUuid } } } }"}), JSON),
        (json.dumps({"query": RUN.replace('{runId: "1"}', "null")}), JSON),
        (json.dumps({"query": RUN.replace('"1"', "1")}), JSON),
        (json.dumps({"query": RUN.replace("run {", "...F run {") + " fragment F on Query {...F}"}), JSON),
        (json.dumps({"query": "subscription { x }"}), JSON),
        ("query=" + FRAUD, "application/x-www-form-urlencoded"),
        (FRAUD, "application/graphql"),
        ("{", JSON),
        ("", JSON),
        ("[" * 100_000, JSON),
        (json.dumps(PLAIN).encode("utf-16").decode("latin-1"), JSON),
    ],
)
def test_nothing_is_executed_that_was_not_read(method: str, body: str, content_type: str) -> None:
    content = body.encode("latin-1")
    try:
        found = touched_by(read(method, content, content_type))
    except BadRequestError:
        found = Counter()
    assert executed(APP, method, content, content_type) <= found


def test_the_body_of_a_get_counts_and_its_query_does_not() -> None:
    body, query = json.dumps(PLAIN).encode(), f"query={RUN}"
    assert touched_by(read("GET", body, JSON, query)) == executed(APP, "GET", body, JSON, query)
    with pytest.raises(BadRequestError):
        read("GET", b"", JSON, query)
    assert not executed(APP, "GET", b"", JSON, query)


def test_variables_are_read_as_the_schema_takes_them() -> None:
    text = "query Q($i: MlflowSearchRunsInput) { mlflowSearchRuns(input: $i) { runs { info { runUuid } } } }"
    for ids in (["1", "2"], "1", 7, [7, "1"], [None], [["1"]], [True], {"a": "1"}, None, []):
        body = json.dumps({"query": text, "variables": {"i": {"experimentIds": ids}}}).encode()
        try:
            found = touched_by(read("POST", body, JSON))
        except (BadRequestError, TypeError):
            found = Counter()
        assert executed(APP, "POST", body, JSON) <= found, ids


def test_introspection_touches_nothing() -> None:
    text = """{ __schema { queryType { name kind fields { name type { ofType { name } } } }
                types { name fields { type { fields { name } } } } directives { name } }
                __type(name: "Query") { name } __typename }"""
    assert calls_in(text, variables=None, operation=None) == ()


@pytest.mark.parametrize(
    "text",
    [
        "{" + " ".join(f"a{n}: __typename" for n in range(11)) + "}",
        "{" + " ".join("__typename" for _ in range(1001)) + "}",
        "{ __schema " + "{ types { fields { type { fields { type { fields { type { fields { name " + "}" * 10,
        f"query A {FRAUD} query B {RUN}",
        "{ nothing }",
        "query Q($i: String!) { mlflowGetRun(input: {runId: $i}) { run { info { runUuid } } } }",
    ],
)
def test_what_mlflow_refuses_itself_is_mlflows(text: str) -> None:
    """It answers 200 with errors, and executes nothing."""
    assert calls_in(text, variables=None, operation=None) == ()
    body = json.dumps({"query": text}).encode()
    assert not executed(APP, "POST", body, JSON)


@pytest.mark.parametrize(
    "text",
    [
        "{ __typename }" + " " * DOCUMENT_CHARACTERS,
        "query(" + "$a: String, " * 2000 + ") { __typename }",
    ],
)
def test_documents_have_bounds(text: str) -> None:
    with pytest.raises(BadRequestError):
        calls_in(text, variables=None, operation=None)


def test_every_computed_field_of_the_schema_has_its_rule_and_no_rule_is_left_over() -> None:
    roots = (schema.graphql_schema.query_type, schema.graphql_schema.mutation_type)
    found = {
        f"{name}.{field}"
        for name, kind in schema.graphql_schema.type_map.items()
        if isinstance(kind, GraphQLObjectType) and not name.startswith("__")
        for field in kind.fields
        if kind in roots or computed(kind, field)
    }
    assert found == {need.graphql_field for need in DOCUMENT.requirements} | set(DOCUMENT.unguarded_fields)
