"""Which workspace a request names: one value, which is checked and which MLflow then gets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from workspace_authz.errors import BadRequestError
from workspace_authz.types import UserInfo, is_namespace_name

WORKSPACE_HEADER: Final = b"x-mlflow-workspace"

_ANYBODY: Final = UserInfo("")


@dataclass(frozen=True, slots=True)
class WorkspaceRule:
    """How the server finds the workspace of a request that names none."""

    single: str | None = None
    """Set on a server without workspaces: the namespace in which every request is judged."""
    default: str | None = None
    service_account: bool = False
    """Whether a service account's own namespace comes before the default."""


def requested_workspace(
    rule: WorkspaceRule, *, parameter: str | None, headers: Iterable[bytes], user: UserInfo
) -> str:
    """The path parameter, else the header, else the service account's namespace, else the default.

    Whitespace around the header's value is removed, as MLflow does. Raises :class:`BadRequestError` when
    there is no workspace, when two headers disagree, or when no namespace can have the name.
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
    if not is_namespace_name(asked):
        raise BadRequestError("The workspace of this request cannot be the name of a Kubernetes namespace.")
    return asked


def foreseen_workspace(rule: WorkspaceRule, *, parameter: str | None, headers: Sequence[bytes]) -> str | None:
    """The workspace of a request whose caller is not known yet; None where it depends on the caller.

    Also None where the request will be refused for its workspace: only an identified caller is told that.
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
