"""How answers about a caller are cached: for how long, under which key, and until what changes."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Hashable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Final, Generic, Protocol, TypeVar

from workspace_authz.aio.cache import ExpiringCache
from workspace_authz.aio.coalesce import Coalescer
from workspace_authz.aio.statistics import Statistics
from workspace_authz.authorizer.generations import Generation, Generations
from workspace_authz.authorizer.prefetch import Prefetcher
from workspace_authz.types import Caller, Credential, UserInfo

_CREDENTIAL_ID: Final = "authentication.kubernetes.io/credential-id"
"""Differs between two tokens of one user; no authorizer of Kubernetes looks at it."""

BRIEF_SECONDS: Final = 0.1
"""How long an answer is kept that the API server may have given without knowing of the last change."""


class Question(Hashable, Protocol):
    """What is asked about a caller."""

    @property
    def namespace(self) -> str:
        """Where; empty asks for all namespaces."""


Q = TypeVar("Q", bound=Question)
A = TypeVar("A")


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
    propagation: float = 5.0
    """How long after a change the API server's own authorizers may not have heard of it yet."""


@dataclass(frozen=True, slots=True)
class Ask(Generic[Q, A]):
    """How one kind of question is asked."""

    verified: Callable[[Caller, Q], Awaitable[A]]
    unverified: Callable[[Credential, Q], Awaitable[A]]
    """Asks with a credential whose owner is not known yet."""
    grants: Callable[[A], bool]
    """Whether an answer grants something. That selects its lifetime while changes are not followed."""


@dataclass(frozen=True, slots=True)
class Asked(Generic[A]):
    """An answer, and the state of affairs before the question was sent."""

    answer: A
    generation: Generation
    at: float
    """When it was asked for, on the monotonic clock."""
    came: float


@dataclass(frozen=True, slots=True)
class _Entry(Generic[A]):
    answer: A
    generation: int
    at: float
    unfollowed: float
    """Its lifetime while changes are not followed."""
    at_most: float
    """Its lifetime in any case."""


class ReviewCache(Generic[Q, A]):
    """Answers to one kind of question, each kept while nothing has changed that it depends on.

    An answer that was asked for before a change is never kept as one from after it. Identical questions in
    flight are asked once. Errors are raised and never kept.

    The key is the user (name, uid, groups, and extra without the credential id), the question, and the
    generation. It does not hold the credential, nor its kind: Kubernetes' authorizers see exactly these parts
    of the user, so that two credentials of one user have the same rights, be it asked with the user's token
    or, by the server, about the user's name.
    """

    def __init__(
        self,
        ask: Ask[Q, A],
        *,
        generations: Generations,
        lifetimes: Lifetimes,
        monotonic: Callable[[], float],
        size: int,
    ) -> None:
        self._ask = ask
        self._generations = generations
        self._lifetimes = lifetimes
        self._monotonic = monotonic
        self._entries: ExpiringCache[tuple[UserInfo, Q], _Entry[A]] = ExpiringCache(
            size=size, monotonic=monotonic
        )
        self._asking: Coalescer[tuple[UserInfo, Q, int, Credential], A] = Coalescer()
        self._prefetched: Prefetcher[Q, Asked[A]] = Prefetcher(
            lambda credential, question: self.timed(question.namespace, ask.unverified(credential, question))
        )

    def statistics(self, name: str) -> Statistics:
        """The cache and the shared questions, under ``name``."""
        return Statistics(caches={name: self._entries}, coalescers={name: self._asking})

    def get(self, user: UserInfo, question: Q) -> A | None:
        """The answer in the cache, if it still holds."""
        entry = self._entries.get((stable(user), question))
        if entry is None or entry.generation != self._generations.generation(question.namespace).number:
            return None
        since, watched = self._generations.followed_since, self._lifetimes.watched
        if watched is not None and since is not None and since <= entry.at:
            lifetime = min(watched, entry.at_most)
        else:
            lifetime = min(entry.unfollowed, entry.at_most)
        return entry.answer if self._monotonic() - entry.at < lifetime else None

    def prefetch(self, credential: Credential, question: Q) -> AbstractContextManager[None]:
        """Ask with a credential whose owner is not known yet. Within the block :meth:`review` joins it."""
        return self._prefetched.asking(credential, question)

    async def review(self, caller: Caller, question: Q) -> A:
        """The API server's answer, which is kept. Who asks the same meanwhile shares it, unless something
        changes.

        Only callers with the same credential share a question in flight: an expired token must not answer
        for another token of the same user.
        """
        user = stable(caller.user)
        number = self._generations.generation(question.namespace).number
        return await self._asking.share(
            (user, question, number, caller.credential), lambda: self._review(caller, question, user=user)
        )

    async def timed(self, namespace: str, answer: Awaitable[A]) -> Asked[A]:
        """Await an answer for which nothing has been sent yet, and note when it was asked for."""
        generation, at = self._generations.generation(namespace), self._monotonic()
        return Asked(await answer, generation, at, came=self._monotonic())

    async def _review(self, caller: Caller, question: Q, *, user: UserInfo) -> A:
        namespace = question.namespace
        prefetched = self._prefetched.join(caller.credential, question)
        asked = await (prefetched or self.timed(namespace, self._ask.verified(caller, question)))
        if self._outdated(asked, namespace):
            # Once: if this answer is outdated, too, it was at least asked for after the first change.
            asked = await self.timed(namespace, self._ask.verified(caller, question))
        if not self._changed_since(asked, namespace):
            self._keep((user, question), asked)
        return asked.answer

    def _outdated(self, asked: Asked[A], namespace: str) -> bool:
        """Whether it may be from before a change, and is older than what the cache would serve."""
        now = self._monotonic()
        if self._changed_since(asked, namespace):
            return now - asked.at > BRIEF_SECONDS
        return not self._propagated(asked) and now - asked.came > BRIEF_SECONDS

    def _changed_since(self, asked: Asked[A], namespace: str) -> bool:
        return asked.generation.number != self._generations.generation(namespace).number

    def _propagated(self, asked: Asked[A]) -> bool:
        """Whether the API server's authorizers had heard of the last change when it was asked for."""
        return asked.at - asked.generation.since >= self._lifetimes.propagation

    def _keep(self, key: tuple[UserInfo, Q], asked: Asked[A]) -> None:
        lifetimes = self._lifetimes
        unfollowed = lifetimes.allow if self._ask.grants(asked.answer) else lifetimes.deny
        at_most = math.inf if self._propagated(asked) else asked.came - asked.at + BRIEF_SECONDS
        entry = _Entry(asked.answer, asked.generation.number, asked.at, unfollowed, at_most)
        longest = min(max(lifetimes.watched or 0.0, unfollowed), at_most)
        self._entries.put(key, entry, seconds=asked.at + longest - self._monotonic())


def stable(user: UserInfo) -> UserInfo:
    """``user`` without what differs between two of their tokens."""
    if not user.extra or not any(key == _CREDENTIAL_ID for key, _ in user.extra):
        return user
    return replace(user, extra=tuple(item for item in user.extra if item[0] != _CREDENTIAL_ID))
