"""What of a request's headers MLflow gets to see: no credential, and one workspace."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from workspace_authz.identity.credentials import AUTHORIZATION, FORWARDED_TOKEN, GATEWAY_AUTHORIZATION
from workspace_authz.workspaces.requested import WORKSPACE_HEADER

_COOKIE: Final = b"cookie"

_DROPPED: Final = frozenset(
    {
        FORWARDED_TOKEN,
        GATEWAY_AUTHORIZATION,
        WORKSPACE_HEADER,
        b"x-forwarded-user",
        b"x-forwarded-email",
        b"x-forwarded-groups",
        b"x-forwarded-preferred-username",
        b"x-forwarded-id-token",
        b"x-auth-request-user",
        b"x-auth-request-email",
        b"x-auth-request-groups",
        b"x-auth-request-preferred-username",
        b"x-auth-request-access-token",
        b"x-remote-user",
        b"x-remote-group",
        b"remote-user",
        b"kubeflow-userid",
        b"kubeflow-groups",
        b"impersonate-user",
        b"impersonate-group",
        b"impersonate-uid",
        b"proxy-authorization",
    }
)
"""Credentials and claims about the caller: MLflow's AI gateway would forward them to a provider."""

_DROPPED_PREFIXES: Final = (b"x-remote-extra-", b"impersonate-extra-")


def forwarded_headers(
    headers: Iterable[tuple[bytes, bytes]], *, workspace: str | None, keep_authorization: bool, gateway: bool
) -> list[tuple[bytes, bytes]]:
    """The headers for MLflow.

    ``workspace`` becomes the only ``X-MLFLOW-WORKSPACE``; None sends none. A name spelt with underscores
    counts as the one with hyphens, because WSGI folds the two into one variable.
    """
    kept = [
        (name, value)
        for name, value in headers
        if not _is_dropped(name.replace(b"_", b"-"), keep_authorization=keep_authorization, gateway=gateway)
    ]
    if workspace is not None:
        kept.append((WORKSPACE_HEADER, workspace.encode("ascii")))
    return kept


def _is_dropped(name: bytes, *, keep_authorization: bool, gateway: bool) -> bool:
    if name == AUTHORIZATION:
        return not keep_authorization
    if name == _COOKIE:
        return gateway
    return name in _DROPPED or name.startswith(_DROPPED_PREFIXES)
