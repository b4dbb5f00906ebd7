"""Which workspace a request means: one value, checked and then acted on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from workspace_authz.errors import BadRequestError
from workspace_authz.types import UserInfo

WORKSPACE_HEADER: Final = b"x-mlflow-workspace"

# RFC 1123 label, as Kubernetes demands of a namespace's name.
_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")

_ANYBODY: Final = UserInfo("")


@dataclass(frozen=True, slots=True)
class WorkspaceRule:
    """How the server finds the workspace of a request that names none, or whether there is only one."""

    single: str | None = None
    """Set on a server without workspaces: the namespace in which every request is judged."""
    default: str | None = None
    service_account: bool = False
    """A service account's own namespace comes before the default."""


def requested_workspace(
    rule: WorkspaceRule, *, parameter: str | None, headers: Iterable[bytes], user: UserInfo
) -> str:
    """The path parameter, else the header, else the service account's namespace, else the default.

    The header's value is stripped, as MLflow does. Raises :class:`BadRequestError` when there is none,
    when two headers disagree, or when the name cannot be a namespace.
    """
    named = {value.strip().decode("latin-1") for value in headers} - {""}
    if len(named) > 1:
        raise BadRequestError("This request names two different workspaces in X-MLFLOW-WORKSPACE.")
    asked = parameter or next(iter(named), None)
    if rule.single is not None:
        if asked not in (None, rule.single):
            raise BadRequestError("This server has no workspaces; send no X-MLFLOW-WORKSPACE.")
        return rule.single
    if asked is None:
        asked = _implied(rule, user)
    if asked is None:
        raise BadRequestError(
            "This request names no workspace: set MLFLOW_WORKSPACE (header X-MLFLOW-WORKSPACE) "
            "to the Kubernetes namespace you work in."
        )
    if not _LABEL.fullmatch(asked):
        raise BadRequestError("The workspace of this request cannot be the name of a Kubernetes namespace.")
    return asked


def foreseen_workspace(rule: WorkspaceRule, *, parameter: str | None, headers: Sequence[bytes]) -> str | None:
    """The workspace of a request, or None where that depends on who asks.

    None, too, where the request will be refused for its workspace, which only an identified caller is told.
    """
    named = parameter or any(map(bytes.strip, headers))
    if rule.single is None and rule.service_account and not named:
        return None
    try:
        return requested_workspace(rule, parameter=parameter, headers=headers, user=_ANYBODY)
    except BadRequestError:
        return None


def _implied(rule: WorkspaceRule, user: UserInfo) -> str | None:
    account = user.service_account
    if rule.service_account and account is not None:
        return account[0]
    return rule.default
