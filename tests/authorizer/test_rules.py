"""Rules are read as Kubernetes' own RBAC authorizer reads them."""

from __future__ import annotations

import pytest

from workspace_authz.authorizer.rules import granted_names, mlflow_rules
from workspace_authz.kubernetes.reviews import ResourceRule
from workspace_authz.types import USE, Attributes, Resource, Verb

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
    assert mlflow_rules([rule("get", "", "pods"), given]) == (given,)


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
    assert not mlflow_rules([given])


def test_no_rules_grant_nothing() -> None:
    assert not mlflow_rules([])


def test_parts_of_two_rules_do_not_make_one_right() -> None:
    assert not mlflow_rules([rule("get", OURS, "pods"), rule("get", "apps", "experiments")])


LIST = Attributes("team-a", Verb.LIST, Resource.EXPERIMENTS)
CALL = Attributes("team-a", Verb.CREATE, Resource.GATEWAY_ENDPOINTS, USE)


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        (rule("list", OURS, "experiments", names="fraud churn"), LIST),
        (rule("get *", "apps *", "*", names="fraud churn"), LIST),
        (rule("create", OURS, "gatewayendpoints/use", names="fraud churn"), CALL),
        (rule("create", OURS, "*/use", names="fraud churn"), CALL),
        (rule("*", "*", "*", names="fraud churn"), CALL),
    ],
)
def test_the_names_of_a_rule_that_grants(given: ResourceRule, asked: Attributes) -> None:
    assert granted_names([given, rule("list", OURS, "experiments")], asked) == {"fraud", "churn"}


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        (rule("get", OURS, "experiments", names="fraud"), LIST),
        (rule("list", "apps", "experiments", names="fraud"), LIST),
        (rule("list", OURS, "registeredmodels", names="fraud"), LIST),
        (rule("list", OURS, "experiments/use */use", names="fraud"), LIST),
        (rule("create", OURS, "gatewayendpoints", names="fraud"), CALL),
        (rule("list", OURS, "experiments"), LIST),  # no names
    ],
)
def test_no_names_of_a_rule_that_does_not(given: ResourceRule, asked: Attributes) -> None:
    assert granted_names([given], asked) == frozenset()


def test_the_names_of_several_rules_count_together() -> None:
    rules = [rule("list", OURS, "experiments", names=name) for name in ("fraud", "churn")]
    assert granted_names(rules, LIST) == {"fraud", "churn"}
