"""Long runs of combining marks are refused where text is normalized, and nowhere else."""

from __future__ import annotations

import json
import time
import unicodedata
from dataclasses import replace
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor
from hypothesis import given
from hypothesis import strategies as st

from tests.restrictions.test_restrictions import route
from workspace_authz.catalog.compile import Match
from workspace_authz.catalog.normalized_text import KEYS, URLS
from workspace_authz.catalog.routes import all_routes
from workspace_authz.errors import BadRequestError
from workspace_authz.mlflow_adapter.reading.messages import _MESSAGES
from workspace_authz.mlflow_adapter.reading.reader import RequestReader
from workspace_authz.mlflow_adapter.reading.request import AccessRequest, GivenBody
from workspace_authz.restrictions.combining_marks import MAX_MARKS, has_long_run
from workspace_authz.restrictions.restrictions import Restrictions

EVIL = "a" + "\u0301" * 16 + "\u0323" * 16
HOST = f"s3://{EVIL}/x"
INFO = {"trace": {"trace_info": {"tags": {EVIL: "x"}}}}
META = {"trace": {"traceInfo": {"assessments": [{"metadata": {EVIL: "x"}}]}}}


async def send(operation: str, document: Any) -> None:
    request = AccessRequest("POST", "/x", body=GivenBody(json.dumps(document).encode()))
    match = Match(replace(route(), operation=operation))
    await Restrictions().check(RequestReader(request, match, reading=None), workspace="team-a")


@pytest.mark.parametrize(
    ("operation", "document"),
    [
        ("SetTag", {"key": EVIL, "value": "x"}),
        ("SetTraceTagV3", {"key": EVIL}),
        ("LogBatch", {"tags": [{"key": "a"}, {"key": EVIL}]}),
        ("StartTraceV3", INFO),
        ("StartTraceV3", META),
        ("StartTrace", {"requestMetadata": [{"key": EVIL}]}),
        ("CreateExperiment", {"artifact_location": HOST}),
        ("CreateExperiment", {"artifactLocation": HOST}),
        ("CreateModelVersion", {"source": HOST}),
        ("CreateWebhook", {"url": HOST}),
        ("UpdateWebhook", {"url": HOST * 1000}),
        ("CreateGatewaySecret", {"auth_config": {"api_base": HOST}}),
        ("CreateMcpServer", {"icons": [{"src": "https://fine"}, {"src": HOST}]}),
        ("CreateMcpServerVersion", {"server_json": {"icons": [{"src": HOST}]}}),
    ],
)
async def test_a_run_that_is_too_long_is_refused(operation: str, document: Any) -> None:
    with pytest.raises(BadRequestError, match="combining marks"):
        await send(operation, document)


@pytest.mark.parametrize(
    ("operation", "document"),
    [
        ("SetTag", {"key": "k", "value": EVIL}),
        (
            "SetTag",
            {"key": EVIL + "x" * 300, "value": "x"},
        ),  # MLflow answers: it has more than 250 characters
        ("LogBatch", {"params": [{"key": EVIL, "value": EVIL}]}),
        ("StartTraceV3", {"trace": {"trace_info": {"tags": {"k": EVIL}, "request_preview": EVIL}}}),
        ("LogMetric", {"key": EVIL}),
        ("CreateExperiment", {"name": EVIL, "artifact_location": "s3://b\u00fccher/\u0915\u094d"}),
        ("CreateMcpServer", {"description": EVIL, "icons": None}),
        ("CreateWebhook", ["no object"]),
    ],
)
async def test_values_and_ordinary_text_are_not_touched(operation: str, document: Any) -> None:
    await send(operation, document)


async def test_what_is_no_json_is_left_to_mlflow() -> None:
    request = AccessRequest("POST", "/x", body=GivenBody(b"{"))
    match = Match(replace(route(), operation="CreateWebhook"))
    await Restrictions().check(RequestReader(request, match, reading=None), workspace="team-a")


def test_a_run_is_counted_as_normalization_sees_it() -> None:
    for mark in ("\u0301", "\u0323", "\u0f73", "\uff9e", "\u0344"):
        assert not has_long_run("a" + mark * MAX_MARKS)
        assert has_long_run("a" + mark * (MAX_MARKS + 1))
    assert not has_long_run(("a" + "\u0301" * MAX_MARKS) * 50)


@given(st.text(st.sampled_from("a\u00e4\u0301\u0323\u0f73\uff9e/\u1ea5"), max_size=200))
def test_what_passes_has_bounded_runs_when_it_is_decomposed(text: str) -> None:
    if has_long_run(text):
        return
    run = longest = 0
    for letter in unicodedata.normalize("NFKD", text):
        run = run + 1 if unicodedata.combining(letter) else 0
        longest = max(longest, run)
    assert longest <= 3 * MAX_MARKS


def test_the_check_takes_linear_time() -> None:
    text = ("a" + "\u0301" * MAX_MARKS) * 30_000
    before = time.process_time()
    assert not has_long_run(text)
    assert time.process_time() - before < 3


def _is_there(descriptor: Descriptor, steps: list[str]) -> bool:
    name = steps[0].removesuffix("=").removesuffix("{}").removesuffix("[]")
    field = descriptor.fields_by_name.get(name)
    return field is not None and (len(steps) == 1 or _is_there(field.message_type, steps[1:]))


def test_every_place_is_of_an_operation_and_a_field_that_mlflow_has() -> None:
    operations = {each.operation for each in all_routes()}
    assert not {*KEYS, *URLS} - operations
    for table in (KEYS, URLS):
        for operation, places in table.items():
            descriptor = _MESSAGES.get(operation)
            missing = [
                place for place in places if descriptor and not _is_there(descriptor, place.split("."))
            ]
            assert not missing, operation
