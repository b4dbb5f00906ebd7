"""MLflow's levels and RBAC's verbs lead to each other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workspace_authz.authorizer.rules import covers
from workspace_authz.grants.levels import (
    MOST_NAMES,
    MOST_RULES,
    Level,
    level_on,
    levels_in,
    named_objects,
    rules_for,
)
from workspace_authz.kubernetes.reviews import ResourceRule
from workspace_authz.types import API_GROUP, USABLE, USE, Attributes, Resource, Verb

CASES = [
    (resource, level)
    for resource in Resource
    for level in Level
    if level is not Level.USE or resource in USABLE
]


@pytest.mark.parametrize(("resource", "level"), CASES)
@pytest.mark.parametrize("name", ["", "fraud"])
def test_the_rules_of_a_level_give_that_level_and_nothing_else(
    resource: Resource, level: Level, name: str
) -> None:
    rules = rules_for(resource, level, name=name)
    assert level_on(rules, resource, name=name) is level
    assert all(level_on(rules, other, name=name) is None for other in Resource if other is not resource)
    if name:
        assert level_on(rules, resource) is level_on(rules, resource, name="another") is None
        assert named_objects(rules, resource) == {name}


@given(st.sampled_from(CASES), st.sampled_from(["", "fraud"]))
def test_create_is_never_limited_to_a_name(case: tuple[Resource, Level], name: str) -> None:
    rules = rules_for(*case, name=name)
    creates = [rule for rule in rules if covers(rule, Attributes("", Verb.CREATE, case[0]))]
    assert bool(creates) is (not name and case[1] in (Level.EDIT, Level.MANAGE))


def test_where_nothing_can_be_used_use_is_reading() -> None:
    assert level_on(rules_for(Resource.EXPERIMENTS, Level.USE), Resource.EXPERIMENTS) is Level.READ


def test_using_needs_reading() -> None:
    resource = Resource.GATEWAY_ENDPOINTS
    only_use = ResourceRule(
        frozenset({"create"}), frozenset({API_GROUP}), frozenset({f"{resource}/{USE}"}), frozenset()
    )
    assert level_on([only_use], resource) is None


def test_a_use_of_every_resource_may_be_on_one_object() -> None:
    resource = Resource.GATEWAY_ENDPOINTS
    uses = ResourceRule(
        frozenset({"create"}), frozenset({API_GROUP}), frozenset({"*/use"}), frozenset({"chat"})
    )
    levels = levels_in([*rules_for(resource, Level.READ), uses])
    assert levels == {(resource, ""): Level.READ, (resource, "chat"): Level.USE}


def test_what_is_read_of_a_role_is_bounded() -> None:
    names = [f"experiment-{number:04}" for number in range(MOST_NAMES + 10)]
    verbs, groups, resources = (map(str, Verb), [API_GROUP], [str(Resource.EXPERIMENTS)])
    long = ResourceRule(*map(frozenset, (verbs, groups, resources, names)))
    assert [name for _, name in levels_in([long], most_names=3)] == names[:3]
    assert level_on([long], Resource.EXPERIMENTS, name=names[-1]) is Level.MANAGE
    many = [rules_for(Resource.EXPERIMENTS, Level.READ, name=name)[0] for name in names]
    assert len(levels_in(many)) == MOST_RULES


def test_wildcards_give_everything() -> None:
    everything = ResourceRule(frozenset("*"), frozenset("*"), frozenset("*"), frozenset())
    assert {level_on([everything], resource) for resource in Resource} == {Level.MANAGE}


TEXTS = [*map(str, Resource), *(f"{each}/{USE}" for each in USABLE), "*", f"*/{USE}"]
RULES = st.builds(
    ResourceRule,
    st.frozensets(st.sampled_from([*map(str, Verb), "*"]), max_size=5),
    st.just(frozenset({API_GROUP})),
    st.frozensets(st.sampled_from(TEXTS), min_size=1, max_size=3),
    st.frozensets(st.sampled_from(["fraud", "churn"]), max_size=2),
)


@given(st.lists(RULES, max_size=5), st.sampled_from(list(Resource)), st.sampled_from(["", "fraud"]))
def test_a_level_is_what_kubernetes_rules_cover(
    rules: list[ResourceRule], resource: Resource, name: str
) -> None:
    counted = [rule for rule in rules if not rule.names or name in rule.names]

    def allowed(verb: Verb, subresource: str = "") -> bool:
        return any(covers(rule, Attributes("", verb, resource, subresource)) for rule in counted)

    reads = allowed(Verb.GET) and allowed(Verb.LIST)
    uses = allowed(Verb.CREATE, USE) or resource not in USABLE
    edits = reads and uses and allowed(Verb.UPDATE)
    expected = (
        Level.MANAGE
        if edits and allowed(Verb.DELETE)
        else Level.EDIT
        if edits
        else Level.USE
        if reads and uses and resource in USABLE
        else Level.READ
        if reads
        else None
    )
    assert level_on(rules, resource, name=name) is expected
    all_levels = levels_in(rules)
    assert all_levels.get((resource, name), all_levels.get((resource, ""))) is expected or (
        name and name not in named_objects(rules, resource)
    )
