"""What a session is: an identity that its provider vouches for, until it must be renewed."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from workspace_authz.types import UserInfo


@dataclass(frozen=True, slots=True)
class Identity:
    """Who has signed in, as a provider says. Times are in seconds since the epoch."""

    subject: str
    """Whose account it is, for as long as the session lasts: never another one's after a renewal."""
    user: UserInfo | None = None
    """Whose rights are reviewed by name. None: those of the owner of ``token`` are, with the token."""
    token: str = field(default="", repr=False)
    """A token that the API server accepts."""
    renewal_token: str = field(default="", repr=False)
    """With what the provider is asked again: a refresh token, or an access token."""
    token_ends_at: float | None = None
    """When ``renewal_token`` expires, where that is known."""
    id_token: str = field(default="", repr=False)
    """Tells the provider who signs out (OpenID Connect RP-Initiated Logout 1.0)."""
    renew_at: float | None = None
    """When the provider is to be asked again; None: never."""
    ends_at: float | None = None
    """From when on it counts no more, unless it was renewed; None: never."""


@dataclass(frozen=True, slots=True)
class Session:
    """One browser in which somebody has signed in."""

    digest: str
    """The SHA-256 of its id."""
    provider: str
    """The name of the provider; empty for a pasted token."""
    identity: Identity

    def document(self) -> bytes:
        """As it is sealed."""
        return json.dumps(asdict(self), separators=(",", ":")).encode()

    @classmethod
    def of(cls, document: bytes) -> Session:
        """The session that was sealed."""
        found: dict[str, Any] = json.loads(document)
        identity = found["identity"]
        user = identity.pop("user")
        return cls(
            digest=found["digest"],
            provider=found["provider"],
            identity=Identity(user=None if user is None else _user(user), **identity),
        )


class Provider(Protocol):
    """Vouches for the identities of sessions."""

    async def renew(self, identity: Identity) -> Identity:
        """The identity as it is now.

        Raises ``UnauthenticatedError`` when the provider does not vouch for it any more, ``ForbiddenError``
        when it may not sign in any more, and ``UnavailableError`` when the provider gives no answer.
        """


def _user(found: dict[str, Any]) -> UserInfo:
    return UserInfo(
        found["username"],
        uid=found["uid"],
        groups=tuple(found["groups"]),
        extra=tuple((key, tuple(values)) for key, values in found["extra"]),
    )
