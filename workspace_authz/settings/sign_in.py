"""Settings about signing in with a browser."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property

from pydantic import Field
from pydantic_settings import BaseSettings

from workspace_authz.errors import ConfigurationError
from workspace_authz.settings.sign_in_file import ProviderConfiguration, SignInConfiguration, read_sign_in


class SignInSettings(BaseSettings):
    """How people sign in, and how long that lasts."""

    session_keys: str | None = Field(
        default=None,
        description="The file with the keys of sessions, which all replicas share: one key of 32 bytes in "
        "base64 in each line (`head -c 32 /dev/urandom | base64`). The first one encrypts, the others still "
        "decrypt. It is read again when it changes. [Signing in with a browser](sign-in.md) is on when this "
        "is set; it needs `public_url` too.",
    )
    sign_in: str | None = Field(
        default=None,
        description="The YAML file with the [providers at which people sign in](sign-in.md). Without it, the "
        "variables `OIDC_DISCOVERY_URL`, `OIDC_CLIENT_ID` and so on are read as mlflow-oidc-auth reads them; "
        "without them, a token can be pasted.",
    )
    session_seconds: float = Field(
        default=12 * 3600.0, gt=0, le=30 * 86_400, description="How long a session lasts, used or not."
    )
    session_idle_seconds: float = Field(
        default=2 * 3600.0,
        ge=60,
        le=30 * 86_400,
        description="How long a session lasts that is not used.",
    )

    @cached_property
    def sign_in_configuration(self) -> SignInConfiguration | None:
        """Where people sign in; None where they cannot.

        Reads the file once. Raises :class:`ConfigurationError`.
        """
        if self.session_keys is not None:
            return read_sign_in(self.sign_in, os.environ)
        if self.sign_in is not None:
            raise ConfigurationError(
                "WORKSPACE_AUTHZ_SIGN_IN is set, but there are no keys for sessions: make a file with "
                "`head -c 32 /dev/urandom | base64` and name it in WORKSPACE_AUTHZ_SESSION_KEYS."
            )
        return None

    @property
    def reviews_people_by_name(self) -> bool:
        """Whether some who sign in are known by name only: the API server does not know their provider."""
        return any(not provider.trusted_by_api_server for provider in self._providers)

    @property
    def people_by_api_token(self) -> Sequence[str]:
        """The names of the providers whose tokens the API server accepts."""
        return [provider.name for provider in self._providers if provider.trusted_by_api_server]

    @property
    def _providers(self) -> Sequence[ProviderConfiguration]:
        configuration = self.sign_in_configuration
        return () if configuration is None else configuration.providers
