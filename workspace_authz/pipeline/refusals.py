"""The words of a 403: the API server's own sentence, and the command that would change the answer."""

from __future__ import annotations

import re
import shlex
from typing import Final

from workspace_authz.errors import ForbiddenError
from workspace_authz.types import API_GROUP, READING, Attributes, Resource, UserInfo

VIEW: Final = "mlflow-view"
EDIT: Final = "mlflow-edit"
ADMIN: Final = "mlflow-admin"
METRICS: Final = "mlflow-metrics"


def smallest_role(attributes: Attributes) -> str:
    """The least of the shipped ClusterRoles that holds the right."""
    if attributes.resource is Resource.ASSISTANTS:
        return ADMIN
    if attributes.verb in READING:
        return EDIT if attributes.resource is Resource.GATEWAY_SECRETS else VIEW
    return ADMIN if attributes.resource is Resource.GATEWAY_BUDGETS else EDIT


def forbidden(user: UserInfo, attributes: Attributes) -> ForbiddenError:
    """The refusal of ``attributes``, in the words of ``k8s.io/apiserver`` (``responsewriters/errors.go``)."""
    subject = f"{attributes.resource}.{API_GROUP}{f' {_quoted(attributes.name)}' if attributes.name else ''}"
    return ForbiddenError(
        f"{subject} is forbidden: User {_quoted(user.username)} cannot {attributes.verb} "
        f'resource "{attributes.qualified_resource}" in API group "{API_GROUP}" '
        f'in the namespace "{attributes.namespace}". '
        f"An administrator of the namespace can allow it: {grant_command(user, attributes)}"
    )


def forbidden_url(user: UserInfo, path: str) -> ForbiddenError:
    """The refusal of ``get`` on a URL that is no resource, in the API server's words."""
    name, subject = _subject(user)
    return ForbiddenError(
        f"forbidden: User {_quoted(user.username)} cannot get path {_quoted(path)}. "
        "An administrator of the cluster can allow it: "
        f"kubectl create clusterrolebinding {name}-{METRICS} --clusterrole={METRICS} {shlex.quote(subject)}"
    )


def grant_command(user: UserInfo, attributes: Attributes) -> str:
    """The ``kubectl`` command that would let ``user`` do it."""
    role = smallest_role(attributes)
    name, subject = _subject(user)
    return (
        f"kubectl create rolebinding {name}-{role} --clusterrole={role} {shlex.quote(subject)} "
        f"-n {shlex.quote(attributes.namespace)}"
    )


def _subject(user: UserInfo) -> tuple[str, str]:
    """A name for a binding, and the option of ``kubectl`` that names the user."""
    account = user.service_account
    short = account[1] if account else user.username
    name = re.sub("[^a-z0-9.]+", "-", short.lower()).strip("-.") or "user"
    return name, f"--serviceaccount={account[0]}:{account[1]}" if account else f"--user={user.username}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
