"""What a provider says about itself: its endpoints and the keys with which it signs."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import httpx2
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from workspace_authz.aio.clock import Clock
from workspace_authz.errors import UnauthenticatedError
from workspace_authz.identity.sign_in.provider import NO_ANSWER, ProviderError
from workspace_authz.settings.sign_in_file import safe_url

TIMEOUT_SECONDS: Final = 7.0
"""For each request to a provider: shorter than the time that a verdict may take."""
MOST_ANSWER_BYTES: Final = 2**20
_KEEP_SECONDS: Final = 3600.0
_REFETCH_SECONDS: Final = 10.0
"""The keys are not fetched again sooner, whatever tokens name."""


async def fetch_json(client: httpx2.AsyncClient, url: str, **options: Any) -> Mapping[str, Any]:
    """A JSON object by GET. Raises :class:`UnauthenticatedError` for a 401, and :class:`ProviderError`."""
    try:
        async with client.stream("GET", url, **options) as answer:
            if answer.status_code == httpx2.codes.UNAUTHORIZED:
                raise UnauthenticatedError(
                    "The provider does not accept this sign-in any more. Sign in again."
                )
            answer.raise_for_status()
            content = bytearray()
            async for part in answer.aiter_bytes():
                content += part
                if len(content) > MOST_ANSWER_BYTES:
                    raise ProviderError(NO_ANSWER)
        found = httpx2.Response(200, content=bytes(content)).json()
    except (httpx2.HTTPError, ValueError, RecursionError) as error:
        raise ProviderError(NO_ANSWER) from error
    if not isinstance(found, dict):
        raise ProviderError(NO_ANSWER)
    return found


class ProviderMetadata:
    """The configuration and the keys of an OpenID provider (OpenID Connect Discovery 1.0; RFC 7517).

    They are fetched when they are needed, and kept for an hour. ``issuer`` is who it must say it is; None
    where the address alone says that.
    """

    def __init__(
        self, discovery_url: str, *, tls: ssl.SSLContext, clock: Clock, issuer: str | None = None
    ) -> None:
        self._discovery_url = discovery_url
        self._issuer = issuer
        self._clock = clock
        self._client = httpx2.AsyncClient(verify=tls, timeout=TIMEOUT_SECONDS)
        self._configuration: Mapping[str, Any] = {}
        self._configured_at = self._keys_at = -_KEEP_SECONDS
        self._keys: KeySet | None = None

    async def close(self) -> None:
        """Close its connections."""
        await self._client.aclose()

    async def configuration(self) -> Mapping[str, Any]:
        """The provider's configuration. Raises :class:`ProviderError`."""
        if self._age(self._configured_at) >= _KEEP_SECONDS:
            found = await fetch_json(self._client, self._discovery_url)
            # OpenID Connect Discovery 1.0, 4.3: else one provider could speak for another.
            if self._issuer is not None and found.get("issuer") != self._issuer:
                raise ProviderError("The provider's configuration names another issuer than ours does.")
            self._configuration, self._configured_at = found, self._clock.monotonic()
        return self._configuration

    async def endpoint(self, name: str) -> str | None:
        """The URL of an endpoint; None where the provider has none. Raises :class:`ProviderError`."""
        url = (await self.configuration()).get(name)
        try:
            return safe_url(url) if isinstance(url, str) else None
        except ValueError:
            raise ProviderError("The provider's configuration names an address without TLS.") from None

    async def required_endpoint(self, name: str) -> str:
        """As :meth:`endpoint`. Raises :class:`ProviderError` also where there is none."""
        url = await self.endpoint(name)
        if url is None:
            raise ProviderError(f"The provider's configuration has no {name}.")
        return url

    async def keys(self, *, key_id: str | None) -> KeySet:
        """The keys of the provider, fetched again for a new ``key_id``. Raises :class:`ProviderError`."""
        keys, age = self._keys, self._age(self._keys_at)
        unknown = keys is not None and all(key.kid != key_id for key in keys)
        if keys is None or age >= _KEEP_SECONDS or (unknown and age >= _REFETCH_SECONDS):
            self._keys_at = self._clock.monotonic()
            found = await fetch_json(self._client, await self.required_endpoint("jwks_uri"))
            try:
                keys = self._keys = KeySet.import_key_set(_signing(found))
            except (JoseError, ValueError, KeyError, TypeError) as error:
                raise ProviderError("The provider's keys cannot be used.") from error
        return keys

    async def ask(self, url: str, access_token: str) -> Mapping[str, Any]:
        """A JSON object for the owner of a token (RFC 6750).

        Raises :class:`UnauthenticatedError` when the token is not accepted, and :class:`ProviderError`.
        """
        return await fetch_json(self._client, url, headers={"Authorization": f"Bearer {access_token}"})

    async def delete(self, url: str, access_token: str) -> None:
        """Delete what is at ``url``, if that can be done."""
        with suppress(httpx2.HTTPError):
            await self._client.delete(url, headers={"Authorization": f"Bearer {access_token}"})

    def _age(self, since: float) -> float:
        return self._clock.monotonic() - since


def _signing(found: Mapping[str, Any]) -> Any:
    """The keys for signatures: asymmetric ones, and none for encryption."""
    keys = [
        key
        for key in found["keys"]
        if key.get("kty") in ("RSA", "EC", "OKP") and key.get("use", "sig") == "sig"
    ]
    return {"keys": keys}
