"""RBAC over a store that holds a few objects: no HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType

import pytest

from workspace_authz.devplane.embedded.objects import Object
from workspace_authz.devplane.embedded.policy import (
    AccessAttributes,
    Binding,
    PolicyRule,
    RoleRef,
    Subject,
    allows,
)
from workspace_authz.devplane.embedded.rbac import RbacAuthorizer
from workspace_authz.devplane.embedded.store import Store
from workspace_authz.types import UserInfo

MLFLOW = "mlflow.kubeflow.org"
ALICE = UserInfo("alice", groups=("devs", "system:authenticated"))
READ = PolicyRule(verbs=("get", "list"), groups=(MLFLOW,), resources=("experiments",))
EXPERIMENT = AccessAttributes("get", MLFLOW, "experiments", namespace="team-a", name="churn")


def holding(
    bindings: Sequence[Binding] = (), roles: Mapping[tuple[str, str], PolicyRule] = MappingProxyType({})
) -> RbacAuthorizer:
    """Over a store with these bindings, and these roles by namespace and name."""
    store = Store()
    for binding in bindings:
        store.put(f"{'role' if binding.namespace else 'clusterrole'}bindings", _binding(binding))
    for (namespace, name), rule in roles.items():
        store.put(f"{'roles' if namespace else 'clusterroles'}", _role(namespace, name, rule))
    return RbacAuthorizer(store)


def _binding(binding: Binding) -> Object:
    subjects = [asdict(subject) for subject in binding.subjects]
    metadata = {"name": binding.name, "namespace": binding.namespace}
    return {"metadata": metadata, "roleRef": asdict(binding.role), "subjects": subjects}


def _role(namespace: str, name: str, rule: PolicyRule) -> Object:
    rules = [{"verbs": rule.verbs, "apiGroups": rule.groups, "resources": rule.resources}]
    return {"metadata": {"name": name, "namespace": namespace}, "rules": rules}


def bound(
    subject: Subject, *, namespace: str = "team-a", role_namespace: str = "", rule: PolicyRule = READ
) -> RbacAuthorizer:
    """One role, one binding."""
    kind = "Role" if role_namespace else "ClusterRole"
    binding = Binding("b", namespace, RoleRef(kind, "r"), (Subject("Group", "others"), subject))
    return holding([binding], {(role_namespace, "r"): rule})


def asked(verb: str = "get", **changes: str) -> AccessAttributes:
    fields = {"group": MLFLOW, "resource": "experiments", "namespace": "team-a", "name": "churn"}
    return AccessAttributes(verb, **{**fields, **changes})


@pytest.mark.parametrize(
    ("rule", "attributes", "expected"),
    [
        (READ, asked(), True),
        (READ, asked("delete"), False),
        (READ, asked(group=""), False),
        (READ, asked(resource="datasets"), False),
        (READ, asked(subresource="status"), False),
        (PolicyRule(("*",), ("*",), ("*",)), asked("anything", subresource="use"), True),
        (PolicyRule(("get",), (MLFLOW,), ("experiments/use",)), asked(subresource="use"), True),
        (PolicyRule(("get",), (MLFLOW,), ("experiments/use",)), asked(), False),
        (PolicyRule(("get",), (MLFLOW,), ("*/use",)), asked(subresource="use"), True),
        (PolicyRule(("get",), (MLFLOW,), ("*/use",)), asked(subresource="reuse"), False),
        (PolicyRule(("get",), (MLFLOW,), ("*/use",)), asked(), False),
        (PolicyRule(("get",), (MLFLOW,), ("*/*",)), asked(subresource="use"), False),
        (PolicyRule(("get",), (MLFLOW,), ("experiments",), ("churn",)), asked(), True),
        (PolicyRule(("get",), (MLFLOW,), ("experiments",), ("churn",)), asked(name="other"), False),
        (PolicyRule(("get",), (MLFLOW,), ("experiments",), ("churn",)), asked(name=""), False),
        (PolicyRule(("get",), (MLFLOW,), ("experiments",), ("",)), asked(name=""), True),
        (PolicyRule(("get",), (MLFLOW,), ("experiments",), ("*",)), asked(), False),
        (PolicyRule(("ge*",), (MLFLOW,), ("experiments",)), asked(), False),
        (PolicyRule(("get",), urls=("/api/*",)), AccessAttributes("get", path="/api/v1"), True),
        (PolicyRule(("get",), urls=("/api/*",)), AccessAttributes("get", path="/api"), False),
        (PolicyRule(("get",), urls=("/a*i",)), AccessAttributes("get", path="/api"), False),
        (PolicyRule(("get",), urls=("*",)), AccessAttributes("get", path="/x"), True),
        (PolicyRule(("post",), urls=("*",)), AccessAttributes("get", path="/x"), False),
        (PolicyRule(("get",), urls=("*",)), asked(), False),
        (PolicyRule(("get",), ("*",), ("*",)), AccessAttributes("get", path="/x"), False),
    ],
)
def test_a_rule(rule: PolicyRule, attributes: AccessAttributes, expected: bool) -> None:
    assert allows(rule, attributes) is expected


@pytest.mark.parametrize(
    ("subject", "user", "expected"),
    [
        (Subject("User", "alice"), ALICE, True),
        (Subject("User", "devs"), ALICE, False),
        (Subject("Group", "devs"), ALICE, True),
        (Subject("Group", "alice"), ALICE, False),
        (Subject("Thing", "alice"), ALICE, False),
        (Subject("ServiceAccount", "robot", "team-b"), UserInfo("system:serviceaccount:team-b:robot"), True),
        (Subject("ServiceAccount", "robot"), UserInfo("system:serviceaccount:team-a:robot"), True),
        (Subject("ServiceAccount", "robot"), UserInfo("system:serviceaccount:team-b:robot"), False),
        (
            Subject("User", "system:serviceaccount:team-a:robot"),
            UserInfo("system:serviceaccount:team-a:robot"),
            True,
        ),
    ],
)
def test_a_subject(subject: Subject, user: UserInfo, expected: bool) -> None:
    assert bound(subject).authorize(user, EXPERIMENT).allowed is expected


def test_a_service_account_of_a_cluster_wide_binding_needs_its_namespace() -> None:
    authorizer = bound(Subject("ServiceAccount", "robot"), namespace="")
    assert not authorizer.authorize(UserInfo("system:serviceaccount:team-a:robot"), EXPERIMENT).allowed
    assert not authorizer.authorize(UserInfo("system:serviceaccount::robot"), EXPERIMENT).allowed


def test_a_binding_holds_in_its_namespace_only() -> None:
    authorizer = bound(Subject("User", "alice"))
    assert not authorizer.authorize(ALICE, asked(namespace="team-b")).allowed
    assert not authorizer.authorize(ALICE, asked(namespace="")).allowed


def test_a_cluster_wide_binding_holds_everywhere() -> None:
    authorizer = bound(Subject("User", "alice"), namespace="")
    assert authorizer.authorize(ALICE, asked(namespace="team-b")).allowed
    assert authorizer.authorize(ALICE, asked(namespace="")).allowed


def test_a_role_is_that_of_the_bindings_namespace() -> None:
    assert bound(Subject("User", "alice"), role_namespace="team-a").authorize(ALICE, EXPERIMENT).allowed
    assert not bound(Subject("User", "alice"), role_namespace="team-b").authorize(ALICE, EXPERIMENT).allowed


def test_reasons_name_the_binding_or_the_missing_role() -> None:
    allowed = bound(Subject("User", "alice")).authorize(ALICE, EXPERIMENT)
    assert allowed.reason == 'RBAC: allowed by RoleBinding "b/team-a" of ClusterRole "r" to User "alice"'
    robot = UserInfo("system:serviceaccount:team-a:robot")
    allowed = bound(Subject("ServiceAccount", "robot")).authorize(robot, EXPERIMENT)
    assert allowed.reason.endswith('to ServiceAccount "robot/team-a"')
    wide = bound(Subject("User", "alice"), namespace="").authorize(ALICE, EXPERIMENT)
    assert wide.reason == 'RBAC: allowed by ClusterRoleBinding "b" of ClusterRole "r" to User "alice"'
    gone = holding([Binding("b", "team-a", RoleRef("Role", "r"), (Subject("User", "alice"),))])
    assert gone.authorize(ALICE, EXPERIMENT).reason == 'RBAC: role.rbac.authorization.k8s.io "r" not found'
    assert bound(Subject("User", "bob")).authorize(ALICE, EXPERIMENT).reason == ""


def test_superusers_need_no_role() -> None:
    root = UserInfo("root", groups=("system:masters",))
    assert holding().authorize(root, EXPERIMENT).allowed


def test_rules_for_a_user_are_those_of_the_namespace_and_of_the_cluster() -> None:
    delete = PolicyRule(("delete",), (MLFLOW,), ("experiments",))
    subject = (Subject("User", "alice"),)
    bindings = [
        Binding("here", "team-a", RoleRef("ClusterRole", "delete"), subject),
        Binding("wide", "", RoleRef("ClusterRole", "read"), subject),
        Binding("vain", "team-a", RoleRef("Role", "gone"), subject),
    ]
    authorizer = holding(bindings, {("", "read"): READ, ("", "delete"): delete})
    granted = authorizer.rules_for(ALICE, "team-a")
    assert granted.rules == (READ, delete)
    assert granted.missing == (RoleRef("Role", "gone"),)
    assert authorizer.rules_for(ALICE, "team-b").rules == (READ,)


def test_objects_are_read_as_kubernetes_writes_them() -> None:
    binding = {
        "metadata": {"name": "b", "namespace": "team-a"},
        "roleRef": {"kind": "ClusterRole", "name": "r"},
        "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": "team-b"}],
    }
    parsed = Binding.parse(binding)
    assert parsed == Binding(
        "b", "team-a", RoleRef("ClusterRole", "r"), (Subject("ServiceAccount", "robot", "team-b"),)
    )
    assert Binding.parse({"metadata": {"name": "b"}, "subjects": None}).subjects == ()
    rule = {"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["s"]}
    assert PolicyRule.parse(rule) == PolicyRule(("get",), ("",), ("secrets",), ("s",))
