"""RBAC of one namespace, listed as one caller: for who asks from a command line, without a server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from workspace_authz.authorizer.rbac.index import RbacIndex
from workspace_authz.authorizer.rbac.objects import RoleReader, read_binding
from workspace_authz.errors import ForbiddenError
from workspace_authz.grants.holdings import Holding, holdings_in
from workspace_authz.grants.objects import RBAC_API, Place
from workspace_authz.kubernetes.listwatch_answers import JsonObject, object_key
from workspace_authz.kubernetes.objects import Objects

_EVERYWHERE: Final = ""


@dataclass(frozen=True, slots=True)
class NamespaceRbac:
    """What the caller may see of who holds what in a namespace."""

    index: RbacIndex
    namespace: str
    assumed: bool
    """Whether the caller may not list ClusterRoles, so that only the given ones are known."""
    cluster_wide: bool
    """Whether the caller may list ClusterRoleBindings."""

    def holdings(self) -> Iterator[Holding]:
        """Those of the namespace, then those of all namespaces."""
        yield from holdings_in(self.index, self.namespace)
        yield from holdings_in(self.index, _EVERYWHERE)


async def read_namespace(
    objects: Objects, namespace: str, *, cluster_roles: Sequence[JsonObject]
) -> NamespaceRbac:
    """List what grants something in ``namespace``.

    ``cluster_roles`` are taken as they are where the caller may list none: few may. Raises what
    :class:`~workspace_authz.kubernetes.objects.Objects` raises where the caller may not list RoleBindings or
    Roles.
    """
    bindings, roles, wide_roles, wide_bindings = await asyncio.gather(
        objects.list(Place("RoleBinding", namespace).path),
        objects.list(Place("Role", namespace).path),
        _if_allowed(objects, "clusterroles"),
        _if_allowed(objects, "clusterrolebindings"),
    )
    index, reader = RbacIndex(), RoleReader()
    for item in (*roles, *(cluster_roles if wide_roles is None else wide_roles)):
        index.put_role(object_key(item), reader(item))
    for item in (*bindings, *(wide_bindings or ())):
        index.put_binding(object_key(item), old=None, new=read_binding(item))
    return NamespaceRbac(index, namespace, assumed=wide_roles is None, cluster_wide=wide_bindings is not None)


async def _if_allowed(objects: Objects, plural: str) -> Sequence[JsonObject] | None:
    """Everything of one kind; None where the caller may not list it."""
    try:
        return await objects.list(f"{RBAC_API}/{plural}")
    except ForbiddenError:
        return None
