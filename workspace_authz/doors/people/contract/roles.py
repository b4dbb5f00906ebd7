"""The roles of the contract: ClusterRoles that can be bound, and Roles of a namespace."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from workspace_authz.authorizer.rbac.objects import Rules
from workspace_authz.doors.own_routes import OwnAnswer
from workspace_authz.doors.people.changing import NamespaceWriter, namespace_writer, rbac_at_hand, seen
from workspace_authz.doors.people.contract.answering import (
    Readable,
    documents_for,
    readable,
)
from workspace_authz.doors.people.contract.changes import assignment
from workspace_authz.doors.people.contract.parameters import level_of, name_of, number_field, resource_of
from workspace_authz.doors.people.visible import namespace_of
from workspace_authz.doors.visits import Visit, json_answer, text_field
from workspace_authz.errors import BadRequestError
from workspace_authz.grants.ids import numbered
from workspace_authz.grants.levels import Level, levels_in
from workspace_authz.grants.mlflow_roles import MlflowRole, Permission, RoleKind
from workspace_authz.grants.objects import changed_level
from workspace_authz.grants.subjects import subject_of_text
from workspace_authz.types import Caller, Resource

_NO_RENAMING: Final = "A Role of Kubernetes keeps its name: make another one, and delete this one."


async def list_roles(visit: Visit) -> OwnAnswer:
    """The roles of some workspaces, or of all that the caller may read."""
    caller = await visit.caller()
    found = await readable(visit, caller, workspaces=visit.query().get("workspace", ()))
    roles = await found.roles()
    documents = await documents_for(visit, roles)
    return await asyncio.to_thread(lambda: json_answer({"roles": [documents.role(role) for role in roles]}))


async def get_role(visit: Visit) -> OwnAnswer:
    """One role."""
    _, role = await _asked(visit)
    return await _answer(visit, role)


async def role_users(visit: Visit) -> OwnAnswer:
    """Who has a role."""
    found, role = await _asked(visit)
    subjects = [
        subject
        for subject, roles in (await found.users()).items()
        if any(each.number == role.number for each in roles)
    ]
    return json_answer({"assignments": [assignment(subject, role) for subject in subjects]})


async def role_permissions(visit: Visit) -> OwnAnswer:
    """The permissions of a role."""
    _, role = await _asked(visit)
    documents = await documents_for(visit, [role])
    permissions = [documents.permission(role, permission) for permission in role.permissions]
    return json_answer({"role_permissions": permissions})


async def create_role(visit: Visit) -> OwnAnswer:
    """Make a Role of ours, without rules. Raises :class:`BadRequestError`."""
    caller, document = await visit.caller(), await visit.document()
    name, namespace = text_field(document, "name"), namespace_of(visit, text_field(document, "workspace"))
    description = document.get("description") or ""
    if not isinstance(description, str):
        raise BadRequestError("The field 'description' must be a text.")
    writer = await _writer(visit, caller, namespace=namespace, change=f"make the Role {name}")
    await writer.grants.create_role(namespace, name, description=description)
    index = rbac_at_hand(visit).index
    await seen(lambda: index.role((namespace, name)) is not None)
    role = MlflowRole(namespace, RoleKind.ROLE, name, managed=True, description=description)
    return await _answer(visit, role)


async def update_role(visit: Visit) -> OwnAnswer:
    """Give a Role of ours another description. Raises :class:`BadRequestError`."""
    caller, document = await visit.caller(), await visit.document()
    role = _ours(await (await readable(visit, caller)).role(number_field(document, "role_id")))
    name, description = document.get("name"), document.get("description")
    if name is not None and name != role.name:
        raise BadRequestError(_NO_RENAMING)
    if not isinstance(description, str):
        raise BadRequestError("The field 'description' must be a text.")
    writer = await _writer(visit, caller, namespace=role.workspace, change=f"describe the Role {role.name}")
    await writer.grants.describe_role(role.workspace, role.name, description=description)
    index = rbac_at_hand(visit).index

    def described() -> bool:
        there = index.role((role.workspace, role.name))
        return there is not None and there.description == description

    await seen(described)
    return await _answer(visit, replace(role, description=description))


async def delete_role(visit: Visit) -> OwnAnswer:
    """Delete a Role of ours, and its bindings."""
    caller, document = await visit.caller(), await visit.document()
    role = _ours(await (await readable(visit, caller)).role(number_field(document, "role_id")))
    writer = await _writer(visit, caller, namespace=role.workspace, change=f"delete the Role {role.name}")
    await writer.grants.delete_role(role.workspace, role.name)
    index = rbac_at_hand(visit).index
    await seen(lambda: index.role((role.workspace, role.name)) is None)
    return json_answer({})


async def add_permission(visit: Visit) -> OwnAnswer:
    """Add a permission to a Role of ours, or change the one that it has on the same object."""
    caller, document = await visit.caller(), await visit.document()
    resource = resource_of(text_field(document, "resource_type"))
    level = level_of(document.get("permission"))
    role = _ours(await (await readable(visit, caller)).role(number_field(document, "role_id")))
    identifier = text_field(document, "resource_pattern")
    name = await name_of(visit, resource, identifier=identifier, namespace=role.workspace)
    return await _set(visit, caller, permission=Permission(role.number, resource, name, level), role=role)


async def update_permission(visit: Visit) -> OwnAnswer:
    """Give a permission of a Role of ours another level."""
    caller, document = await visit.caller(), await visit.document()
    level = level_of(document.get("permission"))
    role, before = await _permission(visit, caller, document=document)
    changed = Permission(role.number, before.resource, before.name, level)
    return await _set(visit, caller, permission=changed, role=_ours(role))


async def remove_permission(visit: Visit) -> OwnAnswer:
    """Take a permission out of a Role of ours, or from who was given it on a single object."""
    caller, document = await visit.caller(), await visit.document()
    role, permission = await _permission(visit, caller, document=document)
    namespace, resource, name = role.workspace, permission.resource, permission.name
    change = f"remove {resource}/{name or '*'} from {role.shown}"
    writer = await _writer(visit, caller, namespace=namespace, change=change)
    if role.kind is RoleKind.DIRECT:
        await writer.take_object(subject_of_text(role.name), resource=resource, name=name)
    else:
        _ours(role)
        await writer.grants.set_rules(namespace, role.name, change=_changing(resource, name, level=None))
        await seen(lambda: (resource, name) not in _levels(visit, role))
    return json_answer({})


async def _set(visit: Visit, caller: Caller, *, permission: Permission, role: MlflowRole) -> OwnAnswer:
    resource, name, level = permission.resource, permission.name, permission.level
    change = f"{level} on {resource}/{name or '*'} in the Role {role.name}"
    writer = await _writer(visit, caller, namespace=role.workspace, change=change)
    await writer.grants.set_rules(role.workspace, role.name, change=_changing(resource, name, level=level))
    await seen(lambda: _levels(visit, role).get((resource, name)) is level)
    documents = await documents_for(visit, [replace(role, levels=_levels(visit, role))])
    return json_answer({"role_permission": documents.permission(role, permission)})


def _changing(resource: Resource, name: str, *, level: Level | None) -> Any:
    def change(rules: Rules) -> Rules:
        return changed_level(rules, resource, name=name, level=level)

    return change


def _levels(visit: Visit, role: MlflowRole) -> Mapping[tuple[Resource, str], Level]:
    """The levels of a Role, as this worker's watch has seen it; none where it is gone."""
    there = rbac_at_hand(visit).index.role((role.workspace, role.name))
    return {} if there is None else levels_in(there.rules)


async def _permission(
    visit: Visit, caller: Caller, *, document: Mapping[str, Any]
) -> tuple[MlflowRole, Permission]:
    number = number_field(document, "role_permission_id")
    roles = {role.number: role for role in await (await readable(visit, caller)).roles()}
    permissions = (permission for role in roles.values() for permission in role.permissions)
    found = numbered(permissions, number, what="permission in a namespace that you may read")
    return roles[found.role], found


async def _asked(visit: Visit) -> tuple[Readable, MlflowRole]:
    caller = await visit.caller()
    number = number_field({"role_id": visit.parameter("role_id")}, "role_id")
    found = await readable(visit, caller)
    return found, await found.role(number)


async def _answer(visit: Visit, role: MlflowRole) -> OwnAnswer:
    return json_answer({"role": (await documents_for(visit, [role])).role(role)})


async def _writer(visit: Visit, caller: Caller, *, namespace: str, change: str) -> NamespaceWriter:
    line = f"kubectl -n {namespace} edit role NAME"
    return await namespace_writer(visit, caller, namespace=namespace, change=change, line=line)


def _ours(role: MlflowRole) -> MlflowRole:
    """The role, if this software made it. Raises :class:`BadRequestError`."""
    if role.kind is RoleKind.ROLE and role.managed:
        return role
    kind = "ClusterRole" if role.kind in (RoleKind.CLUSTER_ROLE, RoleKind.CLUSTER_WIDE) else "Role"
    raise BadRequestError(
        f"The {kind} {role.name} was not made here, so it is not changed here: kubectl edit "
        f"{kind.lower()} {role.name}"
    )
