"""The checks of an ID token (OpenID Connect Core 1.0, 3.1.3.7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from authlib.oidc.core import CodeIDToken
from joserfc import jws, jwt
from joserfc.errors import JoseError

from workspace_authz.aio.clock import Clock
from workspace_authz.errors import UnauthenticatedError
from workspace_authz.identity.sign_in.metadata import ProviderMetadata

ALGORITHMS: Final = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA", "Ed25519"),
)
"""Asymmetric ones only: ``none`` is no signature, and with HS256 the public key would be the secret."""
MOST_TOKEN_BYTES: Final = 2**20
"""Of its claims: a thousand groups may have long names."""
LEEWAY_SECONDS: Final = 60
"""How far the provider's clock may be from ours."""

UNUSABLE: Final = "The ID token of the provider cannot be used. Sign in again."


class _Registry(jws.JWSRegistry):
    max_header_length = 8192  # a chain of certificates (RFC 7515, 4.1.6)
    max_payload_length = MOST_TOKEN_BYTES


# Headers that are not understood are ignored (RFC 7515, section 4), but for critical ones.
_REGISTRY: Final = _Registry(algorithms=ALGORITHMS, strict_check_header=False)


async def verified_claims(
    token: str,
    metadata: ProviderMetadata,
    *,
    issuer: str,
    client_id: str,
    clock: Clock,
    nonce: str | None,
    access_token: str,
) -> Mapping[str, Any]:
    """The claims of an ID token that ``issuer`` has made for ``client_id``.

    ``nonce`` is that of the attempt to sign in; None at a renewal, whose token need not have one. Raises
    :class:`UnauthenticatedError`, and ``ProviderError`` when the keys cannot be had.
    """
    try:
        key_id = jws.extract_compact(token.encode("ascii"), registry=_REGISTRY).headers().get("kid")
        keys = await metadata.keys(key_id=key_id if isinstance(key_id, str) else None)
        decoded = jwt.decode(token, keys, registry=_REGISTRY)
        claims = CodeIDToken(
            decoded.claims,
            decoded.header,
            options={
                "iss": {"essential": True, "value": issuer},
                "aud": {"essential": True, "value": client_id},
                "sub": {"essential": True},
                "exp": {"essential": True},
            },
            params={"client_id": client_id, "access_token": access_token, "nonce": nonce},
        )
        claims.validate(now=int(clock.time()), leeway=LEEWAY_SECONDS)
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        raise UnauthenticatedError(UNUSABLE) from error
    if not isinstance(claims["sub"], str) or not claims["sub"]:
        raise UnauthenticatedError(UNUSABLE)
    return dict(claims)
