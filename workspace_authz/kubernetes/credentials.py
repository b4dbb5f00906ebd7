"""The kinds of credentials: each selects how the API server is asked about its caller."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class BearerToken:
    """A token of the API server. Its owner's reviews are asked with it."""

    token: str = field(repr=False)

    def is_in(self, value: bytes) -> bool:
        """See :class:`workspace_authz.types.Credential`. A Basic header (RFC 7617) is decoded."""
        if len(value) < len(self.token):
            return False
        secret = self.token.encode()
        return secret in value or secret in _decoded(value)


@dataclass(frozen=True, slots=True)
class AssertedUser:
    """The user was named by somebody whom the server trusts: there is no secret, only a name and groups.

    Reviews are SubjectAccessReviews, which the server asks with its own account.
    """

    def is_in(self, value: bytes) -> bool:
        """See :class:`workspace_authz.types.Credential`. There is no secret."""
        return False


def _decoded(value: bytes) -> bytes:
    """The user and password of a Basic header, empty for any other value."""
    scheme, _, encoded = value.strip().partition(b" ")
    if scheme.lower() != b"basic":
        return b""
    try:
        return base64.b64decode(encoded.strip(), validate=True)
    except binascii.Error:
        return b""
