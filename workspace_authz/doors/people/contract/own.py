"""Who the caller is and what they may do: what MLflow's UI asks for its account menu and page."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import islice
from typing import Final

from workspace_authz.authorizer.rbac.objects import Role
from workspace_authz.doors.own_routes import OwnAnswer
from workspace_authz.doors.people.contract.answering import documents_for
from workspace_authz.doors.people.contract.documents import user_document
from workspace_authz.doors.people.visible import callers_rights, visible_namespaces
from workspace_authz.doors.visits import Visit, json_answer
from workspace_authz.grants.callers import OwnRights
from workspace_authz.grants.levels import levels_in
from workspace_authz.grants.mlflow_roles import EVERYWHERE, GRANTING, MlflowRole, RoleKind
from workspace_authz.grants.subjects import group_subject, user_subject
from workspace_authz.identity.sessions.authenticator import SESSION
from workspace_authz.runtime.people import People
from workspace_authz.types import Caller, UserInfo

_MOST_BINDINGS: Final = 1_000
_MOST_NAMES: Final = 100
_NAME: Final = "kubernetes"


async def current_user(visit: Visit) -> OwnAnswer:
    """Who asks. ``is_basic_auth`` switches MLflow's Logout on."""
    caller = await visit.caller()
    is_admin = await callers_rights(visit.runtime).is_administrator(caller)
    name = user_subject(caller.user.username).text
    return json_answer(
        {"user": user_document(name, is_admin=is_admin), "is_basic_auth": _can_sign_out(visit)}
    )


async def current_permissions(visit: Visit) -> OwnAnswer:
    """What the caller may do, in each workspace."""
    caller = await visit.caller()
    roles = await rights_of_caller(visit, caller)
    documents = await documents_for(visit, roles)
    is_admin = await callers_rights(visit.runtime).is_administrator(caller)
    return json_answer({"is_admin": is_admin, "permissions": documents.rows(roles)})


async def rights_of_caller(visit: Visit, caller: Caller) -> Sequence[MlflowRole]:
    """What the caller may do by whatever bindings, as one role in each workspace.

    Raises as ``Authorizer.authorize``.
    """
    namespaces = await visible_namespaces(visit, caller)
    rights = await callers_rights(visit.runtime).rights(caller, namespaces)
    roles: list[MlflowRole] = []
    for namespace, own in rights.items():
        roles.append(MlflowRole(namespace, RoleKind.OWN, _NAME, levels=own.levels))
        roles += _granting(namespace, own)
    return roles


async def roles_of_caller(visit: Visit, caller: Caller) -> Sequence[MlflowRole]:
    """The caller's roles: one for each group by which they hold something, and one for each RBAC role that
    is bound to their own name.

    Raises as ``Authorizer.authorize``.
    """
    people = visit.runtime.people
    if people is None or not people.follows_rbac:
        return await rights_of_caller(visit, caller)
    namespaces = await visible_namespaces(visit, caller)
    rights = await callers_rights(visit.runtime).rights(caller, namespaces)
    roles = await asyncio.to_thread(_bound, people, caller.user, workspaces={*rights, EVERYWHERE})
    return [*roles, *(role for namespace, own in rights.items() for role in _granting(namespace, own))]


def _granting(namespace: str, own: OwnRights) -> Sequence[MlflowRole]:
    description = "May create RoleBindings in this namespace."
    return [MlflowRole(namespace, RoleKind.OWN, GRANTING, description=description)] if own.grants else []


def _bound(people: People, user: UserInfo, *, workspaces: set[str]) -> Sequence[MlflowRole]:
    """In a thread. Whoever may write RoleBindings somewhere may name anybody very often."""
    roles: dict[tuple[str, str], MlflowRole] = {}
    for key, binding, role in islice(people.index.bindings_of_user(user.username), _MOST_BINDINGS):
        workspace = key[0] or EVERYWHERE
        if workspace in workspaces:
            roles[workspace, binding.role] = MlflowRole(
                workspace, RoleKind.OWN, binding.role, levels=levels_in(role.rules, most_names=_MOST_NAMES)
            )
    for group in user.groups:
        given: dict[str, dict[str, Role]] = {}
        for key, binding, role in islice(people.index.bindings_of_group(group), _MOST_BINDINGS):
            given.setdefault(key[0] or EVERYWHERE, {})[binding.role] = role
        text = group_subject(group).text
        for workspace in given.keys() & workspaces:
            bound = given[workspace]
            roles[workspace, text] = MlflowRole(
                workspace,
                RoleKind.OWN,
                text,
                levels=levels_in(
                    (rule for role in bound.values() for rule in role.rules), most_names=_MOST_NAMES
                ),
                description=f"By the group {group}: {', '.join(sorted(bound))}.",
            )
    return [roles[key] for key in sorted(roles)]


def _can_sign_out(visit: Visit) -> bool:
    """Whether MLflow's Logout can end something: a session, or a password that the browser remembers."""
    browser = visit.runtime.browser
    if browser is not None and browser.cookies.find(visit.scope["headers"], SESSION):
        return True
    return any(value.lower().startswith("basic ") for value in visit.header(b"authorization"))
