"""Aggregated ClusterRoles follow what they select."""

from __future__ import annotations

from typing import Any

from workspace_authz.devplane.embedded.defaults import install_defaults
from workspace_authz.devplane.embedded.kinds import CLUSTER_ROLES
from workspace_authz.devplane.embedded.objects import Object, version_of, with_metadata
from workspace_authz.devplane.embedded.registry import Registry


def rule(resource: str) -> Object:
    return {"verbs": ["get"], "apiGroups": ["mlflow.kubeflow.org"], "resources": [resource]}


def create(registry: Registry, name: str, labels: dict[str, str] | None = None, **content: Any) -> Object:
    obj = {"metadata": {"name": name, "labels": labels or {}}, **content}
    new = registry.prepare(CLUSTER_ROLES, obj, namespace="")
    return registry.create(CLUSTER_ROLES, new, namespace="")


def aggregating(*selectors: Object) -> Object:
    return {"aggregationRule": {"clusterRoleSelectors": list(selectors)}}


def rules(registry: Registry, name: str) -> list[Object]:
    return registry.get(CLUSTER_ROLES, namespace="", name=name)["rules"] or []


def change(registry: Registry, name: str, **content: Any) -> None:
    old = registry.get(CLUSTER_ROLES, namespace="", name=name)
    new = registry.prepare_update(CLUSTER_ROLES, {**old, **content}, old=old)
    registry.update(CLUSTER_ROLES, new, old=old)


BY_LABEL = {"matchLabels": {"part": "yes"}}


def test_it_gathers_what_is_there_and_what_comes(registry: Registry) -> None:
    create(registry, "first", {"part": "yes"}, rules=[rule("experiments")])
    whole = create(registry, "whole", **aggregating(BY_LABEL))
    assert whole["rules"] == [rule("experiments")]
    create(registry, "second", {"part": "yes"}, rules=[rule("datasets"), rule("experiments")])
    create(registry, "third", {"part": "no"}, rules=[rule("secrets")])
    assert rules(registry, "whole") == [rule("experiments"), rule("datasets")]


def test_it_follows_changes_of_rules_and_labels_and_deletions(registry: Registry) -> None:
    create(registry, "part", {"part": "yes"}, rules=[rule("experiments")])
    create(registry, "whole", **aggregating(BY_LABEL))
    change(registry, "part", rules=[rule("datasets")])
    assert rules(registry, "whole") == [rule("datasets")]
    old = registry.get(CLUSTER_ROLES, namespace="", name="part")
    change(registry, "part", metadata=with_metadata(old, labels={})["metadata"])
    assert rules(registry, "whole") == []
    change(
        registry,
        "part",
        metadata=with_metadata(old, labels={"part": "yes"}, resourceVersion=None)["metadata"],
    )
    assert rules(registry, "whole") == [rule("datasets")]
    part = registry.get(CLUSTER_ROLES, namespace="", name="part")
    registry.delete(CLUSTER_ROLES, part)
    assert rules(registry, "whole") == []


def test_its_own_rules_are_replaced(registry: Registry) -> None:
    create(registry, "whole", rules=[rule("secrets")], **aggregating(BY_LABEL))
    assert rules(registry, "whole") == []
    change(registry, "whole", rules=[rule("secrets")])
    assert rules(registry, "whole") == []


def test_expressions_select_too(registry: Registry) -> None:
    create(registry, "a", {"tier": "one"}, rules=[rule("a")])
    create(registry, "b", {"tier": "two"}, rules=[rule("b")])
    create(registry, "c", rules=[rule("c")])
    expression = {"key": "tier", "operator": "NotIn", "values": ["two"]}
    exists = {"key": "tier", "operator": "Exists"}
    create(registry, "whole", **aggregating({"matchExpressions": [expression, exists]}))
    assert rules(registry, "whole") == [rule("a")]


def test_an_empty_selector_selects_everything_but_itself(registry: Registry) -> None:
    create(registry, "a", rules=[rule("a")])
    create(registry, "whole", **aggregating({}))
    assert rules(registry, "whole") == [rule("a")]


def test_roles_that_select_each_other_settle(registry: Registry) -> None:
    create(registry, "one", {"to": "two"}, **aggregating({"matchLabels": {"to": "one"}}))
    create(registry, "two", {"to": "one"}, **aggregating({"matchLabels": {"to": "two"}}))
    create(registry, "part", {"to": "one"}, rules=[rule("a")])
    assert rules(registry, "one") == rules(registry, "two") == [rule("a")]


def test_the_default_roles_are_chained(registry: Registry) -> None:
    install_defaults(registry)
    label = {"rbac.authorization.k8s.io/aggregate-to-view": "true"}
    create(registry, "mlflow-view", label, rules=[rule("experiments")])
    for name in ("view", "edit", "admin"):
        assert rule("experiments") in rules(registry, name)
    assert rule("experiments") not in rules(registry, "system:aggregate-to-edit")


def test_nothing_to_do_changes_no_version(registry: Registry) -> None:
    install_defaults(registry)
    before = version_of(registry.get(CLUSTER_ROLES, namespace="", name="admin"))
    create(registry, "unrelated", rules=[rule("a")])
    assert version_of(registry.get(CLUSTER_ROLES, namespace="", name="admin")) == before
