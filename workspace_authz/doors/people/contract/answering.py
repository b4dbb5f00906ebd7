"""What several routes of the contract need: what the caller may read, and how it is written as JSON."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workspace_authz.doors.people.changing import cannot_list, rbac_at_hand
from workspace_authz.doors.people.contract.documents import Documents, to_look_up
from workspace_authz.doors.people.visible import (
    callers_rights,
    ids_by_name,
    namespace_of,
    visible_namespaces,
    workspace_of,
)
from workspace_authz.doors.visits import Visit
from workspace_authz.errors import ForbiddenError, MissingError
from workspace_authz.grants.ids import numbered
from workspace_authz.grants.mlflow_roles import MlflowRole, Overview
from workspace_authz.grants.subjects import Subject
from workspace_authz.types import Caller


@dataclass(frozen=True, slots=True)
class Readable:
    """What one caller may read of who holds what."""

    overview: Overview

    async def roles(self) -> Sequence[MlflowRole]:
        """See :meth:`Overview.roles`. A thread reads them, so that others are served meanwhile."""
        return await asyncio.to_thread(self.overview.roles)

    async def users(self) -> Mapping[Subject, Sequence[MlflowRole]]:
        """See :meth:`Overview.users`. In a thread, too."""
        return await asyncio.to_thread(self.overview.users)

    async def role(self, number: int) -> MlflowRole:
        """The role with this id. Raises :class:`MissingError`."""
        return numbered(await self.roles(), number, what="role in a namespace that you may read")

    async def roles_of(self, subject: Subject) -> Sequence[MlflowRole]:
        """The roles of a subject, by the bindings that name it."""
        return (await self.users()).get(subject, ())


async def readable(visit: Visit, caller: Caller, *, workspaces: Sequence[str] = ()) -> Readable:
    """What the caller may read of ``workspaces``; without any, of all of theirs.

    Kubernetes is asked whether they may list RoleBindings there, and ClusterRoleBindings. Raises
    :class:`ForbiddenError` where they may read none of the workspaces that they named.
    """
    people, rights = rbac_at_hand(visit), callers_rights(visit.runtime)
    asked = [namespace_of(visit, each) for each in dict.fromkeys(workspaces)]
    namespaces = asked or await visible_namespaces(visit, caller)
    listed = await rights.listing(caller, namespaces)
    if asked and not listed:
        raise ForbiddenError(
            f"{cannot_list(caller, asked[0])}, so who holds what there is not shown. Administrators of a "
            "namespace may: kubectl create rolebinding NAME --clusterrole=admin --user=USER "
            f"-n {asked[0]}"
        )
    cluster_wide = await rights.lists_cluster_wide(caller)
    kept = tuple(name for name in namespaces if name in listed)
    return Readable(Overview(people.index, kept, cluster_wide=cluster_wide))


async def documents_for(visit: Visit, roles: Sequence[MlflowRole]) -> Documents:
    """Writes ``roles``. Raises ``UnavailableError``."""
    single = visit.runtime.pipeline.rule.single
    return Documents(
        await ids_by_name(visit.runtime, to_look_up(roles)),
        single=single,
        single_workspace=workspace_of(visit.runtime, single) if single is not None else "",
    )


def missing_user(text: str) -> MissingError:
    """Nobody by this name."""
    return MissingError(f"No binding that you may list names {text}.")
