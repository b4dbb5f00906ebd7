"""An OpenID Connect provider without forms or passwords, which misbehaves when a test tells it to.

Its access tokens are tokens of the dev plane, as a cluster's own are.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
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
KEY_ID: Final = "key-1"
_SECONDS: Final = 3600

Claims = dict[str, Any]


class GrantError(Exception):
    """The provider does not accept what the client brings: ``invalid_grant``."""


@dataclass(frozen=True, slots=True)
class Misbehaviour:
    """What a provider does otherwise than it should. In each mapping, None takes a field away."""

    claims: Mapping[str, object] = field(default_factory=dict)
    """Of the ID token."""
    sign: Callable[[Claims, rsa.RSAPrivateKey], str] | None = None
    """Makes an ID token of claims; None signs as it should."""
    token_answer: Mapping[str, object] = field(default_factory=dict)
    """Of the token endpoint's answer."""
    discovery: Mapping[str, object] = field(default_factory=dict)
    raw_token_answer: bytes | None = None
    """All of the token endpoint's answer, which need not be JSON."""
    token_status: int | None = None
    """The status of the token endpoint's answer."""


@dataclass(frozen=True, slots=True)
class _Grant:
    """Who has logged in, for which request to the authorization endpoint."""

    user: str
    asked: Mapping[str, str]


@dataclass(slots=True)
class OidcProvider:
    """A provider that runs."""

    url: str
    """The issuer."""
    tokens: Mapping[str, str] = field(repr=False)
    """The access token of each user."""
    groups: dict[str, Sequence[str]] = field(default_factory=dict)
    """Of each user; a test may change them."""
    redeemed: int = 0
    """How often a code or a refresh token was brought, good or not."""
    misbehaviour: Misbehaviour = field(default_factory=Misbehaviour)
    key: rsa.RSAPrivateKey = field(
        default_factory=lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048), repr=False
    )
    _codes: dict[str, _Grant] = field(default_factory=dict, repr=False)
    _refresh_tokens: dict[str, _Grant] = field(default_factory=dict, repr=False)

    @contextmanager
    def misbehaving(self, misbehaviour: Misbehaviour) -> Iterator[None]:
        """Misbehave for as long as the block lasts."""
        self.misbehaviour = misbehaviour
        try:
            yield
        finally:
            self.misbehaviour = Misbehaviour()

    @property
    def discovery(self) -> dict[str, Any]:
        """OpenID Connect Discovery 1.0, section 3."""
        document = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "end_session_endpoint": f"{self.url}/logout",
            "jwks_uri": f"{self.url}/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }
        return _changed(document, self.misbehaviour.discovery)

    @property
    def keys(self) -> dict[str, Any]:
        """The public key, as RFC 7517 spells it."""
        public = jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return {"keys": [{**public, "kid": KEY_ID, "alg": "RS256", "use": "sig"}]}

    def user_info(self, authorization: str) -> dict[str, Any]:
        """The owner of an access token (OpenID Connect Core 1.0, 5.3)."""
        token = authorization.removeprefix("Bearer ")
        (user,) = (name for name, known in self.tokens.items() if known == token)
        return self._claims_about(user)

    def login(self, asked: Mapping[str, str]) -> str:
        """Where the browser of who logged in goes next. Raises ``KeyError`` for who has no token."""
        user, code = asked[HINT], secrets.token_hex(16)
        assert self.tokens[user]
        self._codes[code] = _Grant(user, asked)
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def redeem(self, asked: Mapping[str, str]) -> dict[str, Any]:
        """The answer to a code or a refresh token, which count once. Raises :class:`GrantError`."""
        self.redeemed += 1
        if asked["grant_type"] == "refresh_token":
            grant = self._refresh_tokens.pop(asked["refresh_token"], None)
        else:
            grant = self._codes.pop(asked.get("code", ""), None)
            if grant is not None and not _proven(grant.asked, asked):
                grant = None
        if grant is None:
            raise GrantError
        refresh_token = secrets.token_hex(16)
        self._refresh_tokens[refresh_token] = grant
        answer = {
            "access_token": self.tokens[grant.user],
            "token_type": "Bearer",
            "expires_in": _SECONDS,
            "refresh_token": refresh_token,
            "id_token": self.id_token(grant.user, nonce=grant.asked.get("nonce")),
        }
        return _changed(answer, self.misbehaviour.token_answer)

    def id_token(self, user: str, *, nonce: str | None = None) -> str:
        """An ID token of somebody's."""
        now = int(time.time())
        claims: Claims = {
            "iss": self.url,
            "aud": CLIENT,
            "iat": now,
            "exp": now + _SECONDS,
            "nonce": nonce,
            **self._claims_about(user),
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        sign = self.misbehaviour.sign or sign_rightly
        return sign(_changed(claims, self.misbehaviour.claims), self.key)

    def _claims_about(self, user: str) -> Claims:
        return {
            "sub": user,
            "email": f"{user}@example.com",
            "email_verified": True,
            "preferred_username": user,
            "groups": list(self.groups.get(user, ("people",))),
        }


def sign_rightly(claims: Claims, key: rsa.RSAPrivateKey) -> str:
    """A JWT as the provider should make it."""
    return jwt.encode(claims, key, algorithm="RS256", headers={"kid": KEY_ID})


@contextmanager
def oidc_provider(tokens: Mapping[str, str]) -> Iterator[OidcProvider]:
    """A provider on loopback for as long as the block lasts."""

    class Handler(JsonHandler):
        def do_GET(self) -> None:  # noqa: N802 - the name that http.server looks for
            address = urlsplit(self.path)
            if address.path == "/authorize":
                self.redirect(provider.login(_fields(address.query)))
            elif address.path == "/logout":
                self.redirect(_fields(address.query)["post_logout_redirect_uri"])
            elif address.path == "/userinfo":
                self.answer(provider.user_info(self.headers.get("Authorization", "")))
            else:
                self.answer(provider.keys if address.path == "/keys" else provider.discovery)

        def do_POST(self) -> None:  # noqa: N802 - the name that http.server looks for
            asked, misbehaviour = _fields(self.read().decode()), provider.misbehaviour
            try:
                answer, status = provider.redeem(asked), 200
            except GrantError:
                answer, status = {"error": "invalid_grant"}, 400
            status = misbehaviour.token_status or status
            if misbehaviour.raw_token_answer is not None:
                self.send(misbehaviour.raw_token_answer, status=status)
            else:
                self.answer(answer, status=status)

    provider = OidcProvider("", tokens)
    with serving(Handler) as provider.url:
        yield provider


def _proven(authorized: Mapping[str, str], asked: Mapping[str, str]) -> bool:
    """Whether who brings the code is who asked for it (RFC 7636, 4.6; RFC 6749, 4.1.3)."""
    if authorized["redirect_uri"] != asked.get("redirect_uri"):
        return False
    challenge = authorized.get("code_challenge")
    if challenge is None:
        return True
    digest = hashlib.sha256(asked.get("code_verifier", "").encode()).digest()
    method = authorized.get("code_challenge_method")
    return method == "S256" and challenge == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _changed(document: Mapping[str, Any], changes: Mapping[str, object]) -> dict[str, Any]:
    return {name: value for name, value in {**document, **changes}.items() if value is not None}


def _fields(encoded: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(encoded).items()}
