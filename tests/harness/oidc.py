"""An OpenID Connect provider: its access tokens are tokens of the dev plane, as a cluster's own are.

It has the code flow with PKCE, refresh tokens that count once, and the device flow (RFC 8628).
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.harness.http_server import JsonHandler, serving

CLIENT: Final = "mlflow"
"""The client's id, and the audience of ID tokens."""
HINT: Final = "login_hint"
"""The parameter of the login page's address that says who logs in: there is no form and no password."""
_KEY: Final = "key-1"
_SECONDS: Final = 3600


class OAuthError(Exception):
    """An error code of RFC 6749, 5.2, or RFC 8628, 3.5."""


@dataclass(slots=True)
class OidcProvider:
    """A provider that runs."""

    url: str
    """The issuer."""
    tokens: Mapping[str, str] = field(repr=False)
    """The access token of each user."""
    seconds: int = _SECONDS
    """The lifetime of ID tokens."""
    claims: dict[str, Any] = field(default_factory=dict)
    """What ID tokens say beside, or instead of, the usual."""
    asked: list[Mapping[str, str]] = field(default_factory=list)
    """The forms that came to the token endpoint."""
    _key: rsa.RSAPrivateKey = field(
        default_factory=lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048), repr=False
    )
    _codes: dict[str, tuple[str, Mapping[str, str]]] = field(default_factory=dict, repr=False)
    """The user of each code, and what the login page was asked."""
    _refresh: dict[str, str] = field(default_factory=dict, repr=False)
    _devices: dict[str, str] = field(default_factory=dict, repr=False)
    """Whose login each device code is; empty while it waits."""
    _challenges: dict[str, str] = field(default_factory=dict, repr=False)
    """The PKCE challenge of each device code, as Keycloak demands one."""
    _user_codes: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def discovery(self) -> dict[str, Any]:
        """OpenID Connect Discovery 1.0, section 3."""
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "device_authorization_endpoint": f"{self.url}/device",
            "revocation_endpoint": f"{self.url}/revoke",
            "jwks_uri": f"{self.url}/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }

    @property
    def keys(self) -> dict[str, Any]:
        """The public key, as RFC 7517 spells it."""
        public = jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return {"keys": [{**public, "kid": _KEY, "alg": "RS256", "use": "sig"}]}

    def login(self, asked: Mapping[str, str]) -> str:
        """Where the browser of who logged in goes next. Raises ``KeyError`` for who has no token."""
        user, code = asked[HINT], secrets.token_hex(16)
        assert self.tokens[user]
        self._codes[code] = (user, asked)
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def approve(self, user_code: str, user: str) -> None:
        """Somebody logs in on another device with the code that they were told."""
        self._devices[self._user_codes[user_code]] = user

    def answer(self, path: str, asked: Mapping[str, str]) -> dict[str, Any]:
        """The answer to a form. Raises :class:`OAuthError`."""
        if path == "/device":
            return self._device(asked)
        if path == "/revoke":
            self._refresh.pop(asked["token"], None)
            return {}
        self.asked.append(asked)
        match asked["grant_type"]:
            case "authorization_code":
                return self._redeem(asked)
            case "refresh_token":
                if user := self._refresh.pop(asked["refresh_token"], None):
                    return self._issue(user)
            case "urn:ietf:params:oauth:grant-type:device_code":
                if _challenge(asked) != self._challenges[asked["device_code"]]:
                    raise OAuthError("invalid_grant")
                if user := self._devices[asked["device_code"]]:
                    return self._issue(user)
                raise OAuthError("authorization_pending")
        raise OAuthError("invalid_grant")

    def _device(self, asked: Mapping[str, str]) -> dict[str, Any]:
        device, user_code = secrets.token_hex(16), secrets.token_hex(4)
        self._challenges[device] = asked["code_challenge"]
        self._devices[device], self._user_codes[user_code] = "", device
        return {
            "device_code": device,
            "user_code": user_code,
            "verification_uri": f"{self.url}/activate",
            "expires_in": 60,
            "interval": 0.02,
        }

    def _redeem(self, asked: Mapping[str, str]) -> dict[str, Any]:
        """The answer to a code, which counts once."""
        user, page = self._codes.pop(asked["code"], ("", {}))
        challenge = _challenge(asked)
        if not user or page.get("code_challenge", challenge) != challenge:
            raise OAuthError("invalid_grant")
        return self._issue(user, **({"nonce": page["nonce"]} if "nonce" in page else {}))

    def _issue(self, user: str, **claims: str) -> dict[str, Any]:
        now, refresh = int(time.time()), secrets.token_hex(16)
        self._refresh[refresh] = user
        said = {
            "iss": self.url,
            "aud": CLIENT,
            "sub": user,
            "iat": now,
            "exp": now + self.seconds,
            "jti": secrets.token_hex(8),
            "email": f"{user}@example.com",
            "email_verified": True,
            "preferred_username": user,
            "groups": ["people"],
            **claims,
            **self.claims,
        }
        return {
            "access_token": self.tokens[user],
            "token_type": "Bearer",
            "expires_in": self.seconds,
            "refresh_token": refresh,
            "id_token": jwt.encode(said, self._key, algorithm="RS256", headers={"kid": _KEY}),
        }


@contextmanager
def oidc_provider(tokens: Mapping[str, str]) -> Iterator[OidcProvider]:
    """A provider on loopback for as long as the block lasts."""

    class Handler(JsonHandler):
        def do_GET(self) -> None:  # noqa: N802 - the name that http.server looks for
            address = urlsplit(self.path)
            if address.path == "/authorize":
                self.send_response(302)
                self.send_header("Location", provider.login(_fields(address.query)))
                self.send_header("Content-Length", "0")
                self.end_headers()
            else:
                self.answer(provider.keys if address.path == "/keys" else provider.discovery)

        def do_POST(self) -> None:  # noqa: N802 - the name that http.server looks for
            try:
                self.answer(provider.answer(self.path, _fields(self.read().decode())))
            except OAuthError as error:
                self.answer({"error": str(error)}, status=400)

    provider = OidcProvider("", tokens)
    with serving(Handler) as provider.url:
        yield provider


def _challenge(asked: Mapping[str, str]) -> str:
    """Of the verifier that came (RFC 7636, 4.6)."""
    verified = hashlib.sha256(asked.get("code_verifier", "").encode()).digest()
    return base64.urlsafe_b64encode(verified).rstrip(b"=").decode()


def _fields(encoded: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(encoded).items()}
