"""The values that name objects, from each place of a request."""

from __future__ import annotations

from typing import Any

import pytest

from tests.pipeline.known_objects import KnownObjects
from workspace_authz.catalog.build import body, header, path, query, spans
from workspace_authz.catalog.compile import Match
from workspace_authz.catalog.model import Authenticated, Identifier, NameSource, Route
from workspace_authz.errors import BadRequestError
from workspace_authz.mlflow_adapter.reading.reader import MAX_VALUES, RequestReader
from workspace_authz.mlflow_adapter.reading.request import AccessRequest, GivenBody

RUN = body("run_id", Identifier.RUN_ID, "run_uuid")
RUNS = body("run_ids[]", Identifier.RUN_ID)
METRICS = body("metrics[].model_id", Identifier.LOGGED_MODEL_ID)


class TooLarge:
    @property
    def limit(self) -> int:
        return 1000

    async def read(self, at_most: int | None = None) -> bytes | None:
        return None


def reader(**request: Any) -> tuple[RequestReader, KnownObjects]:
    objects = KnownObjects({})
    route = Route("POST", "/r", "Read", Authenticated("A test."))
    match = Match(route, request.pop("parameters", {}))
    return RequestReader(AccessRequest("POST", "/r", **request), match, reading=objects), objects


async def values_in(source: NameSource, content: str, *, complete: bool = True) -> tuple[str, ...]:
    return await reader(body=GivenBody(content.encode()))[0].values(source, complete=complete)


@pytest.mark.parametrize(
    ("source", "content", "found"),
    [
        (RUN, '{"run_id": "r"}', ("r",)),
        (RUN, '{"run_uuid": "r"}', ("r",)),
        (RUN, '{"run_id": "r", "run_uuid": "r"}', ("r",)),
        (RUN, '{"run_id": "", "run_uuid": "r"}', ("r",)),
        (RUN, '{"run_id": null}', ()),
        (RUN, '{"run_id": ""}', ()),
        (RUN, "{}", ()),
        (RUNS, '{"run_ids": ["b", "a", "b"]}', ("b", "a")),
        (RUNS, '{"run_ids": []}', ()),
        (METRICS, '{"metrics": [{"model_id": "a"}, {"model_id": "b"}]}', ("a", "b")),
        (METRICS, '{"metrics": [{}, {"model_id": ""}]}', ()),
        (body("a.b.c", Identifier.RUN_ID), '{"a": {"b": {"c": "x"}}}', ("x",)),
        (body("a.b.c", Identifier.RUN_ID), '{"a": {"b": "x"}}', ()),
    ],
)
async def test_values_of_a_body(source: NameSource, content: str, found: tuple[str, ...]) -> None:
    assert await values_in(source, content) == found


@pytest.mark.parametrize(
    ("source", "content"),
    [
        (RUN, '{"run_id": "r", "run_uuid": "s"}'),
        (RUN, '{"run_id": 7}'),
        (RUN, '{"run_id": ["r"]}'),
        (RUNS, '{"run_ids": ["r", ""]}'),
        (RUNS, '{"run_ids": ["r", null]}'),
        (RUNS, '{"run_ids": ["r", {"x": 1}]}'),
        (METRICS, '{"metrics": [{"model_id": "a"}, {}]}'),
        (RUN, "{"),
    ],
)
async def test_what_names_no_object_for_sure_is_refused(source: NameSource, content: str) -> None:
    with pytest.raises(BadRequestError):
        await values_in(source, content)


async def test_elements_without_a_value_are_left_out_where_none_is_needed() -> None:
    assert await values_in(METRICS, '{"metrics": [{"model_id": "a"}, {}]}', complete=False) == ("a",)


async def test_a_request_names_a_bounded_number_of_objects() -> None:
    names = ",".join(f'"{number}"' for number in range(MAX_VALUES + 1))
    with pytest.raises(BadRequestError, match=str(MAX_VALUES)):
        await values_in(RUNS, f'{{"run_ids": [{names}]}}')


async def test_a_body_that_is_too_large_is_refused_and_one_is_read_once() -> None:
    with pytest.raises(BadRequestError, match="too large"):
        await reader(body=TooLarge())[0].values(RUN, complete=True)
    once, objects = reader(body=GivenBody(b'{"run_id": "r"}'))
    for source in (RUN, RUNS, RUN):
        await once.values(source, complete=True)
    assert objects.read == 1


@pytest.mark.parametrize(
    ("field", "sent", "found"),
    [
        ("run_id", b"run_id=a&run_id=b", ("a",)),
        ("run_id[]", b"run_id=a&run_id=b", ("a", "b")),
        ("run_id", b"run_id=a%2Fb+c", ("a/b c",)),
        ("run_id", b"run_id=", ()),
        ("run_id", b"runId=a", ()),
        ("run_id", b"", ()),
    ],
)
async def test_values_of_a_query(field: str, sent: bytes, found: tuple[str, ...]) -> None:
    assert await reader(query=sent)[0].values(query(field, Identifier.RUN_ID), complete=True) == found


@pytest.mark.parametrize("sent", [b"run_id=%ff", "run_id=é".encode()])
async def test_a_query_that_is_no_text_is_refused(sent: bytes) -> None:
    with pytest.raises(BadRequestError):
        await reader(query=sent)[0].values(query("run_id", Identifier.RUN_ID), complete=True)


async def test_values_of_headers_and_paths() -> None:
    source = header("x-mlflow-run-id", Identifier.RUN_ID)
    one, two = (b"x-mlflow-run-id", b"r"), (b"x-mlflow-run-id", b"s")
    assert await reader(headers=[one])[0].values(source, complete=True) == ("r",)
    assert await reader()[0].values(source, complete=True) == ()
    with pytest.raises(BadRequestError):
        await reader(headers=[one, two])[0].values(source, complete=True)
    found = await reader(parameters={"name": "a/b"})[0].values(path("name"), complete=True)
    assert found == ("a/b",)


async def test_traces_of_spans() -> None:
    source = spans("trace_id", Identifier.NEW_TRACE_ID)
    given = reader(body=GivenBody(b"tr-2 tr-1"), headers=[(b"content-type", b"application/x-protobuf")])[0]
    assert await given.values(source, complete=False) == ("tr-1", "tr-2")
