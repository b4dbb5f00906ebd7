"""Requests that present a token."""

from __future__ import annotations

from collections.abc import Callable

from workspace_authz.identity.authenticator import Authenticator, Presented
from workspace_authz.types import Caller, Credential


async def authenticated(
    authenticator: Authenticator,
    token: str,
    peer: str = "",
    unverified: Callable[[Credential], None] = lambda _: None,
) -> Caller:
    """The caller of a request with ``token``."""
    presented = Presented([(b"authorization", b"Bearer " + token.encode())], peer=peer)
    caller = await authenticator.authenticate(presented, unverified=unverified)
    assert caller is not None
    return caller
