"""The routes of the contract, as ``mlflow.server.auth.routes`` (3.17.2) has them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from workspace_authz.doors.people.contract.changes import assign, grant, revoke, unassign
from workspace_authz.doors.people.contract.own import current_permissions, current_user
from workspace_authz.doors.people.contract.refused import SENTENCES, refusing
from workspace_authz.doors.people.contract.roles import (
    add_permission,
    create_role,
    delete_role,
    get_role,
    list_roles,
    remove_permission,
    role_permissions,
    role_users,
    update_permission,
    update_role,
)
from workspace_authz.doors.people.contract.users import (
    create_user,
    get_user,
    list_users,
    user_permission,
    user_permissions,
    user_roles,
)
from workspace_authz.doors.people.sharing import sharing
from workspace_authz.doors.visits import OwnRoute, Work

_TABLE: Final[tuple[tuple[str, int, str, Work], ...]] = (
    ("GET", 2, "users/current", current_user),
    ("GET", 3, "users/current/permissions", current_permissions),
    ("GET", 3, "users/roles/list", user_roles),
    ("GET", 2, "users/list", list_users),
    ("GET", 2, "users/get", get_user),
    ("POST", 2, "users/create", create_user),
    ("GET", 3, "users/permissions/list", user_permissions),
    ("GET", 3, "users/permissions/get", user_permission),
    ("POST", 3, "users/permissions/grant", grant),
    ("POST", 3, "users/permissions/revoke", revoke),
    ("GET", 3, "roles/list", list_roles),
    ("GET", 3, "roles/get", get_role),
    ("GET", 3, "roles/users/list", role_users),
    ("POST", 3, "roles/create", create_role),
    ("PATCH", 3, "roles/update", update_role),
    ("DELETE", 3, "roles/delete", delete_role),
    ("POST", 3, "roles/assign", assign),
    ("DELETE", 3, "roles/unassign", unassign),
    ("GET", 3, "roles/permissions/list", role_permissions),
    ("POST", 3, "roles/permissions/add", add_permission),
    ("PATCH", 3, "roles/permissions/update", update_permission),
    ("DELETE", 3, "roles/permissions/remove", remove_permission),
    ("PATCH", 2, "users/update-password", refusing(SENTENCES["users/update-password"])),
    ("PATCH", 2, "users/update-admin", refusing(SENTENCES["users/update-admin"])),
    ("DELETE", 2, "users/delete", refusing(SENTENCES["users/delete"])),
)


def _routes() -> Iterator[OwnRoute]:
    for method, version, path, work in _TABLE:
        for api in ("api", "ajax-api"):
            yield OwnRoute(method, f"/{api}/{version}.0/mlflow/{path}", sharing(work))


ROUTES: Final = tuple(_routes())
