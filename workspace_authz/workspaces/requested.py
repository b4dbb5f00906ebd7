"""Which workspace a request names: one value, which is checked and which MLflow then gets."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from workspace_authz.errors import BadRequestError, UnnamedWorkspaceError
from workspace_authz.types import UserInfo, is_namespace_name

WORKSPACE_HEADER: Final = b"x-mlflow-workspace"
URL_FORM: Final = "…/workspaces/<namespace>"

_ANYBODY: Final = UserInfo("")
_CLIENT: Final = re.compile(rb"mlflow-(?:java|r)-client|mlflow-python-client/(\d{1,4})(?:\.(\d{1,4}))?")
"""How MLflow's clients begin their ``User-Agent``."""
_KNOWS_WORKSPACES: Final = (3, 10)
"""The first release of the Python SDK that sends X-MLFLOW-WORKSPACE. The Java and R clients never do."""


@dataclass(frozen=True, slots=True)
class WorkspaceRule:
    """How the server finds the workspace of a request that names none."""

    single: str | None = None
    """Set on a server without workspaces: the namespace in which every request is judged."""
    default: str | None = None
    service_account: bool = False
    """Whether a service account's own namespace comes before the default."""


@dataclass(frozen=True, slots=True)
class StatedWorkspaces:
    """Everything in a request that names its workspace, apart from a route's own path parameter."""

    url: str | None = None
    """See :mod:`workspace_authz.workspaces.in_url`."""
    headers: Sequence[bytes] = ()
    """The values of X-MLFLOW-WORKSPACE. Whitespace around them does not count, as for MLflow."""
    credentials: Sequence[str] = ()
    """Named by user names of Basic."""

    def one(self) -> str | None:
        """What all of them name; None when there are none. Raises :class:`BadRequestError` for two names."""
        named: dict[str, set[str]] = {
            "its URL": set() if self.url is None else {self.url},
            "X-MLFLOW-WORKSPACE": {value.strip().decode("latin-1") for value in self.headers} - {""},
            "the user name of Basic": set(self.credentials),
        }
        names = {name for found in named.values() for name in found}
        if len(names) > 1:
            where = " and ".join(place for place, found in named.items() if found)
            raise BadRequestError(f"This request names two different workspaces in {where}.")
        return next(iter(names), None)


def requested_workspace(
    rule: WorkspaceRule,
    stated: StatedWorkspaces,
    *,
    parameter: str | None,
    user: UserInfo,
    user_agent: bytes = b"",
) -> str:
    """The path parameter, else what is stated, else the service account's namespace, else the default.

    Raises :class:`UnnamedWorkspaceError` when there is no workspace, and :class:`BadRequestError` when two of
    them disagree or no namespace can have the name. Only the URL must agree with the path
    parameter: MLflow's UI sends the header with every request.
    """
    named = stated.one()
    if parameter and stated.url not in (None, parameter):
        raise BadRequestError("This request names two different workspaces in its URL.")
    asked = parameter or named
    if rule.single is not None:
        if asked not in (None, rule.single):
            raise BadRequestError("This server has no workspaces; send no X-MLFLOW-WORKSPACE.")
        return rule.single
    if asked is None:
        asked = _implied(rule, user)
    if asked is None:
        raise UnnamedWorkspaceError(_unnamed(user_agent))
    if not is_namespace_name(asked):
        raise BadRequestError("The workspace of this request cannot be the name of a Kubernetes namespace.")
    return asked


def foreseen_workspace(rule: WorkspaceRule, stated: StatedWorkspaces, *, parameter: str | None) -> str | None:
    """The workspace of a request whose caller is not known yet; None where it depends on the caller.

    Also None where the request will be refused for its workspace: only an identified caller is told that.
    """
    try:
        if rule.single is None and rule.service_account and not (parameter or stated.one()):
            return None
        return requested_workspace(rule, stated, parameter=parameter, user=_ANYBODY)
    except BadRequestError:
        return None


def _implied(rule: WorkspaceRule, user: UserInfo) -> str | None:
    account = user.service_account
    if rule.service_account and account is not None:
        return account[0]
    return rule.default


def _unnamed(user_agent: bytes) -> str:
    """What to do, for the client that calls."""
    client = _CLIENT.match(user_agent)
    if client is not None and tuple(map(int, client.groups(b"0"))) < _KNOWS_WORKSPACES:
        return (
            f"This request names no workspace: {client[0].decode()} does not know MLFLOW_WORKSPACE. "
            f"Put the Kubernetes namespace you work in into MLFLOW_TRACKING_URI: {URL_FORM}."
        )
    return (
        "This request names no workspace: set MLFLOW_WORKSPACE (header X-MLFLOW-WORKSPACE) "
        f"to the Kubernetes namespace you work in, or put it into the server's URL: {URL_FORM}."
    )
