"""A client of an OpenID Connect provider: discovery, token requests, and what an ID token says.

OpenID Connect Core 1.0, Discovery 1.0, RFC 6749, RFC 7009 (revocation) and RFC 7636 (PKCE). A public client:
there is no client secret, since whoever has this program would have it. An ID token comes from the provider's
own token endpoint over TLS, so its signature need not be verified here (Core 1.0, 3.1.3.7, 6); the guarded
server or the Kubernetes API server verifies it.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import requests

from workspace_authz.client.sources import checked
from workspace_authz.errors import ConfigurationError
from workspace_authz.kubernetes.credentials import unverified_claims

DEFAULT_SCOPE: Final = "openid profile email"
_DISCOVERY: Final = "/.well-known/openid-configuration"
_SECONDS: Final = 15.0
_SKEW_SECONDS: Final = 60.0
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class RefusedError(ConfigurationError):
    """The provider refused; ``code`` is its error code (RFC 6749, 5.2)."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSet:
    """What a login yields."""

    id_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    """Empty where the provider gives none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """This program, as the provider knows it."""

    issuer: str
    client_id: str
    scope: str = DEFAULT_SCOPE
    ca_file: str = ""
    """A CA bundle for the provider; empty for what ``requests`` trusts."""

    def discover(self) -> Mapping[str, str]:
        """The provider's endpoints by name. Raises :class:`ConfigurationError`."""
        _demand_tls(self.issuer)
        document = self._asked(self.issuer.rstrip("/") + _DISCOVERY)
        if document.get("issuer") != self.issuer:
            raise ConfigurationError(
                f"The provider at {self.issuer} calls itself {document.get('issuer')!r}: give that as "
                "--issuer, if it is the one that you trust."
            )
        endpoints = {name: value for name, value in document.items() if name.endswith("_endpoint")}
        for value in endpoints.values():
            _demand_tls(value)
        return endpoints

    def token(self, endpoint: str, form: Mapping[str, str]) -> dict[str, Any]:
        """The answer of the token endpoint. Raises :class:`RefusedError`, or :class:`ConfigurationError`."""
        return self._asked(endpoint, {**form, "client_id": self.client_id})

    def refreshed(self, tokens: TokenSet, endpoint: str) -> TokenSet:
        """New tokens of the same person. Raises :class:`RefusedError` when the login has ended."""
        form = {"grant_type": "refresh_token", "refresh_token": tokens.refresh_token}
        answer = self.token(endpoint, form)
        subject = unverified_claims(tokens.id_token).get("sub")
        if "id_token" not in answer:
            raise RefusedError(f"{self.issuer} renews no ID tokens.", "no_id_token")
        renewed = self.accepted(answer)
        if unverified_claims(renewed.id_token).get("sub") != subject:
            raise RefusedError(f"{self.issuer} answered with somebody else's token.", "wrong_subject")
        # A provider that does not rotate them sends none.
        return (
            renewed
            if renewed.refresh_token
            else TokenSet(id_token=renewed.id_token, refresh_token=tokens.refresh_token)
        )

    def revoke(self, endpoint: str, tokens: TokenSet) -> None:
        """End the login at the provider (RFC 7009). Raises :class:`ConfigurationError`."""
        form = {"token": tokens.refresh_token, "token_type_hint": "refresh_token"}
        self._sent(endpoint, {**form, "client_id": self.client_id})

    def accepted(self, answer: Mapping[str, Any], *, nonce: str = "") -> TokenSet:
        """The tokens of an answer, if they are for this login. Raises :class:`ConfigurationError`."""
        id_token, refresh = str(answer.get("id_token") or ""), str(answer.get("refresh_token") or "")
        claims = unverified_claims(checked(id_token, f"{self.issuer}, asked for the scope {self.scope!r},"))
        audiences, expires = claims.get("aud"), claims.get("exp")
        usable = (
            claims.get("iss") == self.issuer
            and self.client_id in (audiences if isinstance(audiences, list) else [audiences])
            and isinstance(expires, int | float)
            and expires > time.time() - _SKEW_SECONDS
            and (not nonce or claims.get("nonce") == nonce)
        )
        if not usable:
            raise ConfigurationError(f"The ID token of {self.issuer} is not one for this login.")
        return TokenSet(id_token=id_token, refresh_token=refresh)

    def _asked(self, url: str, form: Mapping[str, str] | None = None) -> dict[str, Any]:
        response = self._sent(url, form)
        try:
            document = response.json()
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise ConfigurationError(f"{url} answered {response.status_code} and no JSON.")
        if response.status_code != 200:
            code, why = (str(document.get(name, ""))[:200] for name in ("error", "error_description"))
            raise RefusedError(f"{url} answered {response.status_code} {code}. {why}".strip(), code)
        return document

    def _sent(self, url: str, form: Mapping[str, str] | None) -> Any:
        try:
            return requests.request(
                "GET" if form is None else "POST",
                url,
                data=form,
                timeout=_SECONDS,
                allow_redirects=False,
                verify=self.ca_file or True,
                auth=anonymous,
            )
        except (requests.RequestException, OSError) as error:
            raise ConfigurationError(f"{url} cannot be reached: {_reason(error)}.") from error


@dataclass(frozen=True, slots=True)
class Proof:
    """PKCE, ``state`` and ``nonce`` of one login."""

    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48), repr=False)
    state: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)

    @property
    def challenged(self) -> Mapping[str, str]:
        """The parameters of RFC 7636, 4.3, by S256."""
        digest = hashlib.sha256(self.verifier.encode("ascii")).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
        return {"code_challenge": challenge, "code_challenge_method": "S256"}


def endpoint(endpoints: Mapping[str, str], name: str, *, issuer: str) -> str:
    """One of the provider's endpoints. Raises :class:`ConfigurationError` where it has none."""
    try:
        return endpoints[name]
    except KeyError:
        raise ConfigurationError(f"{issuer} has no {name}: this kind of login is not offered.") from None


def _demand_tls(url: object) -> None:
    parsed = urlsplit(url if isinstance(url, str) else "")
    if parsed.scheme == "https" or (parsed.scheme == "http" and parsed.hostname in _LOOPBACK):
        return
    raise ConfigurationError(f"A provider's addresses begin with https://, and {url!r} does not.")


def anonymous(request: Any) -> Any:
    """Adds nothing: otherwise ``requests`` would send a credential of the ``.netrc``."""
    return request


def _reason(error: Exception) -> str:
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not trusted; --ca-file names its CA"
    return "no answer in time" if isinstance(error, requests.Timeout) else type(error).__name__
