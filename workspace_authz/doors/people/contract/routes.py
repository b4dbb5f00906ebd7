"""The routes of the contract, as ``mlflow.server.auth.routes`` (3.17.2) has them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from workspace_authz.doors.people.contract.own import current_permissions, current_user
from workspace_authz.doors.people.contract.refused import SENTENCES, refusing
from workspace_authz.doors.people.contract.users import user_roles
from workspace_authz.doors.visits import OwnRoute, Work

_TABLE: Final[tuple[tuple[str, int, str, Work], ...]] = (
    ("GET", 2, "users/current", current_user),
    ("GET", 3, "users/current/permissions", current_permissions),
    ("GET", 3, "users/roles/list", user_roles),
    ("PATCH", 2, "users/update-password", refusing(SENTENCES["users/update-password"])),
    ("PATCH", 2, "users/update-admin", refusing(SENTENCES["users/update-admin"])),
    ("DELETE", 2, "users/delete", refusing(SENTENCES["users/delete"])),
)


def _routes() -> Iterator[OwnRoute]:
    for method, version, path, work in _TABLE:
        for api in ("api", "ajax-api"):
            yield OwnRoute(method, f"/{api}/{version}.0/mlflow/{path}", work)


ROUTES: Final = tuple(_routes())
