"""How a session begins and ends: at a provider, or with a pasted token."""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Final

from workspace_authz.aio.clock import Clock
from workspace_authz.errors import MissingError, RequestError, UnauthenticatedError, UnavailableError
from workspace_authz.identity.authenticator import AuthenticatorChain, Presented
from workspace_authz.identity.credentials import AUTHORIZATION, expiry
from workspace_authz.identity.rate_limit import Rejections
from workspace_authz.identity.sessions.sealer import Sealer, SealError
from workspace_authz.identity.sessions.session import Identity
from workspace_authz.identity.sessions.sessions import Sessions
from workspace_authz.identity.sign_in.provider import Attempt, SignInProvider
from workspace_authz.types import Caller, UserInfo

ATTEMPT_SECONDS: Final = 600
"""How long somebody may take at a provider."""
_ATTEMPT: Final = "sign-in-attempt"
_NO_ATTEMPT: Final = (
    "This sign-in was not begun in this browser, or too long ago, or another one was begun since. Try again."
)


@dataclass(frozen=True, slots=True)
class Begun:
    """A session that has begun."""

    cookie: bytes = field(repr=False)
    user: UserInfo
    """Who has signed in; for a token of the API server's, the name is that of the account."""
    back_to: str
    """The path of the page that the person asked for."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """Signs people in and out."""

    sessions: Sessions
    providers: Mapping[str, SignInProvider]
    sealer: Sealer
    clock: Clock
    rejections: Rejections
    """Of codes and states, by address: each costs the provider a request."""
    takes_tokens: bool = True
    """Whether a token can be pasted."""

    async def begin(self, provider: str, *, redirect_uri: str, back_to: str) -> tuple[str, bytes]:
        """Where the browser is sent, and the value of the cookie that it brings back.

        Raises :class:`MissingError` for an unknown provider, and ``ProviderError``.
        """
        attempt = Attempt(
            provider=provider,
            state=secrets.token_urlsafe(32),
            nonce=secrets.token_urlsafe(32),
            verifier=secrets.token_urlsafe(48),
            redirect_uri=redirect_uri,
            back_to=back_to,
            expires_at=self.clock.time() + ATTEMPT_SECONDS,
        )
        url = await self._provider(provider).authorization_url(attempt)
        return url, self.sealer.seal(json.dumps(asdict(attempt)).encode(), purpose=_ATTEMPT)

    async def finish(self, cookies: Sequence[bytes], answer: Mapping[str, str], *, peer: str) -> Begun:
        """The session of who comes back from a provider with the parameters ``answer``.

        ``cookies`` are those of the attempt. Raises :class:`UnauthenticatedError`, ``ForbiddenError``,
        ``TooManyRequestsError`` or :class:`UnavailableError`.
        """
        attempt = self._attempt(cookies, answer.get("state", ""))
        await self.rejections.admit(peer)
        provider = self._provider(attempt.provider)
        try:
            identity = await provider.redeem(attempt, answer)
        except UnavailableError:
            raise
        except RequestError:
            self.rejections.charge(peer)
            raise
        cookie = await self.sessions.begin(attempt.provider, identity)
        return Begun(cookie, identity.user or UserInfo(identity.subject), attempt.back_to)

    async def with_token(
        self, token: str, identity: AuthenticatorChain, *, peer: str
    ) -> tuple[Caller, bytes]:
        """The owner of a pasted token, by ``identity``, and the value of their session's cookie.

        Raises as :meth:`AuthenticatorChain.authenticate` and :meth:`Sessions.begin` do.
        """
        if not self.takes_tokens:
            raise MissingError("No token can be pasted here.")
        bearer = b"Bearer " + token.encode("utf-8", "replace")
        presented = Presented(((AUTHORIZATION, bearer),), peer=peer)
        caller = await identity.authenticate(presented, unverified=lambda _: None)
        session = Identity(subject=caller.user.username, token=token, ends_at=expiry(token))
        return caller, await self.sessions.begin("", session)

    async def end(self, cookies: Sequence[bytes], *, back_to: str) -> str | None:
        """End the sessions of these cookies. Returns where the browser is sent to sign out there, too.

        Raises :class:`UnavailableError`.
        """
        url = None
        for cookie in cookies:
            session = await self.sessions.end(cookie)
            if session is not None and (provider := self.providers.get(session.provider)) is not None:
                url = await provider.sign_out(session.identity, back_to=back_to)
        return url

    def _provider(self, name: str) -> SignInProvider:
        provider = self.providers.get(name)
        if provider is None:
            raise MissingError("There is no such provider.")
        return provider

    def _attempt(self, cookies: Sequence[bytes], state: str) -> Attempt:
        """The attempt of this browser that has this state. Raises :class:`UnauthenticatedError`."""
        try:
            (cookie,) = cookies
            attempt = Attempt(**json.loads(self.sealer.open(cookie, purpose=_ATTEMPT)))
        except (ValueError, SealError):
            raise UnauthenticatedError(_NO_ATTEMPT) from None
        same = hmac.compare_digest(attempt.state.encode(), state.encode("utf-8", "replace"))
        if not same or self.clock.time() >= attempt.expires_at:
            raise UnauthenticatedError(_NO_ATTEMPT)
        return attempt
