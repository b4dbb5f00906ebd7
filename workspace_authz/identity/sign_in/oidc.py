"""Signing in by OpenID Connect: authorization code with PKCE, by Authlib."""

from __future__ import annotations

import ssl
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import httpx2

from workspace_authz.aio.clock import Clock
from workspace_authz.errors import ForbiddenError, UnauthenticatedError
from workspace_authz.identity.credentials import MAX_TOKEN_BYTES, expiry
from workspace_authz.identity.sessions.session import Identity
from workspace_authz.identity.sign_in.claims import groups_of, user_of
from workspace_authz.identity.sign_in.id_tokens import UNUSABLE, verified_claims
from workspace_authz.identity.sign_in.metadata import ProviderMetadata
from workspace_authz.identity.sign_in.oauth import OAuthClient
from workspace_authz.identity.sign_in.provider import NO_ANSWER, NOT_ALLOWED, Attempt, ProviderError
from workspace_authz.settings.sign_in_file import OidcConfiguration
from workspace_authz.types import UserInfo

_MOST_HINT_BYTES: Final = 6000
"""Of an ID token in an address: nginx takes a request line of 8 KiB (``large_client_header_buffers``).
Without it, the provider asks whether to sign out (OpenID Connect RP-Initiated Logout 1.0, section 2)."""


@dataclass(frozen=True, slots=True)
class _Grant:
    """What the token endpoint has answered."""

    access_token: str = field(repr=False)
    id_token: str = field(repr=False)
    refresh_token: str = field(repr=False)

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> _Grant:
        parts = [answer.get(name) or "" for name in ("access_token", "id_token", "refresh_token")]
        if not all(isinstance(part, str) and part.isascii() for part in parts):
            raise ProviderError(NO_ANSWER)
        return cls(*parts)


class OidcProvider:
    """A :class:`~workspace_authz.identity.sign_in.provider.SignInProvider` of OpenID Connect.

    ``reserved`` are names of Kubernetes' own that it may give to a user. :meth:`close` it at the end.
    """

    def __init__(
        self,
        configuration: OidcConfiguration,
        *,
        tls: ssl.SSLContext,
        clock: Clock,
        reserved: Collection[str] = (),
    ) -> None:
        self._configuration = configuration
        self._clock = clock
        self._reserved = reserved
        self._client = OAuthClient(configuration.client, tls=tls)
        self._metadata = ProviderMetadata(
            configuration.metadata_url, issuer=configuration.issuer.url, tls=tls, clock=clock
        )

    @property
    def name(self) -> str:
        """See :class:`~workspace_authz.identity.sign_in.provider.SignInProvider`."""
        return self._configuration.name

    @property
    def title(self) -> str:
        """See :class:`~workspace_authz.identity.sign_in.provider.SignInProvider`."""
        return self._configuration.title or self._configuration.name

    @property
    def command_line(self) -> Mapping[str, str]:
        """See :class:`~workspace_authz.identity.sign_in.provider.SignInProvider`."""
        client = self._configuration.command_line
        if client is None:
            return {}
        issuer = self._configuration.issuer.url
        return {"issuer": issuer, "clientId": client.id, "scope": " ".join(client.scopes)}

    @property
    def issuer(self) -> str | None:
        """Whose tokens of the command line it verifies; None where there are none, or the API server does."""
        configuration = self._configuration
        if configuration.command_line is None or configuration.trusted_by_api_server:
            return None
        return configuration.issuer.url

    async def close(self) -> None:
        """Close its connections."""
        await self._metadata.close()

    async def authorization_url(self, attempt: Attempt) -> str:
        """See :class:`~workspace_authz.identity.sign_in.provider.SignInProvider`."""
        endpoint = await self._metadata.required_endpoint("authorization_endpoint")
        return await self._client.authorization_url(endpoint, attempt, nonce=True)

    async def owner(self, token: str) -> UserInfo:
        """The owner of an ID token that was made for the command line.

        See :class:`~workspace_authz.identity.issuers.TokenIssuer`. Raises :class:`UnauthenticatedError`,
        :class:`ForbiddenError` or :class:`ProviderError`.
        """
        client = self._configuration.command_line
        if client is None:
            raise UnauthenticatedError(UNUSABLE)
        claims = await verified_claims(
            token,
            self._metadata,
            issuer=self._configuration.issuer.url,
            client_id=client.id,
            clock=self._clock,
            nonce=None,
            access_token="",
        )
        self._admit(claims)
        return user_of(claims, self._configuration.claim_mappings, allowed=self._reserved)

    async def redeem(self, attempt: Attempt, answer: Mapping[str, str]) -> Identity:
        """See :class:`~workspace_authz.identity.sign_in.provider.SignInProvider`."""
        if answer.get("iss", self._configuration.issuer.url) != self._configuration.issuer.url:  # RFC 9207
            raise UnauthenticatedError("The answer is another provider's. Sign in again.")
        if "error" in answer or not answer.get("code"):
            raise UnauthenticatedError("The provider has not signed you in.")
        endpoint = await self._metadata.required_endpoint("token_endpoint")
        grant = _Grant.of(await self._client.redeem(endpoint, attempt, code=answer["code"]))
        claims = await self._claims(grant, nonce=attempt.nonce)
        return self._identity(claims, grant)

    async def renew(self, identity: Identity) -> Identity:
        """See :class:`~workspace_authz.identity.sign_in.provider.SignInProvider`."""
        endpoint = await self._metadata.required_endpoint("token_endpoint")
        grant = _Grant.of(await self._client.refresh(endpoint, identity.renewal_token))
        if not grant.id_token and self._configuration.trusted_by_api_server:
            raise UnauthenticatedError(UNUSABLE)
        if not grant.refresh_token:
            grant = replace(grant, refresh_token=identity.renewal_token)
        claims = await self._claims(grant, nonce=None) if grant.id_token else await self._user_info(grant)
        if not grant.id_token:
            grant = replace(grant, id_token=identity.id_token)
        return self._identity(claims, grant)

    async def sign_out(self, identity: Identity, *, back_to: str) -> str | None:
        """See :class:`~workspace_authz.identity.sign_in.provider.SignInProvider`."""
        try:
            endpoint = await self._metadata.endpoint("end_session_endpoint")
        except ProviderError:
            return None
        if endpoint is None:
            return None
        parameters = {"client_id": self._configuration.client.id, "post_logout_redirect_uri": back_to}
        if 0 < len(identity.id_token) <= _MOST_HINT_BYTES:
            parameters["id_token_hint"] = identity.id_token
        return str(httpx2.URL(endpoint).copy_merge_params(parameters))

    async def _claims(self, grant: _Grant, *, nonce: str | None) -> Mapping[str, Any]:
        """The claims of the ID token, and of UserInfo where groups are told there only."""
        configuration = self._configuration
        claims = await verified_claims(
            grant.id_token,
            self._metadata,
            issuer=configuration.issuer.url,
            client_id=configuration.client.id,
            clock=self._clock,
            nonce=nonce,
            access_token=grant.access_token,
        )
        groups = configuration.claim_mappings.groups
        if groups is None or groups.claim in claims or configuration.trusted_by_api_server:
            return claims
        if await self._metadata.endpoint("userinfo_endpoint") is None:
            return claims
        more = await self._user_info(grant)
        if more.get("sub") != claims["sub"]:  # OpenID Connect Core 1.0, 5.3.2
            raise UnauthenticatedError(UNUSABLE)
        return {**more, **claims}

    async def _user_info(self, grant: _Grant) -> Mapping[str, Any]:
        endpoint = await self._metadata.required_endpoint("userinfo_endpoint")
        found = await self._metadata.ask(endpoint, grant.access_token)
        if not isinstance(found.get("sub"), str):
            raise ProviderError(NO_ANSWER)
        return found

    def _identity(self, claims: Mapping[str, Any], grant: _Grant) -> Identity:
        configuration, now = self._configuration, self._clock.time()
        self._admit(claims)
        renew = configuration.renew_seconds
        identity = Identity(
            subject=f"{configuration.issuer.url}#{claims['sub']}",
            renewal_token=grant.refresh_token,
            id_token=grant.id_token,
            renew_at=now + renew if grant.refresh_token else None,
            ends_at=now + 2 * renew if grant.refresh_token else None,
        )
        if not configuration.trusted_by_api_server:
            user = user_of(claims, configuration.claim_mappings, allowed=self._reserved)
            return replace(identity, user=user)
        return _by_token(identity, grant.id_token, now=now)

    def _admit(self, claims: Mapping[str, Any]) -> None:
        """Raise :class:`ForbiddenError` for somebody in none of the groups that may sign in."""
        allowed = set(self._configuration.allowed_groups)
        if allowed and allowed.isdisjoint(groups_of(claims, self._configuration.claim_mappings)):
            raise ForbiddenError(NOT_ALLOWED)


def _by_token(identity: Identity, token: str, *, now: float) -> Identity:
    """The identity whose rights are reviewed with the ID token, for as long as it lasts."""
    ends = expiry(token)
    if ends is None or len(token) > MAX_TOKEN_BYTES:
        raise UnauthenticatedError(UNUSABLE)
    renew = identity.renew_at
    if renew is not None:
        # Before the API server rejects it: a request in between should not fail.
        renew = min(renew, max(now + 1, ends - max(10.0, (ends - now) / 5)))
    return replace(identity, token=token, renew_at=renew, ends_at=ends)
