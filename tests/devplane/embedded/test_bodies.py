"""Patches: which are applied, how, and which are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from workspace_authz.devplane.embedded.bodies import (
    MERGE_PATCH,
    STRATEGIC_MERGE_PATCH,
    Body,
    merge_patch,
    parse_patch,
)
from workspace_authz.devplane.embedded.kinds import ROLE_BINDINGS, SERVICE_ACCOUNTS, Kind
from workspace_authz.devplane.embedded.status import ApiError


def parsed(kind: Kind, patch: Any, *, media_type: str = STRATEGIC_MERGE_PATCH) -> Any:
    return parse_patch(kind, Body(json.dumps(patch).encode(), media_type))


def test_merge_patch() -> None:
    assert merge_patch({"a": {"b": 1, "c": 2}, "l": [1]}, {"a": {"b": None}, "l": [2], "n": {"x": None}}) == {
        "a": {"c": 2},
        "l": [2],
        "n": {},
    }


@pytest.mark.parametrize(
    "patch",
    [
        {"metadata": {"labels": {"a": "1", "b": None}, "annotations": None}},
        {"subjects": [{"kind": "User", "name": "alice"}]},
        {"metadata": {"finalizers": None}},
    ],
)
def test_a_strategic_merge_patch_that_is_a_merge_patch(patch: Any) -> None:
    assert parsed(ROLE_BINDINGS, patch) == patch


@pytest.mark.parametrize(
    ("patch", "place"),
    [
        ({"secrets": [{"name": "a"}]}, "secrets"),
        ({"metadata": {"finalizers": ["a.test/b"]}}, "metadata.finalizers"),
        ({"$setElementOrder/secrets": [{"name": "a"}]}, r"\$setElementOrder/secrets"),
        ({"metadata": {"labels": {"$patch": "replace"}}}, r"metadata.labels.\$patch"),
    ],
)
def test_a_strategic_merge_patch_that_merges_lists_or_gives_directives_is_refused(
    patch: Any, place: str
) -> None:
    with pytest.raises(ApiError, match=f"strategic merge patch of {place}:") as caught:
        parsed(SERVICE_ACCOUNTS, patch)
    assert caught.value.code == 422
    assert parsed(SERVICE_ACCOUNTS, patch, media_type=MERGE_PATCH) == patch


@pytest.mark.parametrize(
    "media_type", ["application/json-patch+json", "application/apply-patch+yaml", "text/plain"]
)
def test_other_patches_are_refused(media_type: str) -> None:
    with pytest.raises(ApiError) as caught:
        parsed(SERVICE_ACCOUNTS, {}, media_type=media_type)
    assert caught.value.code == 415
