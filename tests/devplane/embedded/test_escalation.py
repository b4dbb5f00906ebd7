"""Nobody grants what they do not hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.devplane.embedded.conftest import Running
from workspace_authz.devplane.api import Answer
from workspace_authz.devplane.embedded.escalation import uncovered
from workspace_authz.devplane.embedded.policy import GROUP, PolicyRule

RBAC = f"/apis/{GROUP}/v1"
EXPERIMENTS = {"apiGroups": ["mlflow.kubeflow.org"], "resources": ["experiments"], "verbs": ["get"]}
DATASETS = {**EXPERIMENTS, "resources": ["datasets"]}
EVERYTHING = [
    {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
    {"nonResourceURLs": ["*"], "verbs": ["*"]},
]


def writes(*resources: str, verbs: tuple[str, ...] = ("create", "patch", "update")) -> Mapping[str, Any]:
    return {"apiGroups": [GROUP], "resources": list(resources), "verbs": list(verbs)}


async def grant(running: Running, *rules: Mapping[str, Any], name: str = "granted") -> None:
    """Give alice these rules, cluster-wide."""
    role = {"metadata": {"name": name}, "rules": list(rules)}
    assert (await running.api.post(f"{RBAC}/clusterroles", role)).ok
    binding = {
        "metadata": {"name": name},
        "roleRef": {"kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "User", "name": "alice"}],
    }
    assert (await running.api.post(f"{RBAC}/clusterrolebindings", binding)).ok


async def by_alice(running: Running, path: str, **content: Any) -> Answer:
    body = {"metadata": {"name": "attempt"}, **content}
    return await running.api.with_token("alice-token").post(f"{RBAC}{path}", body)


async def patch_by_alice(running: Running, path: str, patch: Mapping[str, Any]) -> Answer:
    return await running.api.with_token("alice-token").request(
        "PATCH", f"{RBAC}{path}", body=patch, content_type="application/merge-patch+json"
    )


ROLES, BINDINGS = "/namespaces/default/roles", "/namespaces/default/rolebindings"


async def test_a_role_may_hold_what_its_author_holds(running: Running) -> None:
    await grant(running, writes("roles"), EXPERIMENTS)
    assert (await by_alice(running, ROLES, rules=[EXPERIMENTS])).status == 201


async def test_a_role_may_hold_no_more(running: Running) -> None:
    await grant(running, writes("roles"), EXPERIMENTS)
    said = await by_alice(running, ROLES, rules=[EXPERIMENTS, {**DATASETS, "verbs": ["get", "list"]}])
    assert said.status == 403
    assert said.body["message"] == (
        'roles.rbac.authorization.k8s.io "attempt" is forbidden: user "alice" (groups=["team-a" "devs" '
        '"system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n'
        '{APIGroups:["mlflow.kubeflow.org"], Resources:["datasets"], Verbs:["get" "list"]}'
    )


async def test_a_role_cannot_be_widened(running: Running) -> None:
    await grant(running, writes("roles"), EXPERIMENTS)
    assert (await by_alice(running, ROLES, rules=[EXPERIMENTS])).ok
    assert (await patch_by_alice(running, f"{ROLES}/attempt", {"rules": [DATASETS]})).status == 403
    replaced = await running.api.with_token("alice-token").request(
        "PUT", f"{RBAC}{ROLES}/attempt", body={"metadata": {"name": "attempt"}, "rules": [DATASETS]}
    )
    assert replaced.status == 403


async def test_who_may_escalate_may_write_any_role(running: Running) -> None:
    await grant(running, writes("roles", verbs=("create", "escalate")))
    assert (await by_alice(running, ROLES, rules=[DATASETS])).status == 201


async def test_escalating_one_role_by_name_does_not_reach_creation(running: Running) -> None:
    escalate = {**writes("roles", verbs=("escalate",)), "resourceNames": ["attempt"]}
    await grant(running, writes("roles"), escalate)
    assert (await by_alice(running, ROLES, rules=[DATASETS])).status == 403  # the path names nothing yet
    assert (await by_alice(running, ROLES, rules=[])).ok
    assert (await patch_by_alice(running, f"{ROLES}/attempt", {"rules": [DATASETS]})).ok


async def test_a_binding_to_a_role_whose_rights_one_holds(running: Running) -> None:
    await grant(running, writes("rolebindings"), EXPERIMENTS)
    await grant(running, EXPERIMENTS, name="readers")
    role = {"kind": "ClusterRole", "name": "readers"}
    assert (await by_alice(running, BINDINGS, roleRef=role)).status == 201


async def test_a_binding_to_more_is_refused(running: Running) -> None:
    await grant(running, writes("rolebindings", "clusterrolebindings"))
    role = {"kind": "ClusterRole", "name": "cluster-admin"}
    for path in (BINDINGS, "/clusterrolebindings"):
        said = await by_alice(running, path, roleRef=role)
        assert said.status == 403
        assert "attempting to grant RBAC permissions not currently held" in said.body["message"]


async def test_who_may_bind_a_role_may_bind_that_one(running: Running) -> None:
    bind = {**writes("clusterroles", verbs=("bind",)), "resourceNames": ["edit"]}
    await grant(running, writes("rolebindings"), bind)
    assert (await by_alice(running, BINDINGS, roleRef={"kind": "ClusterRole", "name": "edit"})).ok
    refused = await by_alice(running, BINDINGS, roleRef={"kind": "ClusterRole", "name": "admin"})
    assert refused.status == 403


async def test_a_binding_to_a_missing_role_is_not_found(running: Running) -> None:
    await grant(running, writes("rolebindings"))
    assert (await by_alice(running, BINDINGS, roleRef={"kind": "Role", "name": "nope"})).status == 404


async def test_a_binding_cannot_be_given_to_others(running: Running) -> None:
    await grant(running, writes("clusterrolebindings"))
    subjects = {"subjects": [{"kind": "User", "name": "bob"}]}
    assert (await patch_by_alice(running, "/clusterrolebindings/cluster-admin", subjects)).status == 403


async def test_aggregation_needs_everything(running: Running) -> None:
    aggregation = {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}
    await grant(running, writes("clusterroles"), EXPERIMENTS)
    said = await by_alice(running, "/clusterroles", aggregationRule=aggregation)
    assert said.body["message"].endswith("must have cluster-admin privileges to use the aggregationRule")
    await grant(running, *EVERYTHING, name="everything")
    assert (await by_alice(running, "/clusterroles", aggregationRule=aggregation)).status == 201


async def test_what_only_a_garbage_collector_changes_needs_no_rights(running: Running) -> None:
    await grant(running, writes("clusterroles"))
    patch = {"metadata": {"finalizers": ["a.test/b"]}}
    assert (await patch_by_alice(running, "/clusterroles/view", patch)).ok
    assert (
        await patch_by_alice(running, "/clusterroles/view", {"metadata": {"labels": {"a": "b"}}})
    ).status == 403


@pytest.mark.parametrize(
    ("granted", "wanted", "covered"),
    [
        (PolicyRule(("*",), ("*",), ("*",)), PolicyRule(("get",), ("",), ("pods", "pods/log"), ("a",)), True),
        (PolicyRule(("get",), ("",), ("pods",)), PolicyRule(("get",), ("",), ("pods",), ("a",)), True),
        (PolicyRule(("get",), ("",), ("pods",), ("a",)), PolicyRule(("get",), ("",), ("pods",)), False),
        (
            PolicyRule(("get",), ("",), ("pods",), ("a",)),
            PolicyRule(("get",), ("",), ("pods",), ("b",)),
            False,
        ),
        (PolicyRule(("get",), ("",), ("*/log",)), PolicyRule(("get",), ("",), ("pods/log",)), True),
        (PolicyRule(("get",), ("",), ("*/log",)), PolicyRule(("get",), ("",), ("pods",)), False),
        (PolicyRule(("get",), ("",), ("pods",)), PolicyRule(("get",), ("",), ("pods/log",)), False),
        (PolicyRule(("get",), ("",), ("pods",)), PolicyRule(("*",), ("",), ("pods",)), False),
        (PolicyRule(("get",), urls=("/api/*",)), PolicyRule(("get",), urls=("/api/v1",)), True),
        (PolicyRule(("get",), urls=("/api/*",)), PolicyRule(("get",), urls=("/apis",)), False),
        (PolicyRule(("get",), urls=("/api",)), PolicyRule(("get",), ("",), ("pods",)), False),
        (PolicyRule(("get",), ("*",), ("*",)), PolicyRule(("get",), urls=("/api",)), False),
    ],
)
def test_covering(granted: PolicyRule, wanted: PolicyRule, covered: bool) -> None:
    assert (not list(uncovered([granted], [wanted]))) is covered


def test_several_rules_together_cover_one() -> None:
    granted = [PolicyRule(("get",), ("",), ("pods",)), PolicyRule(("list",), ("",), ("pods",))]
    assert not list(uncovered(granted, [PolicyRule(("get", "list"), ("",), ("pods",))]))
