"""Whether a request names an object: in doubt it does, so that more is asked and never less."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.pipeline.known_objects import KnownObjects
from workspace_authz.catalog.compile import Match
from workspace_authz.catalog.model import Authenticated, Identifier, NameSource, Origin, Requirement, Route
from workspace_authz.errors import BadRequestError
from workspace_authz.mlflow_adapter.reading.reader import RequestReader
from workspace_authz.mlflow_adapter.reading.request import AccessRequest, GivenBody
from workspace_authz.pipeline.naming import applies
from workspace_authz.types import Resource, Verb


class Given:
    """A body, or one that cannot be read."""

    def __init__(self, content: bytes | None) -> None:
        self.content = content

    @property
    def limit(self) -> int:
        return 1000

    async def read(self, at_most: int | None = None) -> bytes | None:
        return self.content


ROUTE = Route("POST", "/", "Touch", Authenticated("A test."))


def reader_of(request: AccessRequest, parameters: dict[str, str] | None = None) -> RequestReader:
    """Without an MLflow: what a condition needs is in the request."""
    return RequestReader(request, Match(ROUTE, parameters or {}), reading=None)


def wanting(*sources: NameSource, unless: bool = False) -> Requirement:
    return Requirement(
        Verb.UPDATE,
        Resource.EXPERIMENTS,
        names=sources,
        when_present=not unless,
        unless_present=unless,
    )


def body_field(field: str, kind: Identifier = Identifier.RUN_ID, *aliases: str) -> NameSource:
    return NameSource(Origin.BODY, field, kind, aliases)


async def present(
    source: NameSource,
    *,
    body: Any = None,
    raw: bytes | None = b"",
    query: bytes = b"",
    headers: tuple[tuple[bytes, bytes], ...] = (),
    parameters: dict[str, str] | None = None,
) -> bool:
    content = json.dumps(body).encode() if body is not None else raw
    request = AccessRequest("POST", "/", headers=headers, query=query, body=Given(content))
    return await applies(wanting(source), reader_of(request, parameters))


async def test_an_unconditional_requirement_reads_nothing() -> None:
    class Untouchable:
        @property
        def limit(self) -> int:
            return 1000

        async def read(self, at_most: int | None = None) -> bytes | None:
            raise AssertionError("the body was read")

    always = Requirement(Verb.GET, Resource.EXPERIMENTS, names=(body_field("run_id"),))
    assert await applies(always, reader_of(AccessRequest("POST", "/", body=Untouchable())))


@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("run_id", {"run_id": "r"}),
        ("run_id", {"runId": "r"}),
        ("model_version_2_id", {"modelVersion2Id": "m"}),
        ("run_id", {"run_uuid": "r"}),
        ("run_id", {"runUuid": "r"}),
        ("run_id", {"run_id": 0}),
        ("a.b_c", {"a": {"bC": "x"}}),
        ("a_b.c_d", {"aB": {"c_d": "x"}}),
        ("a_b.c_d", {"a_b": {"cD": "x"}}),
        ("a_b[].c_d", {"aB": [{"c_d": "x"}]}),
        ("a_b[].c_d", {"a_b": [], "aB": [{"cD": "x"}]}),
        ("metrics[].model_id", {"metrics": [{}, {"modelId": "m"}]}),
        ("trace_ids[]", {"traceIds": ["t"]}),
        ("run_id", '{"run_id": "double-encoded"}'),
    ],
)
async def test_a_name_in_the_body_counts(field: str, body: Any) -> None:
    assert await present(body_field(field, Identifier.RUN_ID, "run_uuid"), body=body)


@pytest.mark.parametrize(
    "body", [{}, {"run_id": None}, {"run_id": ""}, {"run_id": []}, {"run_id": {}}, {"other": "r"}, [], 3]
)
async def test_a_body_without_the_name_does_not_count(body: Any) -> None:
    assert not await present(body_field("run_id"), body=body)


@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("metrics[].model_id", {"metrics": []}),
        ("metrics[].model_id", {"metrics": [{"key": "k"}]}),
        ("metrics[].model_id", {}),
        ("trace_ids[]", {"trace_ids": []}),
        ("a.b", {"a": "text"}),
    ],
)
async def test_a_list_or_object_without_the_name_does_not_count(field: str, body: Any) -> None:
    assert not await present(body_field(field), body=body)


@pytest.mark.parametrize(
    "raw", [None, b"not json", b"{", b"[" * 100_000, b'"not json inside"', b"\x1f\x8b\x08\x00"]
)
async def test_an_unreadable_body_counts_as_naming_everything(raw: bytes | None) -> None:
    assert await present(body_field("run_id"), raw=raw)


async def test_an_encoded_body_counts_as_naming_everything() -> None:
    assert await present(body_field("run_id"), body={}, headers=((b"content-encoding", b"gzip"),))


async def test_a_list_that_is_no_list_counts() -> None:
    assert await present(body_field("metrics[].model_id"), body={"metrics": {"model_id": "m"}})


async def test_a_body_that_is_not_encoded_may_say_so() -> None:
    said = ((b"content-encoding", b"Identity"),)
    assert not await present(body_field("run_id"), body={}, headers=said)
    assert await present(body_field("run_id"), body={"run_id": "r"}, headers=said)
    assert await present(body_field("run_id"), body={}, headers=(*said, (b"content-encoding", b"br")))


@pytest.mark.parametrize("raw", [b"", b"null", b'"null"'])
async def test_no_body_names_nothing(raw: bytes) -> None:
    assert not await present(body_field("run_id"), raw=raw)


@pytest.mark.parametrize(
    ("field", "spelt"), [("run__id", "runId"), ("x_ID", "xID"), ("trace_id_", "traceId"), ("a_b[].c_", "aB")]
)
async def test_a_field_is_found_under_protobufs_name_for_it(field: str, spelt: str) -> None:
    value = [{"c": "x"}] if field.endswith("c_") else "x"
    assert await present(body_field(field), body={spelt: value})


@pytest.mark.parametrize("query", [b"run_id=r", b"runId=r", b"run_id=&run_id=r", b"x=1&run%5Fid=r"])
async def test_a_body_field_may_come_in_the_query_of_a_get(query: bytes) -> None:
    assert await present(body_field("run_id"), query=query)


async def test_a_query_that_is_not_utf_8_counts() -> None:
    """MLflow keeps ``%ff`` as it is where others replace it."""
    assert await present(body_field("run_id"), query=b"x=%ff")
    assert not await present(body_field("run_id"), query=b"x=%c3%a4")


async def test_a_query_field_is_read_from_the_query_only() -> None:
    source = NameSource(Origin.QUERY, "path", Identifier.ARTIFACT_PATH)
    assert await present(source, query=b"path=1/x")
    assert not await present(source, query=b"path=", body={"path": "1/x"})


async def test_path_and_header() -> None:
    assert await present(NameSource(Origin.PATH, "run_id", Identifier.RUN_ID), parameters={"run_id": "r"})
    assert not await present(NameSource(Origin.PATH, "run_id", Identifier.RUN_ID))
    header = NameSource(Origin.HEADER, "x-mlflow-run-id", Identifier.RUN_ID)
    assert await present(header, headers=((b"x-mlflow-run-id", b"r"),))
    assert not await present(header, headers=((b"x-mlflow-run-id", b""),))


async def test_what_cannot_be_seen_in_the_request_counts() -> None:
    assert await present(NameSource(Origin.GRAPHQL, "experiments[].name"))


@pytest.mark.parametrize(
    "value",
    [
        "gateway:/endpoint",
        '{"model": "gateway:/e"}',
        '{"model": "\\u0067ateway:\\/e"}',
        {"model": "gateway:/e"},
        ["gateway:/e"],
        '{"broken gateway:/e',
    ],
)
async def test_a_gateway_uri_counts_however_it_is_written(value: Any) -> None:
    assert await present(body_field("scorer", Identifier.GATEWAY_MODEL_URI), body={"scorer": value})


@pytest.mark.parametrize("value", ["openai:/gpt", '{"model": "openai:/x"}', {"model": "x"}])
async def test_another_model_uri_does_not_count(value: Any) -> None:
    assert not await present(body_field("scorer", Identifier.GATEWAY_MODEL_URI), body={"scorer": value})


@pytest.mark.parametrize(
    ("value", "of_experiment", "of_model"),
    [
        ("models:/m/1", True, True),
        (" runs:/r/model", True, True),
        ("s3://bucket/models:/m", True, False),
        ("mlflow-artifacts:/1/r", True, False),
        ("/1/r", True, False),
        ("prompt-template", False, False),
        ("dummy-source", False, False),
    ],
)
async def test_a_source_counts_where_it_names_an_object_or_a_place(
    value: str, of_experiment: bool, of_model: bool
) -> None:
    source = body_field("source", Identifier.MODEL_SOURCE_URI)
    needed = wanting(source)
    request = AccessRequest("POST", "/", body=GivenBody(json.dumps({"source": value}).encode()))
    for resource, expected in (
        (Resource.EXPERIMENTS, of_experiment),
        (Resource.REGISTERED_MODELS, of_model),
    ):
        assert await applies(replace(needed, resource=resource), reader_of(request)) is expected


@pytest.mark.parametrize(
    ("name", "expected"), [("iss-1", True), (" ISS-1", True), ("good", False), ("", False)]
)
async def test_an_assessments_name_counts_where_it_could_be_an_issues_id(name: str, expected: bool) -> None:
    source = body_field("assessments[].assessment_name", Identifier.ISSUE_MENTION)
    named = [{"assessmentName": "good"}, {"assessmentName": name}]
    assert await present(source, body={"assessments": named}) is expected


async def test_the_first_alternative_that_is_present_is_enough() -> None:
    requirement = wanting(body_field("run_id"), body_field("model_id", Identifier.LOGGED_MODEL_ID))
    request = AccessRequest("POST", "/", body=Given(b'{"model_id": "m"}'))
    assert await applies(requirement, reader_of(request))


class Read(KnownObjects):
    """What MLflow's own reading of the request found, or that it found none."""

    def __init__(self, found: dict[str, str] | None) -> None:
        super().__init__({})
        self.found = found

    async def message(self, *_: object, **__: object) -> Mapping[str, Any]:
        if self.found is None:
            raise BadRequestError("MLflow reads no message")
        return self.found


@pytest.mark.parametrize(
    ("reading", "expected"),
    [
        (Read({"experiment_id": "1"}), False),
        (Read({"run_id": "1"}), True),
        (Read({}), True),
        (Read(None), True),
        (None, True),
    ],
)
async def test_the_opposite_condition_goes_by_what_mlflow_reads(reading: Read | None, expected: bool) -> None:
    """Whatever stands in the body: MLflow's parser may never come to it."""
    requirement = wanting(body_field("experiment_id", Identifier.EXPERIMENT_ID), unless=True)
    request = AccessRequest("POST", "/", body=Given(b'{"experiment_id": "1"}'))
    assert await applies(requirement, RequestReader(request, Match(ROUTE), reading=reading)) is expected


@pytest.mark.parametrize(("value", "expected"), [(True, True), (False, False), (0, True)])
async def test_a_flag_counts_unless_it_is_off(value: object, expected: bool) -> None:
    flag = body_field("usage_tracking", Identifier.FLAG)
    assert await present(flag, body={"usage_tracking": value}) is expected


async def test_false_is_a_name_like_another_where_a_name_belongs() -> None:
    assert await present(body_field("run_id"), body={"run_id": False})
