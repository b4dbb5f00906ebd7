"""What a provider says about itself: its endpoints and the keys with which it signs."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any, Final, Generic, TypeVar

import httpx2
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from workspace_authz.aio.clock import Clock
from workspace_authz.aio.coalesce import Coalescer
from workspace_authz.errors import UnauthenticatedError
from workspace_authz.identity.sign_in.provider import NO_ANSWER, ProviderError
from workspace_authz.settings.sign_in_file import safe_url

TIMEOUT_SECONDS: Final = 7.0
"""For each request to a provider: shorter than the time that a verdict may take."""
MOST_ANSWER_BYTES: Final = 2**20
_KEEP_SECONDS: Final = 3600.0
_RETRY_SECONDS: Final = 1.0
_ENDED: Final = "The provider does not accept this sign-in any more. Sign in again."
_REFETCH_SECONDS: Final = 10.0
"""The keys are not fetched again sooner, whatever tokens name."""

V = TypeVar("V")


async def fetch_json(client: httpx2.AsyncClient, url: str, *, token: str = "") -> Mapping[str, Any]:
    """A JSON object by GET, with a token if there is one (RFC 6750).

    Raises :class:`UnauthenticatedError` when the token is not accepted, and :class:`ProviderError`.
    """
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        async with client.stream("GET", url, headers=headers) as answer:
            if token and answer.status_code == httpx2.codes.UNAUTHORIZED:
                raise UnauthenticatedError(_ENDED)
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


class _Fetched(Generic[V]):
    """One thing that a provider says: fetched once for all who ask, and not again right after a failure.

    So a stranger who begins to sign in again and again costs an unreachable provider one request a second.
    """

    def __init__(self, fetch: Callable[[], Coroutine[Any, Any, V]], *, clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._found: tuple[V, float] | None = None
        self._failed_at = -_RETRY_SECONDS
        self._asking: Coalescer[None, V] = Coalescer()

    async def get(self, *, seconds: float) -> V:
        """What it says, at most so many seconds old. Raises :class:`ProviderError`."""
        now = self._clock.monotonic()
        if self._found is not None and now - self._found[1] < seconds:
            return self._found[0]
        if now - self._failed_at < _RETRY_SECONDS:
            raise ProviderError(NO_ANSWER)
        return await self._asking.share(None, self._ask)

    async def _ask(self) -> V:
        try:
            found = await self._fetch()
        except ProviderError:
            self._failed_at = self._clock.monotonic()
            raise
        self._found = found, self._clock.monotonic()
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
        self._client = httpx2.AsyncClient(verify=tls, timeout=TIMEOUT_SECONDS)
        self._configuration = _Fetched(self._fetch_configuration, clock=clock)
        self._keys = _Fetched(self._fetch_keys, clock=clock)

    async def close(self) -> None:
        """Close its connections."""
        await self._client.aclose()

    async def endpoint(self, name: str) -> str | None:
        """The URL of an endpoint; None where the provider has none. Raises :class:`ProviderError`."""
        url = (await self._configuration.get(seconds=_KEEP_SECONDS)).get(name)
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
        keys = await self._keys.get(seconds=_KEEP_SECONDS)
        if all(key.kid != key_id for key in keys):
            keys = await self._keys.get(seconds=_REFETCH_SECONDS)
        return keys

    async def ask(self, url: str, access_token: str) -> Mapping[str, Any]:
        """A JSON object for the owner of a token. Raises as :func:`fetch_json`."""
        return await fetch_json(self._client, url, token=access_token)

    async def delete(self, url: str, access_token: str) -> None:
        """Delete what is at ``url``, if that can be done."""
        with suppress(httpx2.HTTPError):
            await self._client.delete(url, headers={"Authorization": f"Bearer {access_token}"})

    async def _fetch_configuration(self) -> Mapping[str, Any]:
        found = await fetch_json(self._client, self._discovery_url)
        # OpenID Connect Discovery 1.0, 4.3: else one provider could speak for another.
        if self._issuer is not None and found.get("issuer") != self._issuer:
            raise ProviderError("The provider's configuration names another issuer than ours does.")
        return found

    async def _fetch_keys(self) -> KeySet:
        found = await fetch_json(self._client, await self.required_endpoint("jwks_uri"))
        try:
            return KeySet.import_key_set(_signing(found))
        except (JoseError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ProviderError("The provider's keys cannot be used.") from error


def _signing(found: Mapping[str, Any]) -> Any:
    """The keys for signatures: asymmetric ones, and none for encryption."""
    keys = [
        key
        for key in found["keys"]
        if key.get("kty") in ("RSA", "EC", "OKP") and key.get("use", "sig") == "sig"
    ]
    return {"keys": keys}
