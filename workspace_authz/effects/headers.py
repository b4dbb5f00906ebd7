"""The header sanitizer: MLflow sees no credential, no claim about the caller, and one workspace.

MLflow's AI gateway forwards a caller's headers to the address that an endpoint's author configured: nearly
all of them on the passthrough routes and the raw proxy, ``Authorization`` too when the User-Agent names a
coding client (``mlflow.gateway.providers.base._client_provides_auth``, 3.17.2). So its routes keep no claim
about the caller either.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from workspace_authz.identity.credentials import (
    AUTHORIZATION,
    FORWARDED_TOKEN,
    GATEWAY_AUTHORIZATION,
)
from workspace_authz.identity.sessions.cookies import without_sessions
from workspace_authz.types import Credential
from workspace_authz.workspaces.requested import WORKSPACE_HEADER

GUARDRAIL_BYPASS: Final = b"x-mlflow-guardrail-bypass"
"""``mlflow.gateway.guardrails._SANITIZE_BYPASS_HEADER``: MLflow sends it to itself and takes it from anybody.

It is taken from every request that arrives; a self-call, which does not arrive, is given it
(:mod:`workspace_authz.doors.asgi.self_calls`).
"""

_SKIPPING_GUARDRAILS: Final = ((GUARDRAIL_BYPASS, b"1"), (b"X-MLflow-Guardrail-Bypass", b"1"))
"""MLflow 3.17.2 looks for the second in ``dict(request.headers)``, which looks each name up in lower case.

uvicorn leaves only the first of what arrives, so that over the network MLflow does not know its own calls.
"""

DROPPED: Final = frozenset(
    {
        FORWARDED_TOKEN,
        GATEWAY_AUTHORIZATION,
        WORKSPACE_HEADER,
        GUARDRAIL_BYPASS,
        b"x-forwarded-user",
        b"x-forwarded-email",
        b"x-forwarded-groups",
        b"x-forwarded-preferred-username",
        b"x-forwarded-id-token",
        b"x-auth-request-user",
        b"x-auth-request-email",
        b"x-auth-request-groups",
        b"x-auth-request-preferred-username",
        b"x-auth-request-access-token",
        b"x-remote-user",
        b"x-remote-group",
        b"x-remote-groups",
        b"x-remote-uid",
        b"remote-user",
        b"kubeflow-userid",
        b"kubeflow-groups",
        b"impersonate-user",
        b"impersonate-group",
        b"impersonate-uid",
        b"proxy-authorization",
        b"x-proxy-secret",
        b"x-proxy-token",
    }
)
"""Credentials and claims about the caller, on every route."""

_HARMLESS: Final = frozenset(
    {
        b"accept",
        b"accept-encoding",
        b"accept-language",
        b"connection",
        b"content-length",
        b"content-type",
        b"host",
        b"origin",
        b"referer",
        b"transfer-encoding",
        b"user-agent",
    }
)
"""Nearly all that a client sends: a shortcut past the rest of the rules, none of which meets them."""

_DROPPED_PREFIXES: Final = (b"x-remote-extra-", b"impersonate-extra-")

_DROPPED_FOR_PROVIDERS: Final = frozenset({b"cookie", b"forwarded", b"x-real-ip"})

_DROPPED_PREFIXES_FOR_PROVIDERS: Final = (
    b"x-forwarded-",
    b"x-original-",
    b"x-auth-",  # oauth2-proxy and nginx
    b"x-access-token",
    b"x-id-token",
    b"x-jwt-",
    b"x-user",
    b"x-session",
    b"x-csrf",
    b"x-xsrf",
    b"remote-",  # Authelia
    b"x-remote-",
    b"x-authentik-",
    b"x-pomerium-",
    b"x-webauth-",
    b"x-envoy-",  # with the peer's metadata in a service mesh
    b"x-client-cert",
    b"ssl-client-",
    b"x-ssl-client-",
    b"x-amzn-oidc-",
    b"x-ms-client-principal",
    b"x-ms-token-",
    b"x-goog-authenticated-user-",
    b"x-goog-iap-",
    b"cf-access-",
    b"kubeflow-",
    b"impersonate-",
)
"""What proxies and meshes in front add about a caller; no provider needs it."""


@dataclass(frozen=True, slots=True)
class HeaderSanitizer:
    """What becomes of a request's headers before MLflow gets them."""

    workspace: str | None = None
    """The value of the only ``X-MLFLOW-WORKSPACE``; None sends none."""
    credential: Credential | None = field(default=None, repr=False)
    """The caller's. A header that holds it goes."""
    gateway: bool = False
    """The route is one of the AI gateway's."""
    keeps_authorization: bool = False
    """``Authorization`` is for the gateway's provider."""
    skips_guardrails: bool = False
    """For MLflow's calls to itself."""
    identity: frozenset[bytes] = frozenset()
    """Headers by which a proxy names the caller and proves who it is, as they are configured."""

    def applied(self, headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """The headers for MLflow.

        A name with underscores counts as the one with hyphens, because WSGI makes one variable of the two.
        """
        credential = self.credential
        kept = [
            (name, value)
            for name, value in without_sessions(headers)
            if (name in _HARMLESS or not self._drops(name.replace(b"_", b"-")))
            and not (credential is not None and credential.is_in(value))
        ]
        if self.workspace is not None:
            kept.append((WORKSPACE_HEADER, self.workspace.encode("ascii")))
        if self.skips_guardrails:
            kept += _SKIPPING_GUARDRAILS
        return kept

    def _drops(self, name: bytes) -> bool:
        if name == AUTHORIZATION:
            return not self.keeps_authorization
        if self.gateway and (
            name in _DROPPED_FOR_PROVIDERS or name.startswith(_DROPPED_PREFIXES_FOR_PROVIDERS)
        ):
            return True
        return name in DROPPED or name in self.identity or name.startswith(_DROPPED_PREFIXES)
