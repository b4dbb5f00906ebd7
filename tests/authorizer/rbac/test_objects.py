"""Roles and bindings as JSON, and what is kept of them."""

from __future__ import annotations

from typing import Any

import pytest

from workspace_authz.authorizer.rbac.objects import Binding, RoleReader, read_binding
from workspace_authz.types import API_GROUP

read_role = RoleReader()


def role(*rules: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": "r", "namespace": "team-a"}, "rules": list(rules)}


def rule(verbs: str, groups: str, resources: str, names: str = "") -> dict[str, Any]:
    values = {"verbs": verbs, "apiGroups": groups, "resources": resources, "resourceNames": names}
    return {key: value.split() for key, value in values.items() if value}


def binding(*subjects: dict[str, Any], namespace: str | None = "team-a", kind: str = "Role") -> Any:
    metadata = {"name": "b"} | ({"namespace": namespace} if namespace else {})
    return {"metadata": metadata, "roleRef": {"kind": kind, "name": "r"}, "subjects": list(subjects)}


@pytest.mark.parametrize(
    "item",
    [
        role(),
        role(rule("get", "", "pods"), rule("*", "apps", "*")),
        role({"verbs": ["get"], "nonResourceURLs": ["*"]}),
        role(rule("watch", API_GROUP, "experiments")),
        {"metadata": {"name": "r"}},
        {"metadata": {"name": "r"}, "rules": None},
        {"metadata": {"name": "r"}, "rules": [None, {"verbs": "get"}]},
    ],
)
def test_a_role_without_mlflow_rights_is_not_kept(item: dict[str, Any]) -> None:
    assert read_role(item) is None


def test_of_a_rule_only_what_is_mlflows_is_kept() -> None:
    """So that a change of the rest is no change."""
    kept = read_role(
        role(rule("get watch", f"apps {API_GROUP}", "pods experiments"), rule("get", "", "pods"))
    )
    assert kept == read_role(role(rule("get", API_GROUP, "experiments")))
    assert kept is not None
    assert read_role(role(rule("*", "*", "*"))) != read_role(role(rule("get", API_GROUP, "*")))


def test_names_are_kept() -> None:
    kept = read_role(role(rule("get", API_GROUP, "experiments", "a b")))
    assert kept is not None
    assert kept.rules[0].names == {"a", "b"}


def test_subjects_are_the_names_that_callers_have() -> None:
    subjects = (
        {"kind": "User", "name": "alice"},
        {"kind": "Group", "name": "devs"},
        {"kind": "ServiceAccount", "name": "robot"},
        {"kind": "ServiceAccount", "name": "trainer", "namespace": "team-b"},
        {"kind": "Martian", "name": "marvin"},
    )
    users = ("alice", "system:serviceaccount:team-a:robot", "system:serviceaccount:team-b:trainer")
    assert read_binding(binding(*subjects)) == Binding("r", False, users, ("devs",))


def test_a_service_account_without_a_namespace_is_nobody_cluster_wide() -> None:
    assert read_binding(binding({"kind": "ServiceAccount", "name": "robot"}, namespace=None)) is None


def test_a_role_is_the_namespaces_own_and_a_cluster_role_everybodys() -> None:
    alice = {"kind": "User", "name": "alice"}
    own, shared = read_binding(binding(alice)), read_binding(binding(alice, kind="ClusterRole"))
    assert own is not None
    assert shared is not None
    assert (own.role_key("team-a"), shared.role_key("team-a")) == (("team-a", "r"), ("", "r"))


@pytest.mark.parametrize("subjects", [None, [], [{"kind": "Martian", "name": "x"}], [None]])
def test_a_binding_of_nobody_is_not_kept(subjects: Any) -> None:
    assert read_binding({**binding(), "subjects": subjects}) is None
