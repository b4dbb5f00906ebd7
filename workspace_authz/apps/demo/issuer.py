"""The OpenID provider of the demo, at which anybody is whoever they choose to be.

It lives inside the demo's process, on this machine's own address, for the demo's people only: there is no
command that starts it, and running this module refuses.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import secrets
import sys
import time
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import ECKey

CLIENT: Final = "mlflow"
PROVIDER: Final = "demo"
"""Its name in the server's file."""
_HOST: Final = "127.0.0.1"
_OWN: Final = (f"http://{_HOST}:", "http://localhost:")
_CODE_SECONDS: Final = 60.0
_TOKEN_SECONDS: Final = 3600
_MOST_CODES: Final = 100
_PAGE: Final = """<!doctype html><html lang="en"><meta charset="utf-8"><title>The demo's people</title>
<style>body{{font:16px system-ui;display:grid;place-items:center;min-height:90vh}}a{{display:block;margin:8px;
padding:10px 60px;border:1px solid #2272b4;border-radius:4px;text-decoration:none}}</style>
<main><h1>Who are you?</h1>{}</main>
<script>document.getElementById(location.hash.slice(1))?.click()</script></html>"""
"""The fragment presses a button: a browser without hands, as in the demo's tour, signs in by it."""


@dataclass(frozen=True, slots=True)
class _Code:
    user: str
    asked: Mapping[str, str]
    until: float


@dataclass(slots=True)
class DemoIssuer:
    """An issuer for the demo's people."""

    people: Collection[str]
    url: str = ""
    _key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256"), repr=False)
    _codes: dict[str, _Code] = field(default_factory=dict, repr=False)

    def app(self) -> web.Application:
        """Its routes."""
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", self._discovery)
        app.router.add_get("/keys", self._keys)
        app.router.add_get("/authorize", self._choose)
        app.router.add_get("/authorize/{user}", self._authorize)
        app.router.add_post("/token", self._token)
        return app

    async def _discovery(self, _: web.Request) -> web.Response:
        return web.json_response(
            {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/keys",
            }
        )

    async def _keys(self, _: web.Request) -> web.Response:
        return web.json_response(
            {"keys": [{**self._key.as_dict(private=False), "kid": self._key.thumbprint(), "alg": "ES256"}]}
        )

    async def _choose(self, request: web.Request) -> web.Response:
        query = html.escape(request.query_string)
        buttons = "".join(
            f'<a id="{name}" href="/authorize/{name}?{query}">{name}</a>' for name in self.people
        )
        return web.Response(text=_PAGE.format(buttons), content_type="text/html")

    async def _authorize(self, request: web.Request) -> web.Response:
        user, asked = request.match_info["user"], dict(request.query)
        if user not in self.people or not asked.get("redirect_uri", "").startswith(_OWN):
            raise web.HTTPBadRequest(text="This is the demo's own provider.")
        code = secrets.token_urlsafe(16)
        if len(self._codes) >= _MOST_CODES:
            self._codes.pop(next(iter(self._codes)))
        self._codes[code] = _Code(user, asked, time.monotonic() + _CODE_SECONDS)
        back = urlencode({"code": code, "state": asked.get("state", "")})
        raise web.HTTPFound(f"{asked['redirect_uri']}?{back}")

    async def _token(self, request: web.Request) -> web.Response:
        given = await request.post()
        code = self._codes.pop(str(given.get("code", "")), None)
        verifier = str(given.get("code_verifier", "")).encode()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier).digest()).rstrip(b"=").decode()
        if (
            code is None
            or time.monotonic() >= code.until
            or code.asked.get("code_challenge") != challenge
            or code.asked.get("redirect_uri") != given.get("redirect_uri")
        ):
            return web.json_response({"error": "invalid_grant"}, status=400)
        now = int(time.time())
        claims: dict[str, Any] = {
            **{"iss": self.url, "aud": CLIENT, "sub": code.user, "preferred_username": code.user},
            **{"iat": now, "exp": now + _TOKEN_SECONDS, "nonce": code.asked.get("nonce", "")},
        }
        token = jwt.encode({"alg": "ES256", "kid": self._key.thumbprint()}, claims, self._key)
        answer = {"access_token": secrets.token_urlsafe(16), "token_type": "Bearer", "id_token": token}
        return web.json_response({**answer, "expires_in": _TOKEN_SECONDS})


@asynccontextmanager
async def demo_issuer(people: Collection[str]) -> AsyncIterator[DemoIssuer]:
    """An issuer on a free port of this machine's own address, while the block runs."""
    issuer = DemoIssuer(people)
    runner = web.AppRunner(issuer.app(), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, _HOST, 0)
        await site.start()
        (address,) = runner.addresses
        issuer.url = f"http://{_HOST}:{address[1]}"
        yield issuer
    finally:
        await runner.cleanup()


def sign_in_variables(state: Path, *, issuer: str, url: str) -> dict[str, str]:
    """The settings of a server at ``url`` where the demo's people sign in. Writes two files in ``state``."""
    claims = {"username": {"claim": "preferred_username", "prefix": ""}}
    provider = {"name": PROVIDER, "title": "the demo", "issuer": {"url": issuer}, "client": {"id": CLIENT}}
    keys, providers = state / "session-keys", state / "sign-in.json"
    keys.touch(mode=0o600)
    keys.write_text(base64.b64encode(secrets.token_bytes(32)).decode())
    providers.write_text(json.dumps({"providers": [{**provider, "claimMappings": claims}]}))
    return {
        "WORKSPACE_AUTHZ_PUBLIC_URL": f"{url},{url.replace(_HOST, 'localhost')}",
        "WORKSPACE_AUTHZ_SESSION_KEYS": str(keys),
        "WORKSPACE_AUTHZ_SIGN_IN": str(providers),
    }


if __name__ == "__main__":
    sys.exit("This provider belongs to the demo: `workspace-authz demo` starts it, and nothing else does.")
