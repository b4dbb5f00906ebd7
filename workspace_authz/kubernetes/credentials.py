"""How a caller proved who they are, and so which kind of review asks about their rights.

All kinds satisfy ``workspace_authz.types.Credential``. Their fields are read in ``identity``,
``authorizer`` and this package only.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from workspace_authz.types import Caller

_BASIC = b"basic"


@dataclass(frozen=True, slots=True)
class BearerToken:
    """A token that the API server accepts. Reviews are asked with it, as the caller."""

    token: str = field(repr=False)

    def is_in(self, value: bytes) -> bool:
        """Whether a header's value holds the token: as it is, or in a Basic header's encoding.

        An empty token is in nothing.
        """
        return _holds(value, self.token)


@dataclass(frozen=True, slots=True)
class AudienceToken:
    """A token for an audience of this server, which the API server accepts for nothing but a TokenReview.

    Reviews are SubjectAccessReviews by the server's own account, about the user whom the TokenReview named.
    """

    token: str = field(repr=False)

    def is_in(self, value: bytes) -> bool:
        """As :meth:`BearerToken.is_in`."""
        return _holds(value, self.token)


@dataclass(frozen=True, slots=True)
class IssuerToken:
    """An ID token that this server has verified itself, and that the API server does not accept.

    Reviews are SubjectAccessReviews by the server's own account, about the user whom its claims name.
    """

    token: str = field(repr=False)

    def is_in(self, value: bytes) -> bool:
        """As :meth:`BearerToken.is_in`."""
        return _holds(value, self.token)


@dataclass(frozen=True, slots=True)
class AssertedUser:
    """A user who is known by name and groups only, because something that is trusted says so.

    There is no secret to ask with. Reviews are SubjectAccessReviews by the server's own account.
    """

    def is_in(self, value: bytes) -> bool:
        """False: there is no secret."""
        return False


@dataclass(frozen=True, slots=True)
class SessionUser:
    """A user who is known by name and groups only, as :class:`AssertedUser`, because a session says so."""

    digest: str = field(repr=False)
    """Finds the session again, and makes no cookie."""

    def is_in(self, value: bytes) -> bool:
        """False: the cookie of a session is taken out by its name."""
        return False


def api_token(caller: Caller) -> str | None:
    """The token with which the Kubernetes API knows the caller; None where they have shown none.

    A token for an audience of this server and one of an issuer that the cluster does not trust are none.
    """
    credential = caller.credential
    return credential.token if isinstance(credential, BearerToken) else None


def unverified_claims(token: str) -> Mapping[str, Any]:
    """What the payload of a JWT says (RFC 7519); empty for what is none. Nothing is verified."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    payload = parts[1]
    try:
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _holds(value: bytes, token: str) -> bool:
    if not token or len(value) < len(token):
        return False
    secret = token.encode("utf-8")
    return secret in value or secret in _decoded_basic(value)


def _decoded_basic(value: bytes) -> bytes:
    """The user and password of a Basic header (RFC 7617); empty for everything else."""
    scheme, _, encoded = value.strip().partition(b" ")
    if scheme.lower() != _BASIC:
        return b""
    try:
        return base64.b64decode(encoded.strip(), validate=True)
    except binascii.Error:
        return b""
