"""The real oauth2-proxy as a process, and people who log in through it.

Skips the test (in CI fails it) when the proxy is missing.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

import yaml

from tests.harness.http import Http
from tests.harness.missing import missing
from tests.harness.oidc import CLIENT, HINT, OidcProvider
from tests.harness.processes import free_port, running
from tests.harness.visitor import Visitor, target

_START_SECONDS: Final = 240.0

Source: TypeAlias = Mapping[str, Mapping[str, str]]
"""Where the value of a header comes from: ``{"claimSource": {"claim": "user"}}``, or a ``secretSource``."""


class Browser(Visitor):
    """Somebody's requests to a proxy."""

    __slots__ = ()

    def log_in(self, user: str) -> None:
        """Follow the redirects by which a browser logs in. Raises ``AssertionError`` if one does not come."""
        login = urlsplit(target(self.ask("GET", "/oauth2/start?rd=%2Fversion")))
        with closing(Http(f"{login.scheme}://{login.netloc}")) as provider:
            back = provider.request("GET", f"{login.path}?{login.query}&{HINT}={user}")
        assert target(self.ask("GET", target(back))) == "/version"


@dataclass(frozen=True, slots=True)
class OAuthProxy:
    """A proxy that runs."""

    url: str

    @contextmanager
    def person(self, user: str | None) -> Iterator[Browser]:
        """A browser in which ``user`` is logged in; None for nobody."""
        with closing(Browser(self.url)) as browser:
            if user is not None:
                browser.log_in(user)
            yield browser


@contextmanager
def oauth_proxy(
    state: Path,
    *,
    provider: OidcProvider,
    upstream: str,
    arguments: Sequence[str] = (),
    inject: Mapping[str, Source] | None = None,
) -> Iterator[OAuthProxy]:
    """A proxy in front of ``upstream`` for as long as the block lasts.

    What it passes on is its default and what ``arguments`` say; with ``inject``, these headers and no others.
    """
    program = _program()
    state.mkdir(parents=True, exist_ok=True)
    address = f"127.0.0.1:{free_port()}"
    usual = [
        "--provider=oidc",
        f"--oidc-issuer-url={provider.url}",
        f"--client-id={CLIENT}",
        "--client-secret=secret",
        f"--http-address={address}",
        f"--upstream={upstream}",
    ]
    if inject is not None:
        config = state / "alpha.yaml"
        config.write_text(yaml.safe_dump(_alpha(provider, upstream, address=address, inject=inject)))
        usual = [f"--alpha-config={config}"]
    command = [
        program,
        *usual,
        f"--cookie-secret={secrets.token_hex(16)}",
        "--cookie-secure=false",  # there is no TLS here
        "--email-domain=*",
        *arguments,
    ]
    with (
        running(command, log=state / "oauth2-proxy.log") as process,
        closing(Http(f"http://{address}")) as http,
    ):

        def ready() -> bool:
            with suppress(OSError):
                return http.request("GET", "/ping").status == 200
            return False

        process.wait_until(ready, seconds=_START_SECONDS)
        yield OAuthProxy(f"http://{address}")


def _alpha(
    provider: OidcProvider, upstream: str, *, address: str, inject: Mapping[str, Source]
) -> Mapping[str, Any]:
    """oauth2-proxy's structured configuration, which alone can set any header (7.15: ``alpha config``)."""
    return {
        "server": {"bindAddress": address},
        "upstreamConfig": {"upstreams": [{"id": "mlflow", "path": "/", "uri": upstream}]},
        "injectRequestHeaders": [{"name": name, "values": [source]} for name, source in inject.items()],
        "providers": [
            {
                "id": "oidc",
                "provider": "oidc",
                "clientID": CLIENT,
                "clientSecret": "secret",
                "oidcConfig": {
                    "issuerURL": provider.url,
                    "insecureSkipNonce": True,
                    "emailClaim": "email",
                    "groupsClaim": "groups",
                    "userIDClaim": "email",
                    "audienceClaims": ["aud"],
                },
            }
        ],
    }


def _program() -> str:
    found = os.environ.get("OAUTH2_PROXY") or shutil.which("oauth2-proxy")
    return found or missing("oauth2-proxy is missing: scripts/proxies")
