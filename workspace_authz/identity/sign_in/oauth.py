"""The part of signing in that all providers have: OAuth 2.0 with PKCE, by Authlib."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx2
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import AsyncOAuth2Client

from workspace_authz.errors import UnauthenticatedError
from workspace_authz.identity.sign_in.metadata import TIMEOUT_SECONDS
from workspace_authz.identity.sign_in.provider import NO_ANSWER, Attempt, ProviderError
from workspace_authz.settings.sign_in_file import Client

_REFUSED: Final = frozenset({"invalid_grant", "access_denied", "login_required", "interaction_required"})
"""Error codes that speak of the person's grant. Others speak of how this server is registered."""


class OAuthClient:
    """This server as the client of a provider."""

    def __init__(self, registered: Client, *, tls: ssl.SSLContext) -> None:
        self._registered = registered
        self._tls = tls

    async def authorization_url(self, endpoint: str, attempt: Attempt, *, nonce: bool = False) -> str:
        """Where the browser is sent. Raises :class:`ProviderError` without our own secret."""
        more = {"nonce": attempt.nonce} if nonce else {}
        async with self._client(redirect_uri=attempt.redirect_uri) as client:
            url, _ = client.create_authorization_url(
                endpoint, state=attempt.state, code_verifier=attempt.verifier, **more
            )
        return str(url)

    async def redeem(self, endpoint: str, attempt: Attempt, *, code: str) -> Mapping[str, Any]:
        """What the token endpoint gives for a code.

        Raises :class:`UnauthenticatedError` when it does not accept the code, and :class:`ProviderError`.
        """
        async with self._token_endpoint(endpoint, redirect_uri=attempt.redirect_uri) as client:
            found: Mapping[str, Any] = await client.fetch_token(
                grant_type="authorization_code", code=code, code_verifier=attempt.verifier
            )
        return found

    async def refresh(self, endpoint: str, refresh_token: str) -> Mapping[str, Any]:
        """What the token endpoint gives for a refresh token. Raises as :meth:`redeem`."""
        async with self._token_endpoint(endpoint) as client:
            found: Mapping[str, Any] = await client.refresh_token(refresh_token=refresh_token)
        return found

    @asynccontextmanager
    async def _token_endpoint(
        self, endpoint: str, *, redirect_uri: str | None = None
    ) -> AsyncIterator[AsyncOAuth2Client]:
        try:
            async with self._client(redirect_uri=redirect_uri, token_endpoint=endpoint) as client:
                yield client
        except AuthlibBaseError as error:
            if error.error in _REFUSED:
                raise UnauthenticatedError(
                    "The provider does not accept this sign-in. Sign in again."
                ) from None
            raise ProviderError(
                "The provider does not accept this server; tell its administrator."
            ) from error
        except (httpx2.HTTPError, ValueError, RecursionError) as error:
            raise ProviderError(NO_ANSWER) from error

    @asynccontextmanager
    async def _client(
        self, *, redirect_uri: str | None, token_endpoint: str | None = None
    ) -> AsyncIterator[AsyncOAuth2Client]:
        registered = self._registered
        async with AsyncOAuth2Client(
            registered.id,
            await self._secret(),
            scope=" ".join(registered.scopes),
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
            token_endpoint=token_endpoint,
            verify=self._tls,
            timeout=TIMEOUT_SECONDS,
        ) as client:
            yield client

    async def _secret(self) -> str | None:
        registered = self._registered
        if registered.secret_file is None:
            return registered.secret.get_secret_value() if registered.secret is not None else None
        try:
            return (await asyncio.to_thread(registered.secret_file.read_text, "utf-8")).strip()
        except (OSError, ValueError) as error:
            raise ProviderError("This server's own secret cannot be read; tell its administrator.") from error
