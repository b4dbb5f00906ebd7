"""Patches. kubectl and the parity test use them whole; here are their corners."""

from __future__ import annotations

from typing import Any

import pytest

from workspace_authz.devplane.embedded.kinds import SERVICE_ACCOUNTS
from workspace_authz.devplane.embedded.patching import json_patch, merge_patch, strategic_merge_patch
from workspace_authz.devplane.embedded.status import ApiError

DOCUMENT = {"a": {"b": [1, 2]}, "c/d~e": "x"}


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ({"op": "add", "path": "/a/b/1", "value": 9}, {"a": {"b": [1, 9, 2]}, "c/d~e": "x"}),
        ({"op": "add", "path": "/a/b/-", "value": 9}, {"a": {"b": [1, 2, 9]}, "c/d~e": "x"}),
        ({"op": "replace", "path": "/a/b/0", "value": 9}, {"a": {"b": [9, 2]}, "c/d~e": "x"}),
        ({"op": "remove", "path": "/a/b/0"}, {"a": {"b": [2]}, "c/d~e": "x"}),
        ({"op": "remove", "path": "/c~1d~0e"}, {"a": {"b": [1, 2]}}),
        ({"op": "move", "from": "/a/b", "path": "/b"}, {"a": {}, "b": [1, 2], "c/d~e": "x"}),
        ({"op": "copy", "from": "/a/b/0", "path": "/z"}, {**DOCUMENT, "z": 1}),
        ({"op": "test", "path": "/a/b/0", "value": 1}, DOCUMENT),
        ({"op": "replace", "path": "", "value": {}}, {}),
    ],
)
def test_json_patch(operation: Any, expected: Any) -> None:
    before = repr(DOCUMENT)
    assert json_patch(DOCUMENT, [operation]) == expected
    assert repr(DOCUMENT) == before


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/nope"},
        {"op": "replace", "path": "/nope", "value": 1},
        {"op": "add", "path": "/a/b/3", "value": 1},
        {"op": "add", "path": "/a/b/-1", "value": 1},
        {"op": "add", "path": "/x/y", "value": 1},
        {"op": "test", "path": "/a", "value": 1},
        {"op": "add", "path": "a", "value": 1},
        {"op": "add", "path": "/a"},
        {"op": "conjure", "path": "/a"},
    ],
)
def test_a_json_patch_that_does_not_fit(operation: Any) -> None:
    with pytest.raises(ApiError) as caught:
        json_patch(DOCUMENT, [operation])
    assert caught.value.code == 422


def test_a_json_patch_is_a_list() -> None:
    with pytest.raises(ApiError, match="list of operations"):
        json_patch(DOCUMENT, {"op": "add"})


def test_merge_patch() -> None:
    assert merge_patch({"a": {"b": 1, "c": 2}, "l": [1]}, {"a": {"b": None}, "l": [2], "n": {"x": None}}) == {
        "a": {"c": 2},
        "l": [2],
        "n": {},
    }


def strategic(live: Any, patch: Any) -> Any:
    return strategic_merge_patch(SERVICE_ACCOUNTS.schema, live, patch)


def named(*names: str) -> list[Any]:
    return [{"name": name} for name in names]


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        (named("c"), named("c", "a", "b")),
        ([{"name": "b", "kind": "K"}], [{"name": "a"}, {"name": "b", "kind": "K"}]),
        ([{"$patch": "delete", "name": "a"}], named("b")),
        ([{"$patch": "replace"}, {"name": "z"}], named("z")),
        ([{"$patch": "delete", "name": "nope"}], named("a", "b")),
    ],
)
def test_a_list_with_keys_is_merged(patch: Any, expected: Any) -> None:
    assert strategic({"secrets": named("a", "b")}, {"secrets": patch}) == {"secrets": expected}


def test_an_order_can_be_demanded() -> None:
    patch = {"$setElementOrder/secrets": named("b", "a")}
    assert strategic({"secrets": named("a", "b")}, patch) == {"secrets": named("b", "a")}


def test_directives_on_objects() -> None:
    live = {"metadata": {"name": "x", "labels": {"a": "1", "b": "2"}}}
    replaced = strategic(live, {"metadata": {"labels": {"$patch": "replace", "c": "3"}}})
    assert replaced["metadata"]["labels"] == {"c": "3"}
    deleted = strategic(live, {"metadata": {"labels": {"$patch": "delete"}}})
    assert deleted["metadata"]["labels"] == {}
    kept = strategic(live, {"metadata": {"labels": {"$retainKeys": ["a"], "a": "1"}}})
    assert kept["metadata"]["labels"] == {"a": "1"}
    with pytest.raises(ApiError, match="Unknown patch type"):
        strategic(live, {"$patch": "conjure"})


def test_a_set_of_strings_is_merged() -> None:
    live = {"metadata": {"finalizers": ["a", "b"]}}
    patch = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"], "finalizers": ["c"]}}
    assert set(strategic(live, patch)["metadata"]["finalizers"]) == {"b", "c"}
