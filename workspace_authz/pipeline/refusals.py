"""The words of a 403: the API server's own sentence, and the smallest grant that would change the answer."""

from __future__ import annotations

import re
import shlex
from typing import Final

from workspace_authz.errors import BadRequestError, ForbiddenError
from workspace_authz.grants.commands import (
    LONGEST_NAME,
    OPTIONS,
    bind_line,
    grant_object_line,
    grant_role_line,
    is_word,
)
from workspace_authz.grants.levels import Level
from workspace_authz.grants.objects import ObjectGrant, RoleRef
from workspace_authz.grants.subjects import Subject, subject_of_text, user_subject
from workspace_authz.types import API_GROUP, READING, Attributes, Resource, UserInfo, Verb

VIEW: Final = "mlflow-view"
EDIT: Final = "mlflow-edit"
ADMIN: Final = "mlflow-admin"
INTEGRATION: Final = "mlflow-integration"
METRICS: Final = "mlflow-metrics"

_INTEGRATED: Final = frozenset(
    {
        Resource.EXPERIMENTS,
        Resource.REGISTERED_MODELS,
        Resource.DATASETS,
        Resource.MCP_SERVERS,
        Resource.SKILLS,
    }
)
_LEVELS: Final = {
    Verb.GET: Level.READ,
    Verb.LIST: Level.READ,
    Verb.UPDATE: Level.EDIT,
    Verb.DELETE: Level.MANAGE,
    Verb.CREATE: Level.USE,
}
"""The least level on one object with the verb. ``create`` on an object is the use of it."""


def smallest_role(user: UserInfo, attributes: Attributes) -> str:
    """The least of the shipped ClusterRoles that holds the right: for service accounts the one for them."""
    if attributes.resource is Resource.ASSISTANTS:
        return ADMIN
    if attributes.verb in READING:
        return EDIT if attributes.resource is Resource.GATEWAY_SECRETS else VIEW
    if user.service_account is not None and _integrates(attributes):
        return INTEGRATION
    return ADMIN if attributes.resource is Resource.GATEWAY_BUDGETS else EDIT


def _integrates(attributes: Attributes) -> bool:
    """Whether :data:`INTEGRATION` holds a right to write."""
    if attributes.subresource:
        return attributes.resource is Resource.GATEWAY_ENDPOINTS
    return attributes.resource in _INTEGRATED and attributes.verb is not Verb.DELETE


def forbidden(user: UserInfo, attributes: Attributes) -> ForbiddenError:
    """The refusal of ``attributes``, in the words of ``k8s.io/apiserver`` (``responsewriters/errors.go``)."""
    name = attributes.name[:LONGEST_NAME]  # a client may send any
    subject = f"{attributes.resource}.{API_GROUP}{f' {_quoted(name)}' if name else ''}"
    return ForbiddenError(
        f"{subject} is forbidden: User {_quoted(user.username)} cannot {attributes.verb} "
        f'resource "{attributes.qualified_resource}" in API group "{API_GROUP}" '
        f'in the namespace "{attributes.namespace}". '
        f"An administrator of the namespace can allow it: {_ways(user, attributes)}"
    )


def forbidden_url(user: UserInfo, path: str) -> ForbiddenError:
    """The refusal of ``get`` on a URL that is no resource, in the API server's words."""
    name, subject = _subject(user)
    return ForbiddenError(
        f"forbidden: User {_quoted(user.username)} cannot get path {_quoted(path)}. "
        "An administrator of the cluster can allow it: "
        f"kubectl create clusterrolebinding {name}-{METRICS} --clusterrole={METRICS} {shlex.quote(subject)}"
    )


def _ways(user: UserInfo, attributes: Attributes) -> str:
    """The commands that would do: of this package, on the object alone where one is named, and kubectl's."""
    subject, kubectl = user_subject(user.username), kubectl_line(user, attributes)
    if not _is_argument(subject):
        return kubectl
    grant = object_grant_for(attributes)
    if grant is not None:
        ours = grant_object_line(subject, attributes.namespace, grant=grant)
        return f"{ours} ; or for all of them there: {kubectl}"
    role = RoleRef(smallest_role(user, attributes))
    return f"{grant_role_line(subject, attributes.namespace, role=role)} ; or: {kubectl}"


def object_grant_for(attributes: Attributes) -> ObjectGrant | None:
    """The least level on the object that ``attributes`` name; None where rights cannot be on it alone."""
    name = attributes.name
    creates = attributes.verb is Verb.CREATE and not attributes.subresource
    if not is_word(name) or attributes.resource not in OPTIONS or creates:
        return None
    return ObjectGrant(attributes.resource, name, _LEVELS[attributes.verb])


def _is_argument(subject: Subject) -> bool:
    """Whether the command reads the subject's text back as this subject."""
    try:
        return not subject.text.startswith("-") and subject_of_text(subject.text) == subject
    except BadRequestError:
        return False


def kubectl_line(user: UserInfo, attributes: Attributes) -> str:
    """The ``kubectl`` command that would let ``user`` do it, on all objects of the namespace."""
    role, (name, _) = smallest_role(user, attributes), _subject(user)
    subject = user_subject(user.username)
    return bind_line(subject, attributes.namespace, role=RoleRef(role), name=f"{name}-{role}")


def _subject(user: UserInfo) -> tuple[str, str]:
    """A name for a binding, and the option of ``kubectl`` that names the user."""
    account = user.service_account
    short = account[1] if account else user.username
    name = re.sub("[^a-z0-9.]+", "-", short.lower()).strip("-.") or "user"
    return name, f"--serviceaccount={account[0]}:{account[1]}" if account else f"--user={user.username}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
