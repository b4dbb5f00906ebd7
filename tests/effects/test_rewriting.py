"""Requests in MLflow's own reading, with some of it taken out."""

from __future__ import annotations

import json
from urllib.parse import parse_qs

import pytest

from workspace_authz.effects.rewriting import as_request, keeping
from workspace_authz.errors import BadRequestError


def test_a_query_holds_the_fields_and_the_body_nothing() -> None:
    fields = {"filter": "name = 'a&b=c'", "ids": ["1", "2"], "max_results": 5, "flag": True}
    written = as_request("GET", fields)
    assert parse_qs((written.query or b"").decode()) == {
        "filter": ["name = 'a&b=c'"],
        "ids": ["1", "2"],
        "max_results": ["5"],
        "flag": ["True"],
    }
    assert written.content == b""


def test_a_body_holds_the_fields_and_the_query_nothing() -> None:
    fields = {"locations": [{"mlflow_experiment": {"experiment_id": "7"}}], "filter": "日"}
    written = as_request("POST", fields)
    assert (json.loads(written.content), written.query) == (fields, b"")


@pytest.mark.parametrize("value", [{"a": "b"}, [{"a": "b"}]])
def test_a_query_cannot_hold_an_object(value: object) -> None:
    with pytest.raises(BadRequestError):
        as_request("GET", {"place": value})


def test_elements_are_kept_that_lead_to_what_is_allowed() -> None:
    assert keeping({"ids": ["1", "2", "1"], "x": 1}, "ids[]", allowed={"1"}) == {"ids": ["1", "1"], "x": 1}
    places = [{"in": {"id": "1"}}, {"in": {"id": "2"}}, {"in": {}}, {}]
    assert keeping({"at": places}, "at[].in.id", allowed={"1"}) == {"at": places[:1]}
