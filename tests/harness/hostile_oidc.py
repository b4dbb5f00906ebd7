"""An OpenID Connect provider that misbehaves when a test says so, and otherwise checks what it is brought."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.harness.http_server import JsonHandler, serving
from tests.harness.oidc import OAuthError, OidcProvider

KEY_ID: Final = "key-1"
"""Of the key with which it signs."""

Claims = dict[str, Any]
Signer = Callable[[Claims, rsa.RSAPrivateKey], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Misbehaviour:
    """What a provider does otherwise than it should. In each mapping, None takes a field away."""

    claims: Mapping[str, object] = field(default_factory=dict)
    """Of the ID token."""
    sign: Signer | None = None
    """Makes an ID token of claims; None signs as it should."""
    token_answer: Mapping[str, object] = field(default_factory=dict)
    """Of the token endpoint's answer."""
    raw: bytes | None = None
    """All of the token endpoint's answer."""
    status: int = 200
    """Of the token endpoint's answer."""


@dataclass(slots=True)
class HostileProvider(OidcProvider):
    """A provider that runs. Its clients must use PKCE."""

    groups: dict[str, Sequence[str]] = field(default_factory=dict)
    """Of each user, where they are other than usual."""
    misbehaviour: Misbehaviour = field(default_factory=Misbehaviour)

    @contextmanager
    def misbehaving(self, misbehaviour: Misbehaviour) -> Iterator[None]:
        """Misbehave for as long as the block lasts."""
        self.misbehaviour = misbehaviour
        try:
            yield
        finally:
            self.misbehaviour = Misbehaviour()

    def end_session(self, user: str) -> None:
        """Somebody is logged out there: their refresh tokens end."""
        for token in [token for token, owner in self._refresh.items() if owner == user]:
            del self._refresh[token]

    def described(self) -> dict[str, Any]:
        """The discovery document."""
        more = {"userinfo_endpoint": f"{self.url}/userinfo", "end_session_endpoint": f"{self.url}/logout"}
        return {**self.discovery, **more}

    def user_info(self, authorization: str) -> Claims:
        """The owner of an access token (OpenID Connect Core 1.0, 5.3)."""
        token = authorization.removeprefix("Bearer ")
        (user,) = (name for name, known in self.tokens.items() if known == token)
        return {"sub": user, "groups": list(self.groups.get(user, ("people",)))}

    def grant(self, asked: Mapping[str, str]) -> tuple[int, bytes]:
        """The token endpoint's answer: its status and its body."""
        misbehaviour = self.misbehaviour
        try:
            if asked["grant_type"] == "authorization_code" and not asked.get("code_verifier"):
                raise OAuthError("invalid_request")
            given = self.answer("/token", asked)
        except OAuthError as error:
            return 400, json.dumps({"error": str(error)}).encode()
        given["id_token"] = self._resigned(given["id_token"])
        content = json.dumps(_changed(given, misbehaviour.token_answer)).encode()
        return misbehaviour.status, content if misbehaviour.raw is None else misbehaviour.raw

    def _resigned(self, id_token: str) -> str:
        claims: Claims = jwt.decode(id_token, options={"verify_signature": False})
        if claims["sub"] in self.groups:
            claims["groups"] = list(self.groups[claims["sub"]])
        sign = self.misbehaviour.sign or sign_rightly
        return sign(_changed(claims, self.misbehaviour.claims), self._key)


def sign_rightly(claims: Claims, key: rsa.RSAPrivateKey) -> str:
    """A JWT as the provider should make it."""
    return jwt.encode(claims, key, algorithm="RS256", headers={"kid": KEY_ID})


@contextmanager
def hostile_provider(tokens: Mapping[str, str]) -> Iterator[HostileProvider]:
    """A provider on loopback for as long as the block lasts."""

    class Handler(JsonHandler):
        def do_GET(self) -> None:  # noqa: N802 - the name that http.server looks for
            address = urlsplit(self.path)
            match address.path:
                case "/authorize":
                    self.redirect(provider.login(_fields(address.query)))
                case "/logout":
                    self.redirect(_fields(address.query)["post_logout_redirect_uri"])
                case "/keys":
                    self.answer(provider.keys)
                case "/userinfo":
                    self.answer(provider.user_info(self.headers.get("Authorization", "")))
                case _:
                    self.answer(provider.described())

        def do_POST(self) -> None:  # noqa: N802 - the name that http.server looks for
            status, content = provider.grant(_fields(self.read().decode()))
            self.send(content, status=status)

        def redirect(self, url: str) -> None:
            self.send_response(302)
            self.send_header("Location", url)
            self.send_header("Content-Length", "0")
            self.end_headers()

    provider = HostileProvider("", tokens)
    with serving(Handler) as provider.url:
        yield provider


def _changed(document: Mapping[str, Any], changes: Mapping[str, object]) -> dict[str, Any]:
    return {name: value for name, value in {**document, **changes}.items() if value is not None}


def _fields(encoded: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(encoded).items()}
