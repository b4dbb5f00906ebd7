"""Label and field selectors."""

from __future__ import annotations

from typing import Any

import pytest

from workspace_authz.devplane.embedded.selectors import exact_name, matches, selection
from workspace_authz.devplane.embedded.status import ApiError

OBJECT: Any = {"metadata": {"name": "x", "namespace": "a", "labels": {"tier": "one", "app.test/part": "db"}}}


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("", True),
        ("tier=one", True),
        ("tier==one,app.test/part=db", True),
        ("tier=two", False),
        ("tier!=two", True),
        ("absent!=two", True),
        ("tier in (one, two)", True),
        ("tier notin (one,two)", False),
        ("absent notin (one)", True),
        ("tier", True),
        ("absent", False),
        ("!absent", True),
        ("!tier", False),
        ("tier in (one,two),!absent,app.test/part", True),
        ("tier=", False),
    ],
)
def test_labels(selector: str, expected: bool) -> None:
    assert selection(labels=selector, fields="")(OBJECT) is expected


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("metadata.name=x", True),
        ("metadata.name==x,metadata.namespace=a", True),
        ("metadata.name!=x", False),
        ("metadata.namespace!=b", True),
    ],
)
def test_fields(selector: str, expected: bool) -> None:
    assert selection(labels="", fields=selector)(OBJECT) is expected


@pytest.mark.parametrize("selector", ["a b", "a in one", "(a)"])
def test_labels_that_cannot_be_parsed(selector: str) -> None:
    with pytest.raises(ApiError, match="unable to parse requirement"):
        selection(labels=selector, fields="")


@pytest.mark.parametrize("selector", ["spec.nothing=x", "metadata.name"])
def test_fields_that_cannot_be_selected(selector: str) -> None:
    with pytest.raises(ApiError) as caught:
        selection(labels="", fields=selector)
    assert caught.value.code == 400


def test_the_name_that_a_field_selector_demands() -> None:
    assert exact_name("metadata.namespace=a,metadata.name=x") == "x"
    assert exact_name("metadata.name!=x") == ""


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({}, True),
        ({"matchLabels": {"tier": "one"}}, True),
        ({"matchLabels": {"tier": "two"}}, False),
        ({"matchLabels": {"tier": "one"}, "matchExpressions": [{"key": "z", "operator": "Exists"}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["one"]}]}, True),
        ({"matchExpressions": [{"key": "z", "operator": "DoesNotExist"}]}, True),
    ],
)
def test_selector_objects(selector: Any, expected: bool) -> None:
    assert matches(selector, OBJECT["metadata"]["labels"]) is expected
