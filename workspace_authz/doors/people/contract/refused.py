"""What MLflow's contract offers and Kubernetes does not have: each answers with what to do instead."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from workspace_authz.doors.own_routes import OwnAnswer
from workspace_authz.doors.visits import Visit, Work
from workspace_authz.errors import BadRequestError

NO_PASSWORDS: Final = (
    "This server has no passwords: people sign in with what Kubernetes accepts. Change your password where "
    "you sign in, or make a new token."
)
NO_ADMINISTRATORS: Final = (
    "Whoever holds every MLflow right and may write RoleBindings in all namespaces is an administrator. An "
    "administrator of the cluster can make somebody one: kubectl create clusterrolebinding NAME "
    "--clusterrole=cluster-admin --user=USER"
)
NO_USERS: Final = (
    "Users are not kept here, so there is none to delete: remove their roles and permissions, and they hold "
    "nothing any more. `workspace-authz who -n NAMESPACE` lists what there is."
)

SENTENCES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "users/update-password": NO_PASSWORDS,
        "users/update-admin": NO_ADMINISTRATORS,
        "users/delete": NO_USERS,
    }
)


def refusing(sentence: str) -> Work:
    """Answers every caller with ``sentence``."""

    async def refuse(visit: Visit) -> OwnAnswer:
        await visit.caller()
        raise BadRequestError(sentence)

    return refuse
