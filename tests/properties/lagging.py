"""A simulated API server whose watches and authorizers lag behind, in a time that only a test moves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from workspace_authz.kubernetes.access_reviews import Target
from workspace_authz.kubernetes.reviews import AccessAnswer, RulesAnswer
from workspace_authz.types import Attributes, UserInfo

WATCH_SECONDS: Final = 0.2
"""The longest that an event is on its way, while the watch is well."""
AUTHORIZER_SECONDS: Final = 0.01
"""How far the authorizers behind reviews are behind."""
REVIEW_SECONDS: Final = 0.05
"""The longest that a review's answer is on its way."""
LONG: Final = 61.0
"""No decision lives longer."""

API: Final = "/apis/rbac.authorization.k8s.io/v1"
TEAM: Final = "team-a"
QUESTION_RULE: Final = {"apiGroups": ["mlflow.kubeflow.org"], "resources": ["experiments"], "verbs": ["list"]}
OTHER_RULE: Final = {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}
SUBJECT: Final = {"kind": "User", "name": "alice"}

Key = tuple[str, str, str]
"""Resource, namespace and name."""


class Time:
    """A clock whose sleepers wake as a test moves it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        event = asyncio.Event()
        self._sleepers.append((self.now + seconds, event))
        await event.wait()

    def move(self, seconds: float) -> None:
        self.now += seconds
        for wake, event in self._sleepers:
            if wake <= self.now:
                event.set()
        self._sleepers = [sleeper for sleeper in self._sleepers if not sleeper[1].is_set()]


@dataclass(slots=True)
class Feed:
    """The events of one resource: what has happened, and how much of it is on the wire."""

    log: list[tuple[float, bytes]] = field(default_factory=list)
    arrived: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)
    silent: bool = False
    failing: bool = False
    closings: int = 0

    def wake(self) -> None:
        self.news.set()
        self.news = asyncio.Event()

    def deliver(self, before: float) -> None:
        """Let every event that happened until ``before`` arrive."""
        if self.silent:
            return
        while self.arrived < len(self.log) and self.log[self.arrived][0] <= before:
            self.arrived += 1
        self.wake()

    def close(self) -> None:
        self.closings += 1
        self.wake()


@dataclass(slots=True)
class Response:
    """What listwatch reads of an aiohttp response."""

    status: int
    body: bytes = b""
    feed: Feed | None = None
    position: int = 0
    opened: int = 0

    @property
    def content(self) -> Response:
        return self

    async def read(self) -> bytes:
        return self.body

    async def readline(self) -> bytes:
        assert self.feed is not None
        while self.opened == self.feed.closings and self.position >= self.feed.arrived:
            await self.feed.news.wait()
        if self.opened != self.feed.closings:
            return b""
        self.position += 1
        return self.feed.log[self.position - 1][1]


class LaggingApi:
    """The objects, their past, and whether they allow the one question that is asked."""

    def __init__(self, time: Time) -> None:
        self.time = time
        self.feeds = {
            name: Feed() for name in ("clusterroles", "roles", "clusterrolebindings", "rolebindings")
        }
        self.objects: dict[Key, dict[str, Any]] = {}
        self.past: list[tuple[float, bool]] = [(0.0, False)]
        """When the answer became what it is."""
        self.troubled = {"silent": 0.0, "failing": 0.0}
        """When watches were last known to be in that state."""
        self._answers: list[asyncio.Event] = []

    # What an administrator does.

    def put(self, key: Key, item: dict[str, Any]) -> None:
        kind, namespace, name = key
        version = str(sum(len(feed.log) for feed in self.feeds.values()) + 1)
        metadata = {"name": name, "resourceVersion": version} | (
            {"namespace": namespace} if namespace else {}
        )
        event = "MODIFIED" if key in self.objects else "ADDED"
        self.objects[key] = {**item, "metadata": metadata}
        self._happened(kind, event, item=self.objects[key])

    def remove(self, key: Key) -> None:
        item = self.objects.pop(key, None)
        if item is not None:
            self._happened(key[0], "DELETED", item=item)

    def _happened(self, kind: str, event: str, *, item: dict[str, Any]) -> None:
        feed = self.feeds[kind]
        item["metadata"]["resourceVersion"] = str(len(feed.log) + 1)
        line = json.dumps({"type": event, "object": item}).encode() + b"\n"
        feed.log.append((self.time.now, line))
        self.past.append((self.time.now, self._allows()))

    def _allows(self) -> bool:
        for (kind, namespace, _), binding in self.objects.items():
            if kind.endswith("bindings") and namespace in ("", TEAM) and SUBJECT in binding["subjects"]:
                reference = binding["roleRef"]
                cluster = reference["kind"] == "ClusterRole"
                role: Key = (
                    ("clusterroles", "", reference["name"])
                    if cluster
                    else ("roles", namespace, reference["name"])
                )
                if QUESTION_RULE in self.objects.get(role, {"rules": []})["rules"]:
                    return True
        return False

    def ever(self, answer: bool, *, since: float) -> bool:
        """Whether ``answer`` was right at some moment from ``since`` until now."""
        at_since = [allowed for moment, allowed in self.past if moment <= since][-1]
        return answer == at_since or any(allowed == answer for moment, allowed in self.past if moment > since)

    # Time.

    def move(self, seconds: float) -> None:
        """Move the clock. What is overdue arrives."""
        self.time.move(seconds)
        for feed in self.feeds.values():
            feed.deliver(self.time.now - WATCH_SECONDS)
        for state in self.troubled:
            if any(getattr(feed, state) for feed in self.feeds.values()):
                self.troubled[state] = self.time.now
        for event in self._answers:
            event.set()
        self._answers.clear()

    # What the server sees: Connection and Reviews.

    @asynccontextmanager
    async def request(
        self, method: str, path: str, *, query: Mapping[str, str], timeout: object
    ) -> AsyncIterator[Response]:
        kind = path.rpartition("/")[2]
        feed = self.feeds[kind]
        if feed.failing:
            yield Response(500)
        elif query.get("watch"):
            yield Response(200, feed=feed, position=int(query["resourceVersion"]), opened=feed.closings)
        else:
            items = [item for key, item in self.objects.items() if key[0] == kind]
            document = {"kind": "List", "metadata": {"resourceVersion": str(len(feed.log))}, "items": items}
            yield Response(200, body=json.dumps(document).encode())

    async def who(self, token: str) -> UserInfo:
        raise AssertionError("nobody asks")

    async def may(self, token: str, attributes: Attributes) -> AccessAnswer:
        """As of a moment ago, and a moment later on its way."""
        moment = self.time.now - AUTHORIZER_SECONDS
        allowed = [allowed for since, allowed in self.past if since <= moment][-1]
        released = asyncio.Event()
        self._answers.append(released)
        await released.wait()
        return AccessAnswer(allowed=allowed)

    async def rules(self, token: str, namespace: str) -> RulesAnswer:
        raise AssertionError("nobody asks")

    async def may_do(self, token: str, target: Target) -> AccessAnswer:
        raise AssertionError("nobody asks")
