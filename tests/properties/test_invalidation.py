"""Whatever changes, breaks or lags, in whatever order: no answer outlives its being right for long."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Final

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.harness.fakes import run_pending
from tests.properties.lagging import (
    AUTHORIZER_SECONDS,
    LONG,
    OTHER_RULE,
    QUESTION_RULE,
    REVIEW_SECONDS,
    SUBJECT,
    TEAM,
    WATCH_SECONDS,
    Key,
    LaggingApi,
    Time,
)
from workspace_authz.authorizer.authorizer import Authorizer
from workspace_authz.authorizer.generations import Generations
from workspace_authz.authorizer.rbac.index import RbacIndex
from workspace_authz.authorizer.rbac.watcher import RbacWatcher
from workspace_authz.authorizer.review_cache import BRIEF_SECONDS, Lifetimes
from workspace_authz.authorizer.reviewers import Reviewers
from workspace_authz.kubernetes.credentials import BearerToken
from workspace_authz.types import Attributes, Caller, Outcome, Resource, UserInfo, Verb

ALICE: Final = Caller(UserInfo("alice"), BearerToken("a-token"))
QUESTION: Final = Attributes(TEAM, Verb.LIST, Resource.EXPERIMENTS)
LIFETIMES: Final = Lifetimes()

BOUND: Final = WATCH_SECONDS + BRIEF_SECONDS + AUTHORIZER_SECONDS + 2 * REVIEW_SECONDS
"""How old an answer may be while all watches are well: on its way, and lagging behind, and kept briefly."""

ROLES: Final[tuple[Key, ...]] = (("clusterroles", "", "r"), ("roles", TEAM, "r"))
BINDINGS: Final[tuple[Key, ...]] = (
    ("clusterrolebindings", "", "b"),
    ("rolebindings", TEAM, "b"),
    ("rolebindings", TEAM, "c"),
    ("rolebindings", "team-b", "b"),
)


def _binding(kind: str) -> dict[str, Any]:
    return {"roleRef": {"kind": kind, "name": "r"}, "subjects": [SUBJECT]}


RULES: Final = st.sampled_from([[QUESTION_RULE], [OTHER_RULE], []])
CHANGES: Final = st.one_of(
    st.tuples(st.just("put"), st.sampled_from(ROLES), st.builds(lambda rules: {"rules": rules}, RULES)),
    st.tuples(
        st.just("put"),
        st.sampled_from(BINDINGS),
        st.sampled_from([_binding("ClusterRole"), _binding("Role")]),
    ),
    st.tuples(st.just("remove"), st.sampled_from(ROLES + BINDINGS)),
)
FEEDS: Final = st.sampled_from(["clusterroles", "roles", "clusterrolebindings", "rolebindings"])
TROUBLED: Final = st.one_of(st.just("rolebindings"), FEEDS)
USUAL: Final = (
    CHANGES,
    st.tuples(st.just("toggle"), st.booleans()),
    st.tuples(st.just("toggle"), st.booleans()),
    st.tuples(st.just("ask")),
    st.tuples(st.just("answered")),
    st.tuples(st.just("answered")),
    st.tuples(st.just("deliver"), FEEDS),
    st.tuples(st.just("move"), st.sampled_from([0.005, 0.02, 0.05, 0.15, 0.3, 2.0, 6.0, 12.0, 59.0])),
    st.tuples(st.just("close"), FEEDS),
)
# Apart, because each kind of trouble lets answers live longer.
STEPS: Final = [
    st.lists(st.one_of(*USUAL, *(st.tuples(st.just(step), TROUBLED) for step in trouble)), max_size=40)
    for trouble in ((), ("fail", "heal"), ("silence", "heal"))
]


class Simulation:
    """The real authorizer and the real followers over the simulated API."""

    def __init__(self) -> None:
        self.time = Time()
        self.api = LaggingApi(self.time)
        generations = Generations(self.time.monotonic)
        connection: Any = self.api  # Connection is a class; this is all that is used of it
        self.follower = RbacWatcher(connection, generations=generations, index=RbacIndex(), clock=self.time)
        self.authorizer = Authorizer(
            Reviewers(self.api), generations=generations, monotonic=self.time.monotonic, lifetimes=LIFETIMES
        )
        self.asked: list[asyncio.Task[None]] = []

    async def play(self, steps: list[tuple[Any, ...]]) -> None:
        following = asyncio.create_task(self.follower.run())
        self.api.put(ROLES[0], {"rules": [QUESTION_RULE]})
        self.api.put(BINDINGS[1], _binding("ClusterRole"))
        try:
            await run_pending()
            await self.move(6.0)
            for name, *arguments in steps:
                await getattr(self, name)(*arguments)
                await run_pending()
            await self.move(1.0)
            for task in self.asked:
                await task
        finally:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following

    async def put(self, key: Key, item: dict[str, Any]) -> None:
        self.api.put(key, item)

    async def remove(self, key: Key) -> None:
        self.api.remove(key)

    async def toggle(self, at_once: bool) -> None:
        """Take away or give back what the usual binding gives, and hear of it at once or later."""
        if BINDINGS[1] in self.api.objects:
            self.api.remove(BINDINGS[1])
        else:
            self.api.put(BINDINGS[1], _binding("ClusterRole"))
        if at_once:
            await self.deliver("rolebindings")

    async def answered(self) -> None:
        """Ask, and wait for the answer."""
        await self.ask()
        await run_pending()
        self.api.move(0.001)

    async def deliver(self, feed: str) -> None:
        self.api.feeds[feed].deliver(self.time.now)

    async def close(self, feed: str) -> None:
        self.api.feeds[feed].close()

    async def fail(self, feed: str) -> None:
        self.api.feeds[feed].failing = True
        self.api.feeds[feed].close()

    async def silence(self, feed: str) -> None:
        self.api.feeds[feed].silent = True

    async def heal(self, feed: str) -> None:
        """A silent connection is noticed and made anew, a failing one answers again."""
        found = self.api.feeds[feed]
        found.failing = found.silent = False
        found.close()

    async def move(self, seconds: float) -> None:
        """In small steps first, so that nothing takes longer than it may."""
        for part in (min(seconds, REVIEW_SECONDS), *[min(seconds, WATCH_SECONDS)] * 2):
            self.api.move(part)
            await run_pending()
        if seconds > WATCH_SECONDS:
            self.api.move(seconds)

    async def ask(self) -> None:
        self.asked.append(asyncio.create_task(self._ask()))

    async def _ask(self) -> None:
        begun = self.time.now
        decision = await self.authorizer.authorize(ALICE, QUESTION)
        allowed = decision.outcome is Outcome.ALLOW
        bound = self._bound(begun)
        assert self.api.ever(allowed, since=begun - bound), (
            f"{decision.outcome} ({decision.source}) at {self.time.now:.3f}, asked {begun:.3f}, "
            f"which it was not for {bound:.2f} s: {self.api.past}"
        )

    def _bound(self, begun: float) -> float:
        since = begun - LONG
        if self.api.troubled["silent"] >= since:
            return BOUND + LONG
        if self.api.troubled["failing"] >= since:
            return BOUND + LIFETIMES.allow
        return BOUND


@settings(max_examples=300)
@given(st.one_of(STEPS))
@example([("answered",), ("toggle", True), ("answered",), ("move", 0.3), ("answered",)])
@example([("answered",), ("toggle", False), ("move", 2.0), ("answered",)])
@example([("answered",), ("fail", "rolebindings"), ("toggle", False), ("move", 12.0), ("answered",)])
@example(
    [
        ("answered",),
        ("silence", "rolebindings"),
        ("toggle", False),
        ("move", 59.0),
        ("move", 6.0),
        ("answered",),
    ]
)
def test_no_answer_is_served_longer_than_it_may(steps: list[tuple[Any, ...]]) -> None:
    asyncio.run(Simulation().play(steps))


async def test_the_simulation_sees_a_grant_and_its_end() -> None:
    """Without this the property could hold for an API that allows nothing."""
    simulation = Simulation()
    asked: list[bool] = []

    async def question() -> None:
        task = asyncio.create_task(simulation.authorizer.authorize(ALICE, QUESTION))
        await run_pending()
        await simulation.move(0.05)
        asked.append((await task).outcome is Outcome.ALLOW)

    following = asyncio.create_task(simulation.follower.run())
    await run_pending()
    await question()
    simulation.api.put(ROLES[0], {"rules": [QUESTION_RULE]})
    simulation.api.put(BINDINGS[1], _binding("ClusterRole"))
    await simulation.move(1.0)
    await question()
    await simulation.move(20.0)
    await question()
    simulation.api.remove(BINDINGS[1])
    await simulation.move(1.0)
    await question()
    following.cancel()
    assert asked == [False, True, True, False]
