"""What a caller may do themselves: listed where Kubernetes lists it, asked for one by one elsewhere."""

from __future__ import annotations

import pytest

from tests.authorizer.test_reviewers import ASSERTED, WITH_TOKEN, Site
from tests.harness.fakes import NO, YES
from workspace_authz.authorizer.rbac.index import RbacIndex
from workspace_authz.authorizer.rbac.objects import RoleReader, read_binding
from workspace_authz.grants import callers
from workspace_authz.grants.callers import CallersRights
from workspace_authz.grants.levels import Level
from workspace_authz.grants.objects import ObjectGrant, RoleRef, object_grant, role_grant
from workspace_authz.grants.subjects import user_subject
from workspace_authz.kubernetes.listwatch_answers import object_key
from workspace_authz.kubernetes.reviews import AccessAnswer, ResourceRule, RulesAnswer
from workspace_authz.roles.generate import cluster_roles
from workspace_authz.types import API_GROUP, Attributes, Resource, Verb


@pytest.fixture
def site() -> Site:
    return Site()


def index_of(*grants: ObjectGrant | str) -> RbacIndex:
    """What is granted to alice in team-a: a ClusterRole by name, or one object."""
    index, read = RbacIndex(), RoleReader()
    for role in cluster_roles():
        index.put_role(object_key(role), read(role))
    for given in grants:
        subject = user_subject("alice")
        if isinstance(given, str):
            binding = role_grant(subject, "team-a", role=RoleRef(given))
        else:
            role, binding = object_grant(subject, "team-a", grant=given)
            index.put_role(object_key(role), read(role))
        index.put_binding(object_key(binding), old=None, new=read_binding(binding))
    return index


async def test_of_a_caller_with_a_token_the_rules_are_listed(site: Site) -> None:
    reading = ResourceRule(*map(frozenset, (["get", "list"], [API_GROUP], ["experiments"], [])))
    site.reviews.rules_answer = RulesAnswer((reading,), incomplete=False)
    site.reviews.get_answer = NO
    rights = await CallersRights(site.authorizer, None).rights(WITH_TOKEN, ["team-a"])
    assert rights["team-a"].levels == {(Resource.EXPERIMENTS, ""): Level.READ}
    assert rights["team-a"].grants is False
    assert site.reviews.questions == []


async def test_of_a_caller_by_name_each_right_is_asked_that_they_could_hold(site: Site) -> None:
    denied = Attributes("team-a", Verb.DELETE, Resource.EXPERIMENTS, name="fraud")
    site.subject_reviews.may_answer = lambda asked: AccessAnswer(allowed=asked != denied)
    index = index_of(ObjectGrant(Resource.EXPERIMENTS, "fraud", Level.MANAGE))
    rights = await CallersRights(site.authorizer, index).rights(ASSERTED, ["team-a"])
    # What the API server refuses is not shown, whatever the index says.
    assert rights["team-a"].levels == {(Resource.EXPERIMENTS, "fraud"): Level.EDIT}
    assert len(site.subject_reviews.questions) == 4


async def test_where_nothing_is_known_everything_is_asked(site: Site) -> None:
    site.subject_reviews.may_answer = YES
    rights = await CallersRights(site.authorizer, None).rights(ASSERTED, ["team-a"])
    assert rights["team-a"].levels[Resource.EXPERIMENTS, ""] is Level.MANAGE


async def test_what_one_answer_asks_is_bounded(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.subject_reviews.may_answer = YES
    monkeypatch.setattr(callers, "_MOST_QUESTIONS", 100)
    names = [f"team-{number}" for number in range(5)]
    rights = await CallersRights(site.authorizer, None).rights(ASSERTED, names)
    assert list(rights) == ["team-0"]
    assert len(site.subject_reviews.questions) <= 100


@pytest.mark.parametrize(
    ("may_grant", "may_all", "expected"), [(True, True, True), (True, False, False), (False, True, False)]
)
async def test_an_administrator_may_do_everything_everywhere(
    site: Site, may_grant: bool, may_all: bool, expected: bool
) -> None:
    site.reviews.get_answer = AccessAnswer(allowed=may_grant)
    lacking = Attributes("", Verb.DELETE, Resource.ASSISTANTS)
    site.reviews.may_answer = lambda asked: AccessAnswer(allowed=may_all or asked != lacking)
    assert await CallersRights(site.authorizer, None).is_administrator(WITH_TOKEN) is expected
