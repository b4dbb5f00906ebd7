"""How answers about a caller are remembered: for how long, under which key, and until what changes."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, replace
from typing import Final, Generic, TypeVar

from workspace_authz.aio.cache import ExpiringCache
from workspace_authz.aio.coalesce import Coalescer
from workspace_authz.aio.statistics import Statistics
from workspace_authz.authorizer.generations import Generation, Generations
from workspace_authz.types import UserInfo

_CREDENTIAL_ID: Final = "authentication.kubernetes.io/credential-id"
"""Differs between two tokens of one user; no authorizer of Kubernetes looks at it."""

BRIEF_SECONDS: Final = 0.1
"""How long an answer is kept that the API server may have given without knowing of the last change."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long answers hold, in seconds from the moment they were asked for."""

    allow: float = 10.0
    """While changes are not followed."""
    deny: float = 5.0
    """While changes are not followed."""
    watched: float | None = 60.0
    """While changes are followed, unless one touches the answer. None where that does not tell everything:
    the answers of an authorizer beside RBAC change unseen."""
    settling: float = 5.0
    """After a change the API server's own authorizers may not have heard of it yet."""


@dataclass(frozen=True, slots=True)
class Asked(Generic[V]):
    """An answer, and the state of affairs before the question was sent."""

    answer: V
    generation: Generation
    at: float
    """When it was asked for, on the monotonic clock."""
    came: float


@dataclass(frozen=True, slots=True)
class _Kept(Generic[V]):
    answer: V
    generation: int
    at: float
    unfollowed: float
    """Its lifetime while changes are not followed."""
    at_most: float
    """Its lifetime in any case."""


class ReviewCache(Generic[K, V]):
    """Answers of one kind, kept while nothing has changed that they rest on.

    What is asked before a change is never remembered as an answer from after it. ``yes`` tells whether an
    answer gives something, and so how long it is kept while changes are not followed. Identical questions in
    flight are asked once.
    """

    def __init__(
        self,
        generations: Generations,
        *,
        yes: Callable[[V], bool],
        monotonic: Callable[[], float],
        lifetimes: Lifetimes,
        size: int,
    ) -> None:
        self._generations = generations
        self._yes = yes
        self._monotonic = monotonic
        self._lifetimes = lifetimes
        self._kept: ExpiringCache[K, _Kept[V]] = ExpiringCache(size=size, monotonic=monotonic)
        self._asking: Coalescer[tuple[K, int, str], V] = Coalescer()

    def statistics(self, name: str) -> Statistics:
        """What is counted here, under a name of its own."""
        return Statistics(caches={name: self._kept}, coalescers={name: self._asking})

    def get(self, key: K, namespace: str) -> V | None:
        """The answer, if it still holds."""
        kept = self._kept.get(key)
        if kept is None or kept.generation != self._generations.generation(namespace).number:
            return None
        since, watched = self._generations.followed_since, self._lifetimes.watched
        if watched is not None and since is not None and since <= kept.at:
            lifetime = min(watched, kept.at_most)
        else:
            lifetime = min(kept.unfollowed, kept.at_most)
        return kept.answer if self._monotonic() - kept.at < lifetime else None

    async def timed(self, namespace: str, answer: Awaitable[V]) -> Asked[V]:
        """Ask: await an answer for which nothing has been sent yet."""
        generation, at = self._generations.generation(namespace), self._monotonic()
        return Asked(await answer, generation, at, came=self._monotonic())

    async def share(
        self,
        key: K,
        namespace: str,
        ask: Callable[[], Awaitable[Asked[V]]],
        *,
        token: str,
        begun: Callable[[], Awaitable[Asked[V]] | None] = lambda: None,
    ) -> V:
        """The answer of ``ask``, kept. Who asks the same meanwhile shares it, unless something changes.

        Only with the same ``token``: nobody is told that another token of theirs has expired. ``begun`` may
        have an answer that was asked for before.
        """
        question = (key, self._generations.generation(namespace).number, token)
        return await self._asking.share(question, lambda: self._settle(key, namespace, ask, begun))

    async def _settle(
        self,
        key: K,
        namespace: str,
        ask: Callable[[], Awaitable[Asked[V]]],
        begun: Callable[[], Awaitable[Asked[V]] | None],
    ) -> V:
        asked = await (begun() or ask())
        if self._outdated(asked, namespace):
            # Once: if this one is overtaken, too, it was at least asked for after the first change.
            asked = await ask()
        if not self._overtaken(asked, namespace):
            self._keep(key, asked)
        return asked.answer

    def _outdated(self, asked: Asked[V], namespace: str) -> bool:
        """Whether it may be from before a change, and is not as young as what is served anyway."""
        now = self._monotonic()
        if self._overtaken(asked, namespace):
            return now - asked.at > BRIEF_SECONDS
        return not self._settled(asked) and now - asked.came > BRIEF_SECONDS

    def _overtaken(self, asked: Asked[V], namespace: str) -> bool:
        return asked.generation.number != self._generations.generation(namespace).number

    def _settled(self, asked: Asked[V]) -> bool:
        return asked.at - asked.generation.since >= self._lifetimes.settling

    def _keep(self, key: K, asked: Asked[V]) -> None:
        lifetimes = self._lifetimes
        unfollowed = lifetimes.allow if self._yes(asked.answer) else lifetimes.deny
        at_most = math.inf if self._settled(asked) else asked.came - asked.at + BRIEF_SECONDS
        kept = _Kept(asked.answer, asked.generation.number, asked.at, unfollowed, at_most)
        longest = min(max(lifetimes.watched or 0.0, unfollowed), at_most)
        self._kept.put(key, kept, seconds=asked.at + longest - self._monotonic())


def stable(user: UserInfo) -> UserInfo:
    """``user`` without what differs between two of their tokens."""
    if not user.extra or not any(key == _CREDENTIAL_ID for key, _ in user.extra):
        return user
    return replace(user, extra=tuple(item for item in user.extra if item[0] != _CREDENTIAL_ID))
