"""The copy of RBAC against the dev plane's own evaluation of it: it misses nothing and is never late.

Whatever the objects, whatever the order in which watches tell of them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.authorizer.rbac.worlds import KINDS, NAMESPACES, USERS, World
from workspace_authz.kubernetes.credentials import BearerToken
from workspace_authz.types import API_GROUP, Attributes, Caller

GROUP = "rbac.authorization.k8s.io"
ROLES = ("r", "s")


def some(*values: str) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=2, unique=True)


def rule(verbs: list[str], group: str, resources: list[str], names: list[str]) -> dict[str, Any]:
    named = {"resourceNames": names} if names else {}
    return {"verbs": verbs, "apiGroups": [group], "resources": resources, **named}


RULES = st.lists(
    st.builds(
        rule,
        some("list", "create", "watch", "*"),
        st.sampled_from((API_GROUP, API_GROUP, API_GROUP, "*", "apps")),
        some("experiments", "gatewayendpoints/use", "experiments/use", "*", "*/use", "*/*", "pods"),
        st.sampled_from(([], [], ["x"], ["x", "y"], ["z"], [""])),
    ),
    max_size=2,
)
BOB = {"kind": "User", "name": "bob"}
SUBJECTS = st.lists(
    st.sampled_from(
        [
            {"kind": "User", "name": "alice"},
            {"kind": "User", "name": "system:serviceaccount:a:robot"},
            {"kind": "Group", "name": "devs"},
            {"kind": "Group", "name": "system:authenticated"},
            {"kind": "ServiceAccount", "name": "robot"},
            {"kind": "ServiceAccount", "name": "robot", "namespace": "a"},
        ]
    ),
    max_size=2,
)
AGGREGATES = {"aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"part": "yes"}}]}}


def role(kind: str, namespace: str, name: str, rules: Any, part: bool) -> tuple[str, dict[str, Any]]:
    labels = {"part": "yes"} if part else {}
    item = {"metadata": {"name": name, "namespace": namespace, "labels": labels}, "rules": rules}
    return kind, item | (AGGREGATES if (kind, name) == ("ClusterRole", "s") else {})


def binding(namespace: str, name: str, ref: tuple[str, str], subjects: Any) -> tuple[str, dict[str, Any]]:
    kind = "RoleBinding" if namespace else "ClusterRoleBinding"
    reference = {"kind": ref[0] if namespace else "ClusterRole", "name": ref[1]}
    return kind, {
        "metadata": {"name": name, "namespace": namespace},
        "roleRef": reference,
        "subjects": subjects,
    }


REFERENCES = st.tuples(st.sampled_from(["Role", "ClusterRole"]), st.sampled_from(ROLES))
OBJECTS = st.one_of(
    st.builds(
        role, st.just("Role"), st.sampled_from(NAMESPACES), st.sampled_from(ROLES), RULES, st.booleans()
    ),
    st.builds(role, st.just("ClusterRole"), st.just(""), st.sampled_from(ROLES), RULES, st.booleans()),
    st.builds(binding, st.sampled_from(("", *NAMESPACES)), st.sampled_from(["p", "q"]), REFERENCES, SUBJECTS),
    # A new one that grants something, since the others seldom do.
    st.builds(
        binding, st.sampled_from(NAMESPACES), st.just("new"), st.just(("ClusterRole", "r")), st.just([BOB])
    ),
)
CHANGES = st.one_of(
    st.tuples(st.just("put"), OBJECTS),
    st.tuples(st.just("put"), OBJECTS),
    st.tuples(st.just("remove"), st.integers(0, 20)),
)
STEPS = st.one_of(
    CHANGES,
    st.tuples(st.just("deliver"), st.sampled_from([*KINDS.values()])),
)
EVERYTHING = frozenset(NAMESPACES)


def begun() -> World:
    """A world in which some hold something, and which is known."""
    world = World()
    reading = [rule(["list"], API_GROUP, ["experiments"], [])]
    using = [rule(["create"], API_GROUP, ["gatewayendpoints/use"], ["x"])]
    for item in (
        role("Role", "a", "r", reading, False),
        role("ClusterRole", "", "r", using, True),
        role("ClusterRole", "", "s", [], False),
        binding("a", "p", ("Role", "r"), [{"kind": "User", "name": "alice"}]),
        binding(
            "b", "p", ("ClusterRole", "s"), [{"kind": "ServiceAccount", "name": "robot", "namespace": "a"}]
        ),
        binding("a", "q", ("Role", "r"), [{"kind": "ServiceAccount", "name": "robot"}]),
        binding("", "p", ("ClusterRole", "r"), [{"kind": "Group", "name": "devs"}]),
    ):
        world.put(*item)
    world.catch_up()
    return world


def act(world: World, step: tuple[str, Any]) -> None:
    what, given = step
    if what == "put":
        world.put(*given)
    elif what == "remove":
        world.remove(given)
    elif what == "deliver":
        world.deliver(given)


@settings(max_examples=150)
@given(st.lists(CHANGES, max_size=8))
async def test_no_namespace_and_no_name_is_missed(changes: list[tuple[str, Any]]) -> None:
    world = begun()
    for change in changes:
        act(world, change)
    world.catch_up()
    for user in USERS:
        candidates = world.source.of(user, EVERYTHING)
        assert candidates is not None
        rights_by_namespace = {namespace: world.truth(user, namespace) for namespace in NAMESPACES}
        assert {namespace for namespace, rights in rights_by_namespace.items() if rights} <= set(
            candidates.namespaces
        )
        for namespace, rights in rights_by_namespace.items():
            # No question in vain: whoever is worth asking about is allowed the first one.
            asked = list(candidates.questions(namespace))
            assert all(question in rights or world.allowed(user, question) for question in asked)
        assert all(world.allowed(user, question) for question in candidates.everywhere)
        await names_are_known(world, Caller(user, BearerToken("t")), rights_by_namespace["a"])


async def names_are_known(world: World, caller: Caller, rights: frozenset[Attributes]) -> None:
    for right in rights:
        broad = replace(right, name="")
        if right.name and broad not in rights:
            assert right.name in (await world.source.candidates(caller, broad) or ())


@settings(max_examples=60)
@given(st.lists(STEPS, max_size=10))
def test_an_answer_from_before_a_change_has_another_generation(steps: list[tuple[str, Any]]) -> None:
    """Whenever it was asked, however the watches lag behind: if it is no longer true, it no longer counts."""
    world = begun()
    truth = answers(world)
    asked = [(generations(world), truth)]
    for step in steps:
        act(world, step)
        truth = truth if step[0] == "deliver" else answers(world)
        asked.append((generations(world), truth))
    world.catch_up()
    now, current = answers(world), generations(world)
    for generation, before in asked:
        for (user, namespace), rights in before.items():
            if rights != now[user, namespace]:
                assert generation[namespace] != current[namespace]


def generations(world: World) -> dict[str, int]:
    return {namespace: world.generations.generation(namespace).number for namespace in ("", *NAMESPACES)}


def answers(world: World) -> dict[tuple[str, str], frozenset[Attributes]]:
    return {
        (user.username, namespace): world.truth(user, namespace)
        for user in USERS[:3]
        for namespace in ("", *NAMESPACES)
    }
