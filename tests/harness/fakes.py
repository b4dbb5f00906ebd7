"""Stand-ins at the seams where faults must be caused or seen: the clock, the reviews, the audit trail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from workspace_authz.kubernetes.access_reviews import Target
from workspace_authz.kubernetes.reviews import AccessAnswer, RulesAnswer
from workspace_authz.types import Attributes, UserInfo

T = TypeVar("T")

YES = AccessAnswer(allowed=True)
NO = AccessAnswer(allowed=False)
NO_RULES = RulesAnswer(rules=(), incomplete=False)


class ManualClock:
    """A clock that only a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds

    def time(self) -> float:
        return self.now + 1_700_000_000

    async def sleep(self, seconds: float) -> None:
        """Whoever waits moves the clock."""
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


class _Scripted:
    """Answers as a test says and writes down every question.

    ``hold()`` makes questions wait until ``release()``, so that a test can look at what is in flight.
    """

    def __init__(self) -> None:
        self.may_answer: AccessAnswer | Exception | Callable[[Attributes], AccessAnswer] = YES
        self.get_answer: AccessAnswer | Exception | Callable[[Target], AccessAnswer] = YES
        self.targets: list[Target] = []
        self.questions: list[Attributes] = []
        self._gate = asyncio.Event()
        self._gate.set()

    def hold(self) -> None:
        self._gate.clear()

    def release(self) -> None:
        self._gate.set()

    async def _may(self, attributes: Attributes) -> AccessAnswer:
        self.questions.append(attributes)
        await self._gate.wait()
        answer = self.may_answer
        return _given(answer(attributes) if callable(answer) else answer)

    async def _may_do(self, target: Target) -> AccessAnswer:
        self.targets.append(target)
        await self._gate.wait()
        answer = self.get_answer
        return _given(answer(target) if callable(answer) else answer)


class ScriptedReviews(_Scripted):
    """Reviews of the caller's own token."""

    def __init__(self) -> None:
        super().__init__()
        self.who_answer: UserInfo | Exception = UserInfo("alice", groups=("system:authenticated",))
        self.rules_answer: RulesAnswer | Exception = NO_RULES
        self.tokens: list[str] = []
        self.namespaces: list[str] = []

    async def who(self, token: str) -> UserInfo:
        self.tokens.append(token)
        await self._gate.wait()
        return _given(self.who_answer)

    async def may(self, token: str, attributes: Attributes) -> AccessAnswer:
        self.tokens.append(token)
        return await self._may(attributes)

    async def may_do(self, token: str, target: Target) -> AccessAnswer:
        self.tokens.append(token)
        return await self._may_do(target)

    async def rules(self, token: str, namespace: str) -> RulesAnswer:
        self.tokens.append(token)
        self.namespaces.append(namespace)
        await self._gate.wait()
        return _given(self.rules_answer)


class ScriptedTokenReviews:
    """TokenReviews, asked with the server's own account."""

    def __init__(self) -> None:
        self.answer: UserInfo | Exception = UserInfo("alice", groups=("system:authenticated",))
        self.tokens: list[str] = []

    async def who(self, token: str) -> UserInfo:
        self.tokens.append(token)
        await asyncio.sleep(0)
        return _given(self.answer)


class ScriptedSubjectReviews(_Scripted):
    """Reviews about a user, asked with the server's own account."""

    def __init__(self) -> None:
        super().__init__()
        self.users: list[UserInfo] = []

    async def may(self, user: UserInfo, attributes: Attributes) -> AccessAnswer:
        self.users.append(user)
        return await self._may(attributes)

    async def may_do(self, user: UserInfo, target: Target) -> AccessAnswer:
        self.users.append(user)
        return await self._may_do(target)


def _given(answer: T | Exception) -> T:
    if isinstance(answer, Exception):
        raise answer
    return answer


async def run_pending() -> None:
    """Let every task that can run do so."""
    for _ in range(10):
        await asyncio.sleep(0)


@dataclass
class Records:
    """An audit sink that keeps records."""

    kept: list[Mapping[str, Any]] = field(default_factory=list)
    dropped: int = 0

    def write(self, record: Mapping[str, Any]) -> None:
        self.kept.append(record)

    def close(self) -> None:
        return
