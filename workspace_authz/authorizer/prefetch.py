"""Questions asked before it is known whose the token is: both answers take one round trip."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

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
    """Each question of a token is asked once and kept only while a request that asked it is being judged.

    An answer belongs to a token, not to a user: it is no decision before somebody knows the user and joins.
    """

    def __init__(self, ask: Callable[[str, Q], Coroutine[Any, Any, A]]) -> None:
        self._ask = ask
        self._questions: dict[tuple[str, Q], _Question[A]] = {}

    @contextmanager
    def asking(self, token: str, asked: Q) -> Iterator[None]:
        """Ask now; within the block :meth:`join` has the answer."""
        key = (token, asked)
        question = self._questions.get(key)
        if question is None:
            task = asyncio.get_running_loop().create_task(self._ask(token, asked))
            task.add_done_callback(_seen)
            question = self._questions[key] = _Question(task)
        question.waiting += 1
        try:
            yield
        finally:
            question.waiting -= 1
            if not question.waiting:
                # It ends by itself: to cut it off would cost its connection.
                del self._questions[key]

    def join(self, token: str, asked: Q) -> asyncio.Future[A] | None:
        """The answer to come, or the exception; None when nobody has asked. Cancelling it hurts nobody."""
        question = self._questions.get((token, asked))
        return None if question is None else asyncio.shield(question.answer)


def _seen(task: asyncio.Task[A]) -> None:
    """Mark the exception as seen: the token may have been rejected, and then nobody joins."""
    if not task.cancelled():
        task.exception()
