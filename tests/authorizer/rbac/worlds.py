"""A cluster's RBAC in the embedded engine's store, and a copy of it that follows, resource by resource."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from tests.harness.fakes import ManualClock
from workspace_authz.authorizer.generations import Generations
from workspace_authz.authorizer.rbac.changes import RbacChanges
from workspace_authz.authorizer.rbac.index import RbacIndex
from workspace_authz.authorizer.rbac.objects import RoleReader, read_binding
from workspace_authz.authorizer.rbac.source import RbacSource
from workspace_authz.authorizer.rules import every_question
from workspace_authz.devplane.embedded.aggregation import aggregate_cluster_roles
from workspace_authz.devplane.embedded.policy import AccessAttributes
from workspace_authz.devplane.embedded.rbac import RbacAuthorizer
from workspace_authz.devplane.embedded.store import Event, EventType, Store
from workspace_authz.kubernetes.informer_state import Change
from workspace_authz.kubernetes.listwatch_answers import object_key
from workspace_authz.types import API_GROUP, Attributes, Resource, UserInfo, Verb

NAMESPACES = ("a", "b")
NAMES = ("", "x", "y")
USERS = (
    UserInfo("alice", groups=("devs", "system:authenticated")),
    UserInfo("bob", groups=("system:authenticated",)),
    UserInfo("system:serviceaccount:a:robot", groups=("system:serviceaccounts", "system:serviceaccounts:a")),
    UserInfo("root", groups=("system:masters",)),
)
_VERBS = (Verb.LIST, Verb.CREATE)
_RESOURCES = (Resource.EXPERIMENTS, Resource.GATEWAY_ENDPOINTS)
KINDS = {
    "Role": "roles",
    "ClusterRole": "clusterroles",
    "RoleBinding": "rolebindings",
    "ClusterRoleBinding": "clusterrolebindings",
}


@dataclass(slots=True)
class World:
    """The cluster, asked by the dev plane's own plain evaluation of RBAC, and our copy."""

    store: Store = field(default_factory=Store)
    clock: ManualClock = field(default_factory=ManualClock)
    generations: Generations = field(init=False)
    index: RbacIndex = field(default_factory=RbacIndex)
    _known: dict[tuple[str, tuple[str, str]], Any] = field(default_factory=dict)
    _seen: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS.values(), 0))
    _read_role: RoleReader = field(default_factory=RoleReader)

    def __post_init__(self) -> None:
        self.generations = Generations(self.clock.monotonic)
        self.generations.followed_since = self.clock.now

    @property
    def source(self) -> RbacSource:
        return RbacSource(self.index, self.generations)

    def put(self, kind: str, item: dict[str, Any]) -> None:
        """Create or replace an object, as an administrator."""
        self.store.put(KINDS[kind], item)
        aggregate_cluster_roles(self.store)

    def remove(self, number: int) -> None:
        """Delete one of the objects that are there."""
        there = [(kind, item) for kind in KINDS.values() for item in self.store.list(kind)]
        if there:
            kind, item = there[number % len(there)]
            namespace, name = object_key(item)
            self.store.remove(kind, namespace, name=name)
            aggregate_cluster_roles(self.store)

    def deliver(self, resource: str) -> bool:
        """The next event of one watch. False when there is none."""
        events = self.store.since(resource, self._seen[resource])
        if not events:
            return False
        self._seen[resource] = events[0].version
        self._take(resource, events[0])
        return True

    def catch_up(self) -> None:
        """Every event of every watch."""
        for resource in KINDS.values():
            while self.deliver(resource):
                continue

    def _take(self, resource: str, event: Event) -> None:
        key = object_key(event.object)
        read = self._read_role if resource.endswith("roles") else read_binding
        new = None if event.type is EventType.DELETED else read(event.object)
        old = self._known.get((resource, key))
        self._known[resource, key] = new
        if old == new:
            return
        changes = RbacChanges(self.index, self.generations)
        take: Any = changes.of_roles if resource.endswith("roles") else changes.of_bindings
        take([Change(key, old, new)])

    def allowed(self, user: UserInfo, question: Attributes) -> bool:
        """What the dev plane's RBAC says at this moment."""
        asked = AccessAttributes(
            verb=str(question.verb),
            group=API_GROUP,
            resource=str(question.resource),
            subresource=question.subresource,
            namespace=question.namespace,
            name=question.name,
        )
        return RbacAuthorizer(self.store).authorize(user, asked).allowed

    def truth(self, user: UserInfo, namespace: str) -> frozenset[Attributes]:
        """Everything that ``user`` may do in ``namespace``."""
        return frozenset(question for question in questions(namespace) if self.allowed(user, question))


def questions(namespace: str) -> Iterator[Attributes]:
    """Rights of every kind that worlds are made of: on everything, on an object of a role, and on another."""
    for broad in every_question(namespace):
        if broad.verb in _VERBS and broad.resource in _RESOURCES:
            for name in NAMES:
                yield replace(broad, name=name)
