"""Granting and revoking on single objects, and giving roles to users."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from workspace_authz.doors.own_routes import OwnAnswer
from workspace_authz.doors.people.changing import seen, writer_for
from workspace_authz.doors.people.contract.answering import rbac_at_hand, readable
from workspace_authz.doors.people.contract.documents import user_number
from workspace_authz.doors.people.contract.parameters import (
    level_of,
    name_of,
    namespace_asked,
    number_field,
    resource_of,
)
from workspace_authz.doors.visits import Visit, json_answer, text_field
from workspace_authz.errors import BadRequestError
from workspace_authz.grants.commands import (
    OPTIONS,
    grant_object_line,
    grant_role_line,
    revoke_object_line,
    revoke_role_line,
)
from workspace_authz.grants.holdings import holdings_of
from workspace_authz.grants.ids import number_of
from workspace_authz.grants.levels import Level, levels_in
from workspace_authz.grants.mlflow_roles import MlflowRole, RoleKind
from workspace_authz.grants.objects import ObjectGrant, RoleRef
from workspace_authz.grants.subjects import Subject, subject_of_text
from workspace_authz.types import Resource

_ALL_OBJECTS: Final = (
    "A right on all objects is a role: assign mlflow-view, mlflow-edit or mlflow-admin, or a role of this "
    "workspace that says so."
)


async def grant(visit: Visit) -> OwnAnswer:
    """Give a user a level on one object, in place of any that was given on it before."""
    caller, document = await visit.caller(), await visit.document()
    subject, namespace, resource = _named(visit, document)
    level = level_of(document.get("permission"))
    identifier = text_field(document, "resource_id")
    line = grant_object_line(subject, namespace, grant=ObjectGrant(resource, identifier, level))
    change = f"grant {subject.text} {level} on {resource}/{identifier}"
    writer = await writer_for(visit, caller, namespace=namespace, change=change, line=line)
    name = await _one(visit, resource, identifier=identifier, namespace=namespace)
    wanted = ObjectGrant(resource, name, level).possible
    await writer.grant_object(subject, namespace, grant=wanted)
    await seen(lambda: _given(visit, subject, namespace=namespace).get((resource, name)) is wanted.level)
    return json_answer({})


async def revoke(visit: Visit) -> OwnAnswer:
    """Take from a user every level that was given on one object."""
    caller, document = await visit.caller(), await visit.document()
    subject, namespace, resource = _named(visit, document)
    identifier = text_field(document, "resource_id")
    line = revoke_object_line(subject, namespace, resource=resource, name=identifier)
    change = f"revoke from {subject.text} {resource}/{identifier}"
    writer = await writer_for(visit, caller, namespace=namespace, change=change, line=line)
    name = await _one(visit, resource, identifier=identifier, namespace=namespace)
    await writer.revoke_object(subject, namespace, resource=resource, name=name)
    await seen(lambda: (resource, name) not in _given(visit, subject, namespace=namespace))
    return json_answer({})


async def assign(visit: Visit) -> OwnAnswer:
    """Give a role to a user."""
    caller, document = await visit.caller(), await visit.document()
    subject = subject_of_text(text_field(document, "username"))
    role = (await readable(visit, caller)).role(number_field(document, "role_id"))
    reference = _reference(role)
    line = grant_role_line(subject, role.workspace, role=reference)
    change = f"bind {reference.kind} {reference.name} to {subject.text}"
    writer = await writer_for(visit, caller, namespace=role.workspace, change=change, line=line)
    await writer.grant_role(subject, role.workspace, role=reference)
    await seen(lambda: _has(visit, subject, role=role))
    return json_answer({"assignment": assignment(subject, role)})


async def unassign(visit: Visit) -> OwnAnswer:
    """Take a role from a user."""
    caller, document = await visit.caller(), await visit.document()
    subject = subject_of_text(text_field(document, "username"))
    role = (await readable(visit, caller)).role(number_field(document, "role_id"))
    reference = _reference(role)
    line = revoke_role_line(subject, role.workspace, role=reference)
    change = f"unbind {reference.kind} {reference.name} from {subject.text}"
    writer = await writer_for(visit, caller, namespace=role.workspace, change=change, line=line)
    await writer.revoke_role(subject, role.workspace, role=reference)
    await seen(lambda: not _has(visit, subject, role=role))
    return json_answer({})


def assignment(subject: Subject, role: MlflowRole) -> dict[str, Any]:
    """That a user has a role."""
    user = user_number(subject.text)
    return {
        "id": number_of("assignment", str(user), str(role.number)),
        "user_id": user,
        "role_id": role.number,
    }


def _given(visit: Visit, subject: Subject, *, namespace: str) -> Mapping[tuple[Resource, str], Level]:
    """What was granted to the subject on single objects, as this worker's watch has seen it."""
    given: dict[tuple[Resource, str], Level] = {}
    for holding in holdings_of(rbac_at_hand(visit).index, subject):
        if holding.is_direct and holding.binding_namespace == namespace:
            given |= levels_in(holding.role.rules)
    return given


def _has(visit: Visit, subject: Subject, *, role: MlflowRole) -> bool:
    """Whether a binding of ours gives the role to the subject, as this worker's watch has seen it."""
    return any(
        (holding.binding_namespace, holding.role_name, holding.managed) == (role.workspace, role.name, True)
        for holding in holdings_of(rbac_at_hand(visit).index, subject)
    )


def _named(visit: Visit, document: Any) -> tuple[Subject, str, Resource]:
    subject = subject_of_text(text_field(document, "username"))
    resource = resource_of(text_field(document, "resource_type"))
    if resource not in OPTIONS:
        raise BadRequestError(f"Rights on {resource} are never on single objects. {_ALL_OBJECTS}")
    return subject, namespace_asked(visit), resource


async def _one(visit: Visit, resource: Resource, *, identifier: str, namespace: str) -> str:
    name = await name_of(visit, resource, identifier=identifier, namespace=namespace)
    if not name:
        raise BadRequestError(_ALL_OBJECTS)
    return name


def _reference(role: MlflowRole) -> RoleRef:
    """How a binding names the role. Raises :class:`BadRequestError` where none in a namespace can."""
    if role.kind is RoleKind.CLUSTER_ROLE:
        return RoleRef(role.name)
    if role.kind is RoleKind.ROLE:
        return RoleRef(role.name, "Role")
    if role.kind is RoleKind.CLUSTER_WIDE:
        raise BadRequestError(
            f"The ClusterRole {role.name} is bound in all namespaces, by a ClusterRoleBinding, which this "
            "server never writes: use kubectl."
        )
    raise BadRequestError("Rights on single objects are given and taken one by one, by Edit access.")
