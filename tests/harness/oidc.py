"""An OpenID Connect provider: its access tokens are tokens of the dev plane, as a cluster's own are."""

from __future__ import annotations

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


@dataclass(slots=True)
class OidcProvider:
    """A provider that runs."""

    url: str
    """The issuer."""
    tokens: Mapping[str, str] = field(repr=False)
    """The access token of each user."""
    _key: rsa.RSAPrivateKey = field(
        default_factory=lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048), repr=False
    )
    _codes: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def discovery(self) -> dict[str, Any]:
        """OpenID Connect Discovery 1.0, section 3."""
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
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
        self._codes[code] = user
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def redeem(self, asked: Mapping[str, str]) -> dict[str, Any]:
        """The answer to a code, which counts once. Raises ``KeyError`` for an unknown one."""
        user = self._codes.pop(asked["code"])
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": CLIENT,
            "sub": user,
            "iat": now,
            "exp": now + _SECONDS,
            "email": f"{user}@example.com",
            "email_verified": True,
            "preferred_username": user,
            "groups": ["people"],
        }
        signed = jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": _KEY})
        return {
            "access_token": self.tokens[user],
            "token_type": "Bearer",
            "expires_in": _SECONDS,
            "id_token": signed,
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
            self.answer(provider.redeem(_fields(self.read().decode())))

    provider = OidcProvider("", tokens)
    with serving(Handler) as provider.url:
        yield provider


def _fields(encoded: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(encoded).items()}
