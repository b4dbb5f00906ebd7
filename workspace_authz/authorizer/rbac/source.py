"""What the index of roles and bindings tells others: where a caller could hold rights, and on which names."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final

from workspace_authz.authorizer.candidates import Candidates
from workspace_authz.authorizer.generations import Generations
from workspace_authz.authorizer.rbac.index import RbacIndex
from workspace_authz.authorizer.rules import granted_names
from workspace_authz.types import Attributes, Caller, Resource, UserInfo, Verb

_SUPERUSERS: Final = "system:masters"
"""May do everything without any binding: kube-apiserver's privileged group authorizer comes before RBAC."""
_ANYTHING: Final = Attributes("", Verb.LIST, Resource.EXPERIMENTS)


@dataclass(frozen=True, slots=True)
class RbacSource:
    """A :class:`CandidateSource` and a :class:`NameSource`, as long as changes of RBAC are followed."""

    index: RbacIndex
    generations: Generations

    def of(self, user: UserInfo, namespaces: Collection[str]) -> Candidates | None:
        """See :class:`CandidateSource`."""
        if self.generations.followed_since is None:
            return None
        everywhere: dict[Attributes, None] = {}
        within: dict[str, dict[Attributes, None]] = {}
        if _SUPERUSERS in user.groups:
            everywhere[_ANYTHING] = None
        for namespace, role in self.index.granted_to(user):
            if role.witness is None:
                continue
            if not namespace:
                everywhere[role.witness] = None
            elif namespace in namespaces:
                within.setdefault(namespace, {})[replace(role.witness, namespace=namespace)] = None
        return Candidates(
            tuple(everywhere), {name: tuple(asked) for name, asked in within.items()}, namespaces
        )

    async def candidates(self, caller: Caller, broad: Attributes) -> frozenset[str] | None:
        """See :class:`NameSource`."""
        if self.generations.followed_since is None:
            return None
        roles = (
            role
            for namespace, role in self.index.granted_to(caller.user)
            if namespace in ("", broad.namespace)
        )
        return frozenset(name for role in roles for name in granted_names(role.rules, broad))
