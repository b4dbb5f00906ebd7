"""Changes of RBAC that people make at the door, with their own token."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from workspace_authz.authorizer.rbac.index import RbacIndex
from workspace_authz.doors.people.visible import callers_rights
from workspace_authz.doors.visits import Visit
from workspace_authz.errors import ForbiddenError, UnavailableError
from workspace_authz.grants.holdings import Holding, holdings_of
from workspace_authz.grants.levels import level_on
from workspace_authz.grants.objects import ObjectGrant, RoleRef
from workspace_authz.grants.subjects import Subject
from workspace_authz.grants.writing import GrantWriter
from workspace_authz.runtime.people import People
from workspace_authz.types import Caller, Resource

_LOOK_SECONDS: Final = 0.01
_MOST_LOOKS: Final = 200

_NOT_FOLLOWED: Final = (
    "Roles and bindings are not followed at the moment, so nobody can say who holds what; try again. "
    "An administrator finds the reason with `workspace-authz check`."
)
_BY_YOURSELF: Final = (
    "You are signed in by what the Kubernetes API does not accept as yours, so this server cannot change "
    "anything in your name. Do it with your own access to the cluster: {line}"
)


@dataclass(frozen=True, slots=True)
class NamespaceWriter:
    """Writes in one namespace as one caller, and waits until this worker has seen what was written.

    All methods raise as those of :class:`GrantWriter`.
    """

    namespace: str
    grants: GrantWriter
    index: RbacIndex

    async def give_object(self, subject: Subject, grant: ObjectGrant) -> None:
        """Give a level on one object in place of any that was given on it before."""
        wanted = grant.possible
        await self.grants.grant_object(subject, self.namespace, grant=wanted)
        await seen(lambda: self._has_object(subject, wanted))

    async def take_object(self, subject: Subject, *, resource: Resource, name: str) -> None:
        """Take back every level that was given on one object."""
        await self.grants.revoke_object(subject, self.namespace, resource=resource, name=name)
        await seen(lambda: not self._names_object(subject, resource=resource, name=name))

    async def give_role(self, subject: Subject, role: RoleRef) -> None:
        """Give a role."""
        await self.grants.grant_role(subject, self.namespace, role=role)
        await seen(lambda: self._has_role(subject, role))

    async def take_role(self, subject: Subject, role: RoleRef) -> None:
        """Take a role back."""
        await self.grants.revoke_role(subject, self.namespace, role=role)
        await seen(lambda: not self._has_role(subject, role))

    def _given(self, subject: Subject) -> Iterator[Holding]:
        """What this software has given to the subject."""
        for holding in holdings_of(self.index, subject):
            if holding.managed and holding.binding_namespace == self.namespace:
                yield holding

    def _has_object(self, subject: Subject, grant: ObjectGrant) -> bool:
        return any(
            holding.is_direct and level_on(holding.role.rules, grant.resource, name=grant.name) is grant.level
            for holding in self._given(subject)
        )

    def _names_object(self, subject: Subject, *, resource: Resource, name: str) -> bool:
        return any(
            holding.is_direct and level_on(holding.role.rules, resource, name=name) is not None
            for holding in self._given(subject)
        )

    def _has_role(self, subject: Subject, role: RoleRef) -> bool:
        return any(
            (holding.role_name, bool(holding.role_namespace)) == (role.name, role.kind == "Role")
            for holding in self._given(subject)
        )


def rbac_at_hand(visit: Visit) -> People:
    """Who holds what. Raises :class:`UnavailableError` while that is not known."""
    people = visit.runtime.people
    if people is None or not people.follows_rbac:
        raise UnavailableError(_NOT_FOLLOWED)
    return people


def cannot_list(caller: Caller, namespace: str) -> str:
    """What the caller may not, as the beginning of a sentence in the API server's words."""
    return (
        f'User "{caller.user.username}" cannot list resource "rolebindings" in API group '
        f'"rbac.authorization.k8s.io" in the namespace "{namespace}"'
    )


def can_write(visit: Visit, caller: Caller) -> bool:
    """Whether this server can write in the caller's name: mostly with a token of theirs for the cluster."""
    people = visit.runtime.people
    try:
        return people is not None and people.granting(caller) is not None
    except ForbiddenError:
        return False


async def namespace_writer(
    visit: Visit, caller: Caller, *, namespace: str, change: str, line: str
) -> NamespaceWriter:
    """Writes as the caller. ``change`` says what, for the audit record; ``line`` is the command for it.

    Whether they may write is for the API server. That they may list RoleBindings is asked before, so that
    nobody else learns from the answer what there is. Raises :class:`ForbiddenError`.
    """
    visit.own.changes(namespace, change)
    people = rbac_at_hand(visit)
    objects = people.granting(caller)
    if objects is None:
        raise ForbiddenError(_BY_YOURSELF.format(line=line))
    if not await callers_rights(visit.runtime).lists_in(caller, namespace):
        raise ForbiddenError(
            f"{cannot_list(caller, namespace)}, so they cannot change them here. Who may: {line}"
        )
    return NamespaceWriter(namespace, GrantWriter(objects), people.index)


async def seen(condition: Callable[[], bool]) -> None:
    """Wait until this worker's own watch has reported a change, so that the next page shows it.

    Other workers hear of it at the same time. Gives up after two seconds: the change is made in any case.
    """
    for _ in range(_MOST_LOOKS):
        if condition():
            return
        await asyncio.sleep(_LOOK_SECONDS)
