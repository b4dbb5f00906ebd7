"""Signing in at the OAuth server of an OpenShift cluster.

Written from the documentation of OpenShift Container Platform 4.19, "Authentication and authorization":
"Configuring OAuth clients", "Using a service account as an OAuth client" and "Scoping tokens". It has been
run against a stand-in of the tests only.

An ``OAuthClient`` may have the scope ``user:full``: then rights are reviewed with the person's own token. A
service account as client gets ``user:info`` and ``user:check-access`` at most: then the token says who it is,
and the review is about the name. The token's scopes do not count there: our own code flow asked for them, and
nobody has presented the token.
"""

from __future__ import annotations

import base64
import hashlib
import ssl
from collections.abc import Mapping
from typing import Any, Final

from workspace_authz.aio.clock import Clock
from workspace_authz.errors import ForbiddenError, UnauthenticatedError
from workspace_authz.identity.credentials import MAX_TOKEN_BYTES
from workspace_authz.identity.sessions.session import Identity
from workspace_authz.identity.sign_in.metadata import ProviderMetadata
from workspace_authz.identity.sign_in.oauth import OAuthClient
from workspace_authz.identity.sign_in.provider import NO_ANSWER, NOT_ALLOWED, Attempt, ProviderError
from workspace_authz.settings.sign_in_file import OpenShiftConfiguration
from workspace_authz.types import UserInfo

_MYSELF: Final = "/apis/user.openshift.io/v1/users/~"
_TOKENS: Final = "/apis/oauth.openshift.io/v1/useroauthaccesstokens/"
_PREFIX: Final = "sha256~"
_GROUPS: Final = ("system:authenticated", "system:authenticated:oauth")
"""Of everybody who has signed in there; ``users/~`` does not name them."""
_SERVICE_ACCOUNT: Final = "system:serviceaccount:"


class OpenShiftProvider:
    """A :class:`~workspace_authz.identity.sign_in.provider.SignInProvider` of OpenShift.

    :meth:`close` it at the end.
    """

    def __init__(self, configuration: OpenShiftConfiguration, *, tls: ssl.SSLContext, clock: Clock) -> None:
        self._configuration = configuration
        self._clock = clock
        self._client = OAuthClient(configuration.client, tls=tls)
        self._metadata = ProviderMetadata(configuration.metadata_url, tls=tls, clock=clock)

    @property
    def name(self) -> str:
        """See :class:`~workspace_authz.identity.sign_in.provider.SignInProvider`."""
        return self._configuration.name

    @property
    def title(self) -> str:
        """See :class:`~workspace_authz.identity.sign_in.provider.SignInProvider`."""
        return self._configuration.title or "OpenShift"

    @property
    def command_line(self) -> Mapping[str, str]:
        """Empty: OpenShift's clients have ``oc login``."""
        return {}

    async def close(self) -> None:
        """Close its connections."""
        await self._metadata.close()

    async def authorization_url(self, attempt: Attempt) -> str:
        """See :class:`~workspace_authz.identity.sign_in.provider.SignInProvider`."""
        endpoint = await self._metadata.required_endpoint("authorization_endpoint")
        return await self._client.authorization_url(endpoint, attempt)

    async def redeem(self, attempt: Attempt, answer: Mapping[str, str]) -> Identity:
        """See :class:`~workspace_authz.identity.sign_in.provider.SignInProvider`."""
        if "error" in answer or not answer.get("code"):
            raise UnauthenticatedError("OpenShift has not signed you in.")
        endpoint = await self._metadata.required_endpoint("token_endpoint")
        given = await self._client.redeem(endpoint, attempt, code=answer["code"])
        token, seconds = given.get("access_token"), given.get("expires_in")
        if not isinstance(token, str) or not token.isascii() or not 0 < len(token) <= MAX_TOKEN_BYTES:
            raise ProviderError(NO_ANSWER)
        ends = self._clock.time() + seconds if isinstance(seconds, int) and seconds > 0 else None
        return await self._identity(token, ends_at=ends)

    async def renew(self, identity: Identity) -> Identity:
        """See :class:`~workspace_authz.identity.sign_in.provider.SignInProvider`."""
        return await self._identity(identity.renewal_token, ends_at=identity.token_ends_at)

    async def sign_out(self, identity: Identity, *, back_to: str) -> str | None:
        """See :class:`~workspace_authz.identity.sign_in.provider.SignInProvider`.

        The token is deleted, as ``oc logout`` does; with the scopes of a service account it cannot be, and
        ends by itself. OpenShift has no page to sign out.
        """
        secret = identity.renewal_token.removeprefix(_PREFIX).encode("ascii")
        digest = base64.urlsafe_b64encode(hashlib.sha256(secret).digest()).rstrip(b"=").decode("ascii")
        url = f"{self._configuration.api_server}{_TOKENS}{_PREFIX}{digest}"
        if self._configuration.trusted_by_api_server:
            await self._metadata.delete(url, identity.renewal_token)
        return None

    async def _identity(self, token: str, *, ends_at: float | None) -> Identity:
        configuration, now = self._configuration, self._clock.time()
        if ends_at is not None and now >= ends_at:
            raise UnauthenticatedError("The token of this session has expired. Sign in again.")
        user = _user(await self._metadata.ask(configuration.api_server + _MYSELF, token))
        allowed = set(configuration.allowed_groups)
        if allowed and allowed.isdisjoint(user.groups):
            raise ForbiddenError(NOT_ALLOWED)
        by_name = not configuration.trusted_by_api_server
        renew = configuration.renew_seconds
        return Identity(
            subject=f"{configuration.api_server}#{user.uid or user.username}",
            user=user if by_name else None,
            token="" if by_name else token,
            renewal_token=token,
            token_ends_at=ends_at,
            renew_at=now + renew,
            ends_at=now + 2 * renew if ends_at is None else min(now + 2 * renew, ends_at),
        )


def _user(found: Mapping[str, Any]) -> UserInfo:
    """The user of ``users/~``, as the API server names them in reviews.

    Raises :class:`UnauthenticatedError` for a service account, and :class:`ProviderError`.
    """
    metadata, groups = found.get("metadata"), found.get("groups") or []
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(metadata, dict) or not isinstance(name, str) or not name:
        raise ProviderError(NO_ANSWER)
    if not isinstance(groups, list) or not all(isinstance(group, str) for group in groups):
        raise ProviderError(NO_ANSWER)
    if name.startswith(_SERVICE_ACCOUNT):
        raise UnauthenticatedError("A service account does not sign in with a browser.")
    return UserInfo(
        name, uid=str(metadata.get("uid") or ""), groups=tuple(dict.fromkeys([*groups, *_GROUPS]))
    )
