"""Lists of workspaces by the index: few questions, and every yes is the API server's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tests.authorizer.rbac.worlds import World
from tests.harness.fakes import NO, YES, ScriptedReviews
from workspace_authz.authorizer.authorizer import Authorizer
from workspace_authz.authorizer.review_cache import Lifetimes
from workspace_authz.authorizer.reviewers import Reviewers
from workspace_authz.kubernetes.credentials import BearerToken
from workspace_authz.kubernetes.reviews import AccessAnswer
from workspace_authz.types import API_GROUP, Attributes, Caller, Resource, UserInfo, Verb

THOUSAND = [f"n{number}" for number in range(1000)]
ALICE = Caller(UserInfo("alice", groups=("devs",)), BearerToken("t"))
RIGHT: dict[str, Any] = {"verbs": ["list"], "apiGroups": [API_GROUP], "resources": ["datasets"]}
NAMED: dict[str, Any] = {
    "verbs": ["get"],
    "apiGroups": [API_GROUP],
    "resources": ["experiments"],
    "resourceNames": ["x"],
}


@dataclass
class Cluster:
    """RBAC, an API server that follows it to the letter, and an authorizer that lists by the index."""

    world: World = field(default_factory=World)
    reviews: ScriptedReviews = field(default_factory=ScriptedReviews)

    def __post_init__(self) -> None:
        self.reviews.may_answer = self.truth(ALICE.user)
        clock, generations = self.world.clock, self.world.generations
        self.authorizer = Authorizer(
            Reviewers(self.reviews),
            generations=generations,
            monotonic=clock.monotonic,
            lifetimes=Lifetimes(propagation=0),
            candidates=self.world.source,
        )

    def truth(self, user: UserInfo) -> Callable[[Attributes], AccessAnswer]:
        return lambda asked: YES if self.world.allowed(user, asked) else NO

    def bind(self, namespace: str, *rules: dict[str, Any], name: str = "b") -> None:
        metadata = {"name": name, "namespace": namespace}
        kinds = ("Role", "RoleBinding") if namespace else ("ClusterRole", "ClusterRoleBinding")
        subject = {"kind": "User", "name": "alice"}
        self.world.put(kinds[0], {"metadata": metadata, "rules": list(rules)})
        reference = {"kind": kinds[0], "name": name}
        self.world.put(kinds[1], {"metadata": metadata, "roleRef": reference, "subjects": [subject]})
        self.world.catch_up()

    async def visible(self) -> set[str]:
        return set(await self.authorizer.namespaces_with_rights(ALICE, THOUSAND))


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


async def test_ten_of_a_thousand_cost_ten_questions_and_then_none(cluster: Cluster) -> None:
    own = set(THOUSAND[:10])
    for name in own:
        cluster.bind(name, RIGHT)
    assert await cluster.visible() == own
    assert len(cluster.reviews.questions) == 10
    assert await cluster.visible() == own
    assert len(cluster.reviews.questions) == 10
    assert cluster.reviews.namespaces == []


async def test_nobodys_list_costs_nothing(cluster: Cluster) -> None:
    assert await cluster.visible() == set()
    assert (cluster.reviews.questions, cluster.reviews.namespaces) == ([], [])


async def test_all_of_a_thousand_by_a_cluster_role_binding_cost_one_question(cluster: Cluster) -> None:
    cluster.bind("", RIGHT)
    assert await cluster.visible() == set(THOUSAND)
    [asked] = cluster.reviews.questions
    assert asked.namespace == ""


async def test_a_superuser_needs_no_binding(cluster: Cluster) -> None:
    cluster.reviews.may_answer = YES
    root = Caller(UserInfo("root", groups=("system:masters",)), BearerToken("t"))
    assert len(await cluster.authorizer.namespaces_with_rights(root, THOUSAND)) == 1000
    assert len(cluster.reviews.questions) == 1


async def test_a_named_right_is_asked_for_by_its_name(cluster: Cluster) -> None:
    cluster.bind("n7", NAMED)
    assert await cluster.visible() == {"n7"}
    assert [asked.name for asked in cluster.reviews.questions] == ["x"]


async def test_every_yes_is_the_api_servers(cluster: Cluster) -> None:
    """The index says where to ask, and it may be wrong."""
    cluster.bind("n7", RIGHT)
    cluster.reviews.may_answer = NO
    assert await cluster.visible() == set()
    assert len(cluster.reviews.questions) == 1


async def test_what_is_refused_everywhere_is_asked_for_in_each_namespace(cluster: Cluster) -> None:
    cluster.bind("", RIGHT)
    cluster.reviews.may_answer = lambda asked: YES if asked.namespace == "n7" else NO
    assert await cluster.visible() == {"n7"}


async def test_a_second_binding_is_asked_about_where_the_first_is_refused(cluster: Cluster) -> None:
    cluster.bind("n7", RIGHT)
    cluster.bind("n7", NAMED, name="other")
    cluster.reviews.may_answer = lambda asked: YES if asked.name else NO
    assert await cluster.visible() == {"n7"}


async def test_a_binding_elsewhere_is_not_asked_about(cluster: Cluster) -> None:
    cluster.bind("no-workspace", RIGHT)
    assert await cluster.visible() == set()
    assert cluster.reviews.questions == []


async def test_while_changes_can_be_missed_every_namespace_is_asked_about(cluster: Cluster) -> None:
    cluster.world.generations.followed_since = None
    await cluster.visible()
    assert sorted(cluster.reviews.namespaces) == sorted(THOUSAND)


async def test_a_list_follows_a_change_at_once(cluster: Cluster) -> None:
    cluster.bind("n7", RIGHT)
    assert await cluster.visible() == {"n7"}
    cluster.bind("n8", RIGHT)
    cluster.bind("n7")
    assert await cluster.visible() == {"n8"}


async def test_names_that_a_caller_could_hold(cluster: Cluster) -> None:
    cluster.bind("n7", NAMED, RIGHT)
    cluster.bind("", NAMED | {"resourceNames": ["y"]})
    source, experiments = cluster.world.source, Attributes("n7", Verb.GET, Resource.EXPERIMENTS)
    assert await source.candidates(ALICE, experiments) == frozenset({"x", "y"})
    assert await source.candidates(ALICE, replace(experiments, namespace="n8")) == frozenset({"y"})
    assert await source.candidates(ALICE, replace(experiments, verb=Verb.DELETE)) == frozenset()
    cluster.world.generations.followed_since = None
    assert await source.candidates(ALICE, experiments) is None
