"""What a provider does for a person who signs in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from workspace_authz.errors import UnavailableError
from workspace_authz.identity.sessions.session import Identity, Provider

NO_ANSWER: Final = "The provider of identities gave no answer; try again."
NOT_ALLOWED: Final = "You are signed in at the provider, but not in a group that may use this server."


class ProviderError(UnavailableError):
    """A provider gave no usable answer."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to sign in, which the browser carries in a sealed cookie until it comes back."""

    provider: str
    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    """The code verifier of PKCE (RFC 7636)."""
    redirect_uri: str
    back_to: str
    """The path of the page that the person asked for."""
    expires_at: float
    """In seconds since the epoch."""


class SignInProvider(Provider, Protocol):
    """A provider at which people sign in with their browser (OAuth 2.0, authorization code)."""

    @property
    def name(self) -> str:
        """Its name in addresses."""

    @property
    def title(self) -> str:
        """Its name on the button."""

    @property
    def command_line(self) -> Mapping[str, str]:
        """What ``workspace-authz login`` needs: ``issuer``, ``clientId``, ``scope``; empty: not offered."""

    async def authorization_url(self, attempt: Attempt) -> str:
        """Where the browser is sent. Raises :class:`ProviderError`."""

    async def redeem(self, attempt: Attempt, answer: Mapping[str, str]) -> Identity:
        """Who has signed in, by the parameters with which the browser came back.

        Raises ``UnauthenticatedError`` for a code or a token that cannot be used, ``ForbiddenError`` for
        somebody who may not sign in, and :class:`ProviderError`.
        """

    async def sign_out(self, identity: Identity, *, back_to: str) -> str | None:
        """End what the provider keeps of the session.

        Returns where the browser is sent to sign out at the provider, too, from where it comes ``back_to``
        this server; None where there is no such place. Does not raise: the session here has ended.
        """
