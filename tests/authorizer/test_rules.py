"""Rules are read as Kubernetes' own RBAC authorizer reads them."""

from __future__ import annotations

import pytest

from workspace_authz.authorizer.rules import any_mlflow_right
from workspace_authz.kubernetes.reviews import ResourceRule

OURS = "mlflow.kubeflow.org"


def rule(verbs: str, groups: str, resources: str, names: str = "") -> ResourceRule:
    return ResourceRule(*(frozenset(text.split()) for text in (verbs, groups, resources, names)))


@pytest.mark.parametrize(
    "given",
    [
        rule("get", OURS, "experiments"),
        rule("watch list", OURS, "pods registeredmodels"),
        rule("*", "*", "*"),
        rule("*", OURS, "gatewaybudgets"),
        rule("get", "* apps", "mcpservers"),
        rule("delete", OURS, "*"),
        rule("create", OURS, "gatewayendpoints/use"),
        rule("*", OURS, "gatewaysecrets/use"),
        rule("create", "*", "*/use"),
        rule("get", OURS, "experiments", names="one"),  # a named right is a right
    ],
)
def test_it_grants(given: ResourceRule) -> None:
    assert any_mlflow_right([rule("get", "", "pods"), given])


@pytest.mark.parametrize(
    "given",
    [
        rule("", OURS, "experiments"),
        rule("watch deletecollection", OURS, "experiments"),
        rule("get", "apps", "experiments"),
        rule("get", "", "*"),
        rule("get", OURS, "pods"),
        rule("get", OURS, "experiments/status"),
        rule("get", OURS, "gatewayendpoints/use"),  # a use is created, not got
        rule("create", OURS, "experiments/use"),
        rule("get", OURS, "*/use"),
        rule("create", OURS, "*/status"),
        rule("get", OURS, "experiment*"),  # no globs in RBAC
    ],
)
def test_it_does_not_grant(given: ResourceRule) -> None:
    assert not any_mlflow_right([given])


def test_no_rules_grant_nothing() -> None:
    assert not any_mlflow_right([])


def test_parts_of_two_rules_do_not_make_one_right() -> None:
    assert not any_mlflow_right([rule("get", OURS, "pods"), rule("get", "apps", "experiments")])
