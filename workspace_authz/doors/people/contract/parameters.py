"""What requests of the contract name: roles, objects and levels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from workspace_authz.catalog.model import Identifier
from workspace_authz.doors.people.visible import namespace_of
from workspace_authz.doors.visits import Visit
from workspace_authz.errors import BadRequestError, MissingError
from workspace_authz.grants.levels import Level
from workspace_authz.grants.mlflow_roles import ALL, RESOURCE_TYPES
from workspace_authz.mlflow_adapter.store.tables import DEFAULT_WORKSPACE
from workspace_authz.types import Resource

_MOST_DIGITS: Final = 16
_LONGEST_NAME: Final = 512

_IDENTIFIERS: Final[Mapping[Resource, Identifier]] = {
    Resource.EXPERIMENTS: Identifier.EXPERIMENT_ID,
    Resource.GATEWAY_ENDPOINTS: Identifier.ENDPOINT_ID,
    Resource.GATEWAY_SECRETS: Identifier.SECRET_ID,
    Resource.GATEWAY_MODEL_DEFINITIONS: Identifier.MODEL_DEFINITION_ID,
}
_PARTS: Final[Mapping[str, str]] = {
    "run": "experiment",
    "trace": "experiment",
    "assessment": "experiment",
    "logged_model": "experiment",
    "review_queue": "experiment",
    "scorer": "experiment",
    "scorer_version": "experiment",
    "prompt": "registered_model",
    "prompt_version": "registered_model",
    "registered_model_version": "registered_model",
    "mcp_server_version": "mcp_server",
}
"""MLflow's parts of objects, and what Kubernetes' rights are on."""
_WORKSPACE: Final = (
    "A workspace is a namespace, and its administrators are those of the namespace. A level on all of it is "
    "a role: assign mlflow-view, mlflow-edit or mlflow-admin. Who shall give roles to others needs the "
    "ClusterRole admin: kubectl create rolebinding NAME --clusterrole=admin --user=USER -n NAMESPACE"
)
_NO_DENIAL: Final = (
    "RBAC only adds rights: nothing takes one away that a role or group gives. Remove the role or "
    "the permission that gives it, or take the person out of the group."
)


def resource_of(resource_type: str) -> Resource:
    """The resource of a type. Raises :class:`BadRequestError`."""
    if resource_type == "workspace":
        raise BadRequestError(_WORKSPACE)
    whole = _PARTS.get(resource_type)
    if resource_type == "prompt":
        return Resource.REGISTERED_MODELS
    if whole is not None:
        raise BadRequestError(
            f"Rights on a {resource_type} are those on its {whole}: choose {whole} and its name or id."
        )
    resource = RESOURCE_TYPES.get(resource_type)
    if resource is None:
        raise BadRequestError(f"'{resource_type[:40]}' is no type of resource. There are: {_types()}.")
    return resource


def level_of(permission: object) -> Level:
    """The level that a permission is. Raises :class:`BadRequestError`."""
    if permission in ("DENY", "NO_PERMISSIONS"):
        raise BadRequestError(_NO_DENIAL)
    try:
        return Level(str(permission))
    except ValueError:
        raise BadRequestError(f"A permission is one of {', '.join(Level)}.") from None


def number_field(fields: Mapping[str, Any], name: str) -> int:
    """An id, as a number or in digits. Raises :class:`BadRequestError`."""
    value = fields.get(name)
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise BadRequestError(f"The field '{name}' must be the id of a role or permission.")
    return int(text)


def namespace_asked(visit: Visit) -> str:
    """The namespace of the workspace in MLflow's header. Raises :class:`BadRequestError`."""
    single = visit.runtime.pipeline.rule.single
    workspace = visit.workspace or (DEFAULT_WORKSPACE if single is not None else "")
    if not workspace:
        raise BadRequestError("This request names no workspace: set the header X-MLFLOW-WORKSPACE.")
    return namespace_of(visit, workspace)


async def name_of(visit: Visit, resource: Resource, *, identifier: str, namespace: str) -> str:
    """The RBAC name of an object; empty for all.

    Raises :class:`BadRequestError`, and :class:`MissingError` for an id that is none there: so whoever learns
    the answer must hold a right there.
    """
    if identifier == ALL:
        return ""
    if not identifier or len(identifier) > _LONGEST_NAME or not identifier.isprintable():
        raise BadRequestError(f"An object has a name or an id of 1 to {_LONGEST_NAME} characters.")
    kind, mlflow = _IDENTIFIERS.get(resource), visit.runtime.pipeline.mlflow
    if kind is None or mlflow is None:
        return identifier
    workspace = DEFAULT_WORKSPACE if visit.runtime.pipeline.rule.single is not None else namespace
    names = await mlflow.store.names([identifier], resource=resource, identifier=kind, workspace=workspace)
    if identifier not in names:
        raise MissingError(f"There is nothing of {resource} with the id {identifier} in {workspace}.")
    return names[identifier]


def _types() -> str:
    return ", ".join(RESOURCE_TYPES)
