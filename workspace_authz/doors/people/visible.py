"""In which namespaces a request about people looks, and how MLflow names them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from workspace_authz.aio.fan_out import fan_out
from workspace_authz.doors.visits import Visit
from workspace_authz.errors import BadRequestError
from workspace_authz.grants.callers import MOST_WORKSPACES, CallersRights
from workspace_authz.mlflow_adapter.store.tables import DEFAULT_WORKSPACE
from workspace_authz.runtime.runtime import Runtime
from workspace_authz.types import Caller, Resource, is_namespace_name

_CONCURRENT_LOOKUPS: Final = 4
_MOST_NAMES: Final = 1_000
"""Of one resource in one workspace that are looked up. Further ones are shown by name."""


def callers_rights(runtime: Runtime) -> CallersRights:
    """Asks what callers may do themselves."""
    people = runtime.people
    index = people.index if people is not None and people.rbac_only and people.follows_rbac else None
    return CallersRights(runtime.pipeline.authorizer, index)


async def visible_namespaces(visit: Visit, caller: Caller) -> Sequence[str]:
    """Namespaces in which the caller holds some MLflow right: the one of the request first, then by name.

    Raises as ``Authorizer.authorize``.
    """
    pipeline = visit.runtime.pipeline
    if pipeline.rule.single is not None:
        return (pipeline.rule.single,)
    known = pipeline.workspaces.names() if pipeline.workspaces is not None else ()
    names = await pipeline.authorizer.namespaces_with_rights(caller, known)
    return sorted(names, key=lambda name: (name != visit.workspace, name))[:MOST_WORKSPACES]


def namespace_of(visit: Visit, workspace: str) -> str:
    """The namespace of a workspace that a request names. Raises :class:`BadRequestError`."""
    single = visit.runtime.pipeline.rule.single
    if single is not None and workspace in (single, DEFAULT_WORKSPACE):
        return single
    if single is not None or not is_namespace_name(workspace):
        raise BadRequestError(f"'{workspace[:80]}' is no workspace of this server.")
    return workspace


def workspace_of(runtime: Runtime, namespace: str) -> str:
    """What MLflow calls the workspace of a namespace."""
    return DEFAULT_WORKSPACE if namespace == runtime.pipeline.rule.single else namespace


async def ids_by_name(
    runtime: Runtime, named: Collection[tuple[str, Resource, str]]
) -> Mapping[tuple[str, Resource, str], str]:
    """MLflow's ids of objects by ``(namespace, resource, name)``. What does not exist is left out.

    Raises ``UnavailableError``.
    """
    mlflow = runtime.pipeline.mlflow
    if mlflow is None:
        return {}
    single = runtime.pipeline.rule.single is not None
    groups: dict[tuple[str, Resource], list[str]] = {}
    for namespace, resource, name in sorted(named):
        groups.setdefault((namespace, resource), []).append(name)

    async def look_up(group: tuple[str, Resource]) -> Mapping[str, str]:
        namespace, resource = group
        workspace = DEFAULT_WORKSPACE if single else namespace
        return await mlflow.store.named(resource, groups[group][:_MOST_NAMES], workspace=workspace)

    found = await fan_out(groups, look_up, limit=_CONCURRENT_LOOKUPS)
    return {
        (*group, name): identifier
        for group, names in zip(groups, found, strict=True)
        for identifier, name in names.items()
    }
