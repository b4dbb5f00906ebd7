"""A stand-in for OpenShift: its OAuth server, and the two APIs about the owner of a token.

OpenShift cannot run on the tests' machines. This one was written from its documentation (OpenShift Container
Platform 4.19, "Authentication and authorization": "Configuring OAuth clients", "Using a service account as an
OAuth client", "Scoping tokens") and knows what that says, and no more.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.harness.http_server import JsonHandler, serving
from tests.harness.oidc import HINT

FULL: Final = "user:full"
ACCOUNT_SCOPES: Final = frozenset({"user:info", "user:check-access"})
"""Beside scopes of roles, all that a service account may ask for as a client."""
_SECONDS: Final = 86_400
_MYSELF: Final = "/apis/user.openshift.io/v1/users/~"
_TOKENS: Final = "/apis/oauth.openshift.io/v1/useroauthaccesstokens/"


@dataclass(frozen=True, slots=True)
class Registered:
    """An OAuthClient, or a service account."""

    secret: str = field(repr=False)
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Token:
    user: str
    scopes: frozenset[str]


@dataclass(slots=True)
class OpenShift:
    """A cluster with an OAuth server."""

    clients: Mapping[str, Registered]
    full_tokens: Mapping[str, str] = field(repr=False)
    """What a person's token with all scopes is: one that the tests' API server accepts."""
    url: str = ""
    groups: dict[str, Sequence[str]] = field(default_factory=dict)
    """OpenShift's Group objects, by their members."""
    deleted: list[str] = field(default_factory=list)
    """The names of tokens that were deleted."""
    _codes: dict[str, tuple[Mapping[str, str], _Token]] = field(default_factory=dict, repr=False)
    _tokens: dict[str, _Token] = field(default_factory=dict, repr=False)

    @property
    def metadata(self) -> dict[str, Any]:
        """``/.well-known/oauth-authorization-server`` (RFC 8414)."""
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/oauth/authorize",
            "token_endpoint": f"{self.url}/oauth/token",
            "scopes_supported": ["user:check-access", FULL, "user:info", "user:list-projects"],
            "response_types_supported": ["code", "token"],
            "grant_types_supported": ["authorization_code", "implicit"],
            "code_challenge_methods_supported": ["plain", "S256"],
        }

    def authorize(self, asked: Mapping[str, str]) -> str:
        """Where the browser of who logged in goes next."""
        scopes = frozenset(asked["scope"].split())
        if not scopes <= self.clients[asked["client_id"]].scopes:
            answer = {"error": "invalid_scope", "state": asked["state"]}
        else:
            code = secrets.token_hex(16)
            self._codes[code] = asked, _Token(asked[HINT], scopes)
            answer = {"code": code, "state": asked["state"]}
        return f"{asked['redirect_uri']}?{urlencode(answer)}"

    def redeem(self, asked: Mapping[str, str], authorization: str) -> dict[str, Any] | None:
        """The answer to a code, which counts once; None where it is refused."""
        authorized, token = self._codes.pop(asked["code"], ({}, None))
        client = authorized.get("client_id", "")
        expected = (
            base64.b64encode(f"{client}:{self.clients[client].secret}".encode()).decode() if client else ""
        )
        digest = hashlib.sha256(asked.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if (
            token is None
            or authorization != f"Basic {expected}"
            or authorized["redirect_uri"] != asked["redirect_uri"]
            or authorized["code_challenge"] != challenge
        ):
            return None
        value = self.full_tokens[token.user] if FULL in token.scopes else f"sha256~{secrets.token_hex(20)}"
        self._tokens[value] = token
        scope = " ".join(sorted(token.scopes))
        return {"access_token": value, "token_type": "Bearer", "expires_in": _SECONDS, "scope": scope}

    def myself(self, value: str) -> dict[str, Any] | None:
        """The owner of a token that may say so; None for any other."""
        token = self._tokens.get(value)
        if token is None or token.scopes.isdisjoint({FULL, "user:info"}):
            return None
        groups = list(self.groups.get(token.user, ()))
        return {
            "kind": "User",
            "apiVersion": "user.openshift.io/v1",
            "metadata": {"name": token.user, "uid": f"uid-of-{token.user}"},
            "identities": [f"htpasswd:{token.user}"],
            "groups": groups,
        }

    def revoke(self, user: str) -> None:
        """Delete every token of somebody, as an administrator may."""
        self._tokens = {value: token for value, token in self._tokens.items() if token.user != user}

    def delete(self, name: str, value: str) -> bool:
        """Delete the token of this name for the owner of a full one."""
        token = self._tokens.get(value)
        if token is None or FULL not in token.scopes:
            return False
        self.deleted.append(name)
        self._tokens = {value: token for value, token in self._tokens.items() if name_of(value) != name}
        return True


def name_of(value: str) -> str:
    """The name of the object that stands for a token: its hash."""
    digest = hashlib.sha256(value.removeprefix("sha256~").encode()).digest()
    return f"sha256~{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


@contextmanager
def openshift(clients: Mapping[str, Registered], full_tokens: Mapping[str, str]) -> Iterator[OpenShift]:
    """A stand-in on loopback for as long as the block lasts."""

    class Handler(JsonHandler):
        def do_GET(self) -> None:  # noqa: N802 - the name that http.server looks for
            address = urlsplit(self.path)
            if address.path == "/oauth/authorize":
                self.send_response(302)
                self.send_header("Location", cluster.authorize(_fields(address.query)))
                self.send_header("Content-Length", "0")
                self.end_headers()
            elif address.path == "/.well-known/oauth-authorization-server":
                self.answer(cluster.metadata)
            elif address.path == _MYSELF and (found := cluster.myself(self._bearer())) is not None:
                self.answer(found)
            else:
                self.answer({"kind": "Status", "code": 401}, status=401)

        def do_POST(self) -> None:  # noqa: N802 - the name that http.server looks for
            answer = cluster.redeem(_fields(self.read().decode()), self.headers.get("Authorization", ""))
            if answer is None:
                self.answer({"error": "invalid_grant"}, status=400)
            else:
                self.answer(answer)

        def do_DELETE(self) -> None:  # noqa: N802 - the name that http.server looks for
            done = cluster.delete(self.path.removeprefix(_TOKENS), self._bearer())
            self.answer({"kind": "Status"}, status=200 if done else 403)

        def _bearer(self) -> str:
            return str(self.headers.get("Authorization", "")).removeprefix("Bearer ")

    cluster = OpenShift(clients, full_tokens)
    with serving(Handler) as cluster.url:
        yield cluster


def _fields(encoded: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(encoded).items()}
