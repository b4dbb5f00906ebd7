"""The users of the contract: whom the bindings name that the caller may list."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from workspace_authz.doors.own_routes import OwnAnswer
from workspace_authz.doors.people.contract.answering import Readable, documents_for, missing_user, readable
from workspace_authz.doors.people.contract.documents import user_document
from workspace_authz.doors.people.contract.own import rights_of_caller, roles_of_caller
from workspace_authz.doors.people.contract.parameters import name_of, namespace_asked, resource_of
from workspace_authz.doors.people.visible import callers_rights
from workspace_authz.doors.visits import Visit, json_answer, text_field
from workspace_authz.errors import ForbiddenError, MissingError
from workspace_authz.grants.levels import Level
from workspace_authz.grants.mlflow_roles import EVERYWHERE, MlflowRole
from workspace_authz.grants.subjects import Subject, subject_of_text, user_subject
from workspace_authz.types import Caller

NOTHING: Final = "NO_PERMISSIONS"
"""The name of MLflow for no level."""


async def list_users(visit: Visit) -> OwnAnswer:
    """Everybody whom a binding names that the caller may list, and the caller."""
    caller = await visit.caller()
    found = dict(await (await readable(visit, caller)).users())
    found.setdefault(user_subject(caller.user.username), ())
    documents = await documents_for(visit, [role for roles in found.values() for role in roles])

    def answer() -> OwnAnswer:
        users = [
            {**user_document(subject.text), "roles": [documents.role(role) for role in roles]}
            for subject, roles in found.items()
        ]
        return json_answer({"users": users})

    return await asyncio.to_thread(answer)


async def get_user(visit: Visit) -> OwnAnswer:
    """One user. Raises ``MissingError`` where no binding names them."""
    caller, subject = await _asked(visit)
    if subject != user_subject(caller.user.username):
        if not await (await readable(visit, caller)).roles_of(subject):
            raise missing_user(subject.text)
        return json_answer({"user": user_document(subject.text)})
    is_admin = await callers_rights(visit.runtime).is_administrator(caller)
    return json_answer({"user": user_document(subject.text, is_admin=is_admin)})


async def create_user(visit: Visit) -> OwnAnswer:
    """Nothing is kept. The name is checked, so that a role can be given to it next."""
    await visit.caller()
    subject = subject_of_text(text_field(await visit.document(), "username"))
    return json_answer({"user": user_document(subject.text)})


async def user_roles(visit: Visit) -> OwnAnswer:
    """The roles of one user, as far as the caller may see them; one's own are all seen."""
    caller, subject = await _asked(visit)
    roles = await _roles(visit, caller, subject=subject)
    documents = await documents_for(visit, roles)
    return json_answer({"roles": [documents.role(role) for role in roles]})


async def user_permissions(visit: Visit) -> OwnAnswer:
    """The permissions of one user, as far as the caller may see them."""
    caller, subject = await _asked(visit)
    roles = await _roles(visit, caller, subject=subject)
    documents = await documents_for(visit, roles)
    return json_answer({"is_admin": False, "permissions": documents.rows(roles)})


async def user_permission(visit: Visit) -> OwnAnswer:
    """The level of one user on one object, by the bindings that name them."""
    caller, subject = await _asked(visit)
    namespace, resource = namespace_asked(visit), resource_of(visit.parameter("resource_type"))
    if subject == user_subject(caller.user.username):
        roles: Sequence[MlflowRole] = await rights_of_caller(visit, caller)
    else:
        roles = await (await readable(visit, caller, workspaces=[namespace])).roles_of(subject)
    given = [role.levels for role in roles if role.workspace in (namespace, EVERYWHERE)]
    names = {""}
    if any(levels for levels in given):
        # Who holds nothing does not learn whether the object exists.
        with suppress(MissingError):
            identifier = visit.parameter("resource_id")
            names.add(await name_of(visit, resource, identifier=identifier, namespace=namespace))
    levels = [levels[resource, name] for levels in given for name in names if (resource, name) in levels]
    best = max(levels, key=list(Level).index, default=None)
    allowed = best is not None and best is not Level.READ
    return json_answer({"allowed": allowed, "permission": NOTHING if best is None else str(best)})


async def _asked(visit: Visit) -> tuple[Caller, Subject]:
    caller = await visit.caller()
    return caller, subject_of_text(visit.parameter("username"))


async def _roles(visit: Visit, caller: Caller, *, subject: Subject) -> Sequence[MlflowRole]:
    if subject == user_subject(caller.user.username):
        return await roles_of_caller(visit, caller)
    seen: Readable = await readable(visit, caller)
    if not seen.overview.namespaces and not seen.overview.cluster_wide:
        raise ForbiddenError(
            f'User "{caller.user.username}" cannot list resource "rolebindings" in any of their workspaces, '
            "so the roles of others are not shown."
        )
    return await seen.roles_of(subject)
