"""A TLS server that plays an API server and looks at who connects."""

from __future__ import annotations

from dataclasses import dataclass, field

from aiohttp import web

from workspace_authz.devplane.engine import Endpoint
from workspace_authz.devplane.pki import Pki


@dataclass
class Listener:
    """A TLS server that asks for a client certificate and notes what it gets."""

    pki: Pki
    port: int = 0
    certificates: list[str | None] = field(default_factory=list)
    """The common name of each request's client certificate."""
    headers: list[dict[str, str]] = field(default_factory=list)
    rejected: set[str] = field(default_factory=set)
    """Tokens and common names that are answered with 401."""
    impersonated: list[list[tuple[str, str]]] = field(default_factory=list)
    """The headers ``Impersonate-*`` of each request."""
    connections: list[tuple[str, int]] = field(default_factory=list)
    """The client's address of each request."""

    @property
    def endpoint(self) -> Endpoint:
        # By name: aiohttp keeps no cookies of addresses, so that a jar would go unnoticed.
        return Endpoint(f"https://localhost:{self.port}", self.pki.ca_cert, admin_token="servers-own-token")

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        transport = request.transport
        assert transport is not None
        presented = transport.get_extra_info("peercert")
        names = dict(pair[0] for pair in presented["subject"]) if presented else {}
        self.certificates.append(names.get("commonName"))
        self.connections.append(transport.get_extra_info("peername"))
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        self.impersonated.append(
            [(name, value) for name, value in request.headers.items() if name.startswith("Impersonate-")]
        )
        shown = {names.get("commonName"), request.headers.get("Authorization", "").removeprefix("Bearer ")}
        if shown & self.rejected:
            return web.Response(status=401)
        body = b"x" * 2**23 if request.path == "/big" else b""
        return web.Response(body=body, headers={"Set-Cookie": "session=of-somebody"})
