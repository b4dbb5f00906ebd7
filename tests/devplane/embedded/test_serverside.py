"""Server-side apply: who owns what, and what goes when an owner lets go."""

from __future__ import annotations

from typing import Any

import pytest

from workspace_authz.devplane.embedded.kinds import CLUSTER_ROLES, SERVICE_ACCOUNTS, Kind
from workspace_authz.devplane.embedded.objects import Object
from workspace_authz.devplane.embedded.serverside import apply
from workspace_authz.devplane.embedded.status import ApiError

RULES = [{"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"]}]


def applied(
    live: Object | None, manager: str, *, kind: Kind = CLUSTER_ROLES, force: bool = False, **content: Any
) -> Object:
    labels = content.pop("labels", None)
    config = {"metadata": {"name": "x", **({"labels": labels} if labels else {})}, **content}
    return apply(kind, live, config, manager=manager, force=force, now="2026-01-01T00:00:00Z")


def owners(obj: Object) -> dict[str, Any]:
    return {entry["manager"]: entry["fieldsV1"] for entry in obj["metadata"].get("managedFields", ())}


def test_the_first_applier_owns_what_it_set() -> None:
    obj = applied(None, "one", labels={"a": "1"}, rules=RULES)
    assert owners(obj) == {"one": {"f:metadata": {"f:labels": {"f:a": {}}}, "f:rules": {}}}


def test_what_an_owner_no_longer_sets_goes() -> None:
    obj = applied(applied(None, "one", labels={"a": "1", "b": "2"}), "one", labels={"b": "2"})
    assert obj["metadata"]["labels"] == {"b": "2"}


def test_what_somebody_else_owns_too_stays() -> None:
    obj = applied(None, "one", labels={"a": "1"})
    obj = applied(obj, "two", labels={"a": "1"})
    obj = applied(obj, "one")
    assert obj["metadata"]["labels"] == {"a": "1"}
    assert owners(obj).keys() == {"two"}
    assert "labels" not in applied(obj, "two")["metadata"]


def test_what_nobody_applied_stays() -> None:
    live = {"metadata": {"name": "x", "labels": {"mine": "1"}}, "rules": RULES}
    obj = applied(applied(live, "one", labels={"a": "1"}), "one")
    assert obj["metadata"]["labels"] == {"mine": "1"}
    assert obj["rules"] == RULES


def test_two_owners_who_disagree_conflict() -> None:
    obj = applied(None, "one", rules=RULES)
    with pytest.raises(
        ApiError, match=r'Apply failed with 1 conflict: conflict with "one".*: \.rules'
    ) as caught:
        applied(obj, "two", rules=[])
    assert caught.value.code == 409
    forced = applied(obj, "two", rules=[], force=True)
    assert forced["rules"] == []
    assert owners(forced) == {"two": {"f:rules": {}}}


def test_applying_again_changes_nothing() -> None:
    obj = applied(None, "one", labels={"a": "1"}, rules=RULES)
    config = {"metadata": {"name": "x", "labels": {"a": "1"}}, "rules": RULES}
    assert apply(CLUSTER_ROLES, obj, config, manager="one", force=False, now="2027-01-01T00:00:00Z") == obj


def test_lists_with_keys_are_owned_item_by_item() -> None:
    obj = applied(None, "one", kind=SERVICE_ACCOUNTS, secrets=[{"name": "a"}])
    obj = applied(obj, "two", kind=SERVICE_ACCOUNTS, secrets=[{"name": "b"}])
    assert [item["name"] for item in obj["secrets"]] == ["a", "b"]
    obj = applied(obj, "one", kind=SERVICE_ACCOUNTS)
    assert [item["name"] for item in obj["secrets"]] == ["b"]


def test_finalizers_are_owned_one_by_one() -> None:
    def finalized(live: Object | None, manager: str, *names: str) -> Object:
        config = {"metadata": {"name": "x", "finalizers": list(names)} if names else {"name": "x"}}
        return apply(CLUSTER_ROLES, live, config, manager=manager, force=False, now="")

    obj = finalized(finalized(None, "one", "a.test/a"), "two", "a.test/b")
    assert obj["metadata"]["finalizers"] == ["a.test/a", "a.test/b"]
    assert finalized(obj, "one")["metadata"]["finalizers"] == ["a.test/b"]
