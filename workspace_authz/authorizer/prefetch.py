"""Reviews that are asked before it is known who the caller is: both answers take one round trip."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from workspace_authz.types import Credential

Q = TypeVar("Q", bound=Hashable)
A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class AnyRightIn:
    """The question for any MLflow right in a namespace, beside that for a certain one (``Attributes``)."""

    namespace: str


@dataclass(slots=True)
class _Question(Generic[A]):
    answer: asyncio.Task[A]
    waiting: int = 0
    """Requests that may still want the answer."""


class Prefetcher(Generic[Q, A]):
    """Each question of a credential is asked once, and kept only while a request that asked it is served.

    An answer belongs to a credential, not to a user. It becomes a decision only when the user is known and
    :meth:`join` is called for them.
    """

    def __init__(self, ask: Callable[[Credential, Q], Coroutine[Any, Any, A]]) -> None:
        self._ask = ask
        self._questions: dict[tuple[Credential, Q], _Question[A]] = {}

    @contextmanager
    def asking(self, credential: Credential, asked: Q) -> Iterator[None]:
        """Ask now. Within the block :meth:`join` has the answer."""
        key = (credential, asked)
        question = self._questions.get(key)
        if question is None:
            task = asyncio.get_running_loop().create_task(self._ask(credential, asked))
            task.add_done_callback(_mark_seen)
            question = self._questions[key] = _Question(task)
        question.waiting += 1
        try:
            yield
        finally:
            question.waiting -= 1
            if not question.waiting:
                # The task is not cancelled: that would cost its connection.
                del self._questions[key]

    def join(self, credential: Credential, asked: Q) -> asyncio.Future[A] | None:
        """The answer to come, or its exception; None when nobody has asked. May be cancelled safely."""
        question = self._questions.get((credential, asked))
        return None if question is None else asyncio.shield(question.answer)


def _mark_seen(task: asyncio.Task[A]) -> None:
    """Mark the exception as seen: when the credential was rejected, nobody joins."""
    if not task.cancelled():
        task.exception()
