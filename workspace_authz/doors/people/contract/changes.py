"""Granting and revoking on single objects, and giving roles to users."""

from __future__ import annotations

from typing import Any, Final

from workspace_authz.doors.own_routes import OwnAnswer
from workspace_authz.doors.people.changing import namespace_writer
from workspace_authz.doors.people.contract.answering import readable
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
from workspace_authz.grants.ids import number_of
from workspace_authz.grants.levels import Level
from workspace_authz.grants.mlflow_roles import ALL, MlflowRole, RoleKind
from workspace_authz.grants.objects import WORKSPACE_ROLES, ObjectGrant, RoleRef
from workspace_authz.grants.subjects import Subject, subject_of_text
from workspace_authz.types import Resource

_LOOK: Final = "kubectl get rolebindings -o wide"


async def grant(visit: Visit) -> OwnAnswer:
    """Give a user a level on one object, in place of any that was given on it before."""
    caller, document = await visit.caller(), await visit.document()
    subject, namespace, resource = _named(visit, document)
    level = level_of(document.get("permission"))
    identifier = text_field(document, "resource_id")
    line = _command(subject, namespace, grant=ObjectGrant(resource, identifier, level))
    change = f"grant {subject.text} {level} on {resource}/{identifier}"
    writer = await namespace_writer(visit, caller, namespace=namespace, change=change, line=line)
    name = await name_of(visit, resource, identifier=identifier, namespace=namespace)
    await writer.give_object(subject, ObjectGrant(resource, name, level))
    return json_answer({})


async def revoke(visit: Visit) -> OwnAnswer:
    """Take from a user every level that was given on one object."""
    caller, document = await visit.caller(), await visit.document()
    subject, namespace, resource = _named(visit, document)
    identifier = text_field(document, "resource_id")
    one = resource in OPTIONS and identifier != ALL
    line = revoke_object_line(subject, namespace, resource=resource, name=identifier) if one else _LOOK
    change = f"revoke from {subject.text} {resource}/{identifier}"
    writer = await namespace_writer(visit, caller, namespace=namespace, change=change, line=line)
    name = await name_of(visit, resource, identifier=identifier, namespace=namespace)
    await writer.take_object(subject, resource=resource, name=name)
    return json_answer({})


async def assign(visit: Visit) -> OwnAnswer:
    """Give a role to a user."""
    caller, document = await visit.caller(), await visit.document()
    subject = subject_of_text(text_field(document, "username"))
    role = await (await readable(visit, caller)).role(number_field(document, "role_id"))
    reference = _reference(role)
    line = grant_role_line(subject, role.workspace, role=reference)
    change = f"bind {reference.kind} {reference.name} to {subject.text}"
    writer = await namespace_writer(visit, caller, namespace=role.workspace, change=change, line=line)
    await writer.give_role(subject, reference)
    return json_answer({"assignment": assignment(subject, role)})


async def unassign(visit: Visit) -> OwnAnswer:
    """Take a role from a user."""
    caller, document = await visit.caller(), await visit.document()
    subject = subject_of_text(text_field(document, "username"))
    role = await (await readable(visit, caller)).role(number_field(document, "role_id"))
    reference = _reference(role)
    line = revoke_role_line(subject, role.workspace, role=reference)
    change = f"unbind {reference.kind} {reference.name} from {subject.text}"
    writer = await namespace_writer(visit, caller, namespace=role.workspace, change=change, line=line)
    await writer.take_role(subject, reference)
    return json_answer({})


def assignment(subject: Subject, role: MlflowRole) -> dict[str, Any]:
    """That a user has a role."""
    user = user_number(subject.text)
    return {
        "id": number_of("assignment", str(user), str(role.number)),
        "user_id": user,
        "role_id": role.number,
    }


def _command(subject: Subject, namespace: str, *, grant: ObjectGrant) -> str:
    """The command that does it, or where there is none the nearest level on the whole workspace."""
    if grant.resource in OPTIONS and grant.name != ALL:
        return grant_object_line(subject, namespace, grant=grant)
    level = "view" if grant.level is Level.READ else "edit"
    return grant_role_line(subject, namespace, role=WORKSPACE_ROLES[level])


def _named(visit: Visit, document: Any) -> tuple[Subject, str, Resource]:
    subject = subject_of_text(text_field(document, "username"))
    resource = resource_of(text_field(document, "resource_type"))
    return subject, namespace_asked(visit), resource


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
