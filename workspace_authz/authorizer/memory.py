"""How answers about a caller are remembered: for how long, and under which key."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from workspace_authz.types import UserInfo

_CREDENTIAL_ID: Final = "authentication.kubernetes.io/credential-id"
"""Differs between two tokens of one user; no authorizer of Kubernetes looks at it."""


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long decisions hold, in seconds."""

    allow: float = 10.0
    deny: float = 5.0


def stable(user: UserInfo) -> UserInfo:
    """``user`` without what differs between two of their tokens."""
    if not any(key == _CREDENTIAL_ID for key, _ in user.extra):
        return user
    return replace(user, extra=tuple(item for item in user.extra if item[0] != _CREDENTIAL_ID))
