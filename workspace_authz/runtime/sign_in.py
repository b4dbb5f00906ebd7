"""Signing in with a browser, as a worker does it."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from workspace_authz.aio.clock import Clock
from workspace_authz.aio.supervisor import Supervisor
from workspace_authz.database.threads import DatabaseThreads
from workspace_authz.errors import ConfigurationError, UnavailableError
from workspace_authz.identity.authenticator import Authenticator
from workspace_authz.identity.issuers import TokenIssuer
from workspace_authz.identity.rate_limit import Rejections
from workspace_authz.identity.sessions.authenticator import SessionAuthenticator
from workspace_authz.identity.sessions.cookies import Cookies
from workspace_authz.identity.sessions.sealer import Sealer, SessionKeys
from workspace_authz.identity.sessions.sessions import Lifetimes, Sessions
from workspace_authz.identity.sign_in.flow import SignIn
from workspace_authz.identity.sign_in.oidc import OidcProvider
from workspace_authz.identity.sign_in.openshift import OpenShiftProvider
from workspace_authz.identity.sign_in.tls import provider_tls
from workspace_authz.settings.settings import Settings
from workspace_authz.settings.sign_in_file import OpenShiftConfiguration, ProviderConfiguration

_SWEEP_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True)
class BrowserSessions:
    """The sessions of this server, and how they begin."""

    sign_in: SignIn
    cookies: Cookies
    origins: Collection[str]
    """Of this server's pages."""
    keys: SessionKeys

    def authenticator(
        self, tokens: Sequence[Authenticator], provided: Sequence[Authenticator]
    ) -> Authenticator:
        """Authenticates callers by a session; see :class:`SessionAuthenticator`."""
        return SessionAuthenticator(self.sign_in.sessions, self.cookies, self.origins, tokens, provided)

    @property
    def issuers(self) -> Mapping[str, TokenIssuer]:
        """The issuers whose tokens this server verifies, by what their tokens call them."""
        return {
            provider.issuer: provider
            for provider in self.sign_in.providers.values()
            if isinstance(provider, OidcProvider) and provider.issuer is not None
        }

    def start(self, supervisor: Supervisor) -> None:
        """Start the work in the background."""
        supervisor.run("session keys", partial(self.keys.follow, self.sign_in.clock))
        supervisor.run("session sweep", self._sweep)

    async def _sweep(self) -> None:
        """Delete the sessions that have ended, again and again until cancelled."""
        while True:
            await self.sign_in.clock.sleep(_SWEEP_SECONDS)
            with suppress(UnavailableError):  # a later sweep deletes them
                await self.sign_in.sessions.sweep()


@asynccontextmanager
async def browser_sessions(
    settings: Settings, database: DatabaseThreads, *, origins: Sequence[str], path: str, clock: Clock
) -> AsyncIterator[BrowserSessions | None]:
    """The sessions that ``settings`` ask for, while the block runs; None where nobody signs in.

    They are kept in ``database``. ``origins`` are those of the public URLs, ``path`` is the static prefix.
    Raises :class:`ConfigurationError`.
    """
    configuration = settings.sign_in_configuration
    if configuration is None or settings.session_keys is None:
        yield None
        return
    keys = SessionKeys(Path(settings.session_keys))
    sealer = Sealer(keys)
    async with AsyncExitStack() as stack:
        providers = [_provider(each, settings, clock=clock) for each in configuration.providers]
        for provider in providers:
            stack.push_async_callback(provider.close)
        by_name = {provider.name: provider for provider in providers}
        sessions = Sessions(
            database,
            sealer,
            providers=by_name,
            lifetimes=Lifetimes(total=settings.session_seconds, idle=settings.session_idle_seconds),
            clock=clock,
        )
        yield BrowserSessions(
            sign_in=SignIn(
                sessions=sessions,
                providers=by_name,
                sealer=sealer,
                clock=clock,
                rejections=Rejections(clock, per_second=settings.rejections_per_second),
                takes_tokens=configuration.tokens,
            ),
            cookies=Cookies(
                secure=all(origin.startswith("https://") for origin in origins),
                path=path.rstrip("/") or "/",
            ),
            origins=frozenset(origins),
            keys=keys,
        )


def check_sign_in(settings: Settings) -> None:
    """Raise :class:`ConfigurationError` for keys or certificates that cannot be used. Blocks."""
    if (configuration := settings.sign_in_configuration) is None or settings.session_keys is None:
        return
    SessionKeys(Path(settings.session_keys))
    for provider in configuration.providers:
        _tls(provider)


def _provider(
    configuration: ProviderConfiguration, settings: Settings, *, clock: Clock
) -> OidcProvider | OpenShiftProvider:
    tls = _tls(configuration)
    if isinstance(configuration, OpenShiftConfiguration):
        return OpenShiftProvider(configuration, tls=tls, clock=clock)
    return OidcProvider(configuration, tls=tls, clock=clock, reserved=settings.allowed_system_names)


def _tls(configuration: ProviderConfiguration) -> ssl.SSLContext:
    """How a provider is verified. Blocks. Raises :class:`ConfigurationError`."""
    try:
        return provider_tls(configuration.authority)
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or type(error).__name__
        raise ConfigurationError(
            f"The certificateAuthority of the provider {configuration.name} cannot be used: {reason}."
        ) from error
