"""The realm that the tests' Keycloak has: clients, groups and people like those of real installations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from tests.harness.plane import Object

REALM: Final = "buunstack"
CLIENT: Final = "mlflow"
"""The confidential client."""
PUBLIC_CLIENT: Final = "mlflow-cli"
"""The client without a secret: code flow with PKCE, and the device flow."""
GROUPS: Final = ("mlflow-admins", "mlflow-users", "team-a-editors", "team-b-viewers")
MEMBERS: Final[Mapping[str, Sequence[str]]] = MappingProxyType(
    {
        "alice": ("mlflow-users", "team-a-editors", "team-b-viewers"),
        "bob": ("mlflow-users",),
        "carol": ("mlflow-admins", "mlflow-users"),
        "mallory": (),
    }
)
"""Everybody, and their groups at the start. A test that changes them takes it back."""

_PKCE: Final = {"pkce.code.challenge.method": "S256"}
_DEVICE: Final = {"oauth2.device.authorization.grant.enabled": "true"}


def realm(secret: str, passwords: Mapping[str, str]) -> Object:
    """The realm as its administrator imports it. ``secret`` is the confidential client's."""
    return {
        "realm": REALM,
        "enabled": True,
        "accessTokenLifespan": 300,  # of ID tokens, too
        "ssoSessionIdleTimeout": 1800,
        "ssoSessionMaxLifespan": 36_000,
        "revokeRefreshToken": True,  # each counts once
        "refreshTokenMaxReuse": 0,
        "groups": [{"name": name} for name in GROUPS],
        "users": [_user(name, passwords[name]) for name in MEMBERS],
        "clients": [
            _client(CLIENT, secret=secret, directAccessGrantsEnabled=True, attributes=_PKCE),
            _client(PUBLIC_CLIENT, publicClient=True, attributes={**_PKCE, **_DEVICE}),
        ],
    }


def _user(name: str, password: str) -> Object:
    return {
        "username": name,
        "enabled": True,
        # Who lacks one of these is asked for it at the first login.
        "email": f"{name}@example.com",
        "emailVerified": True,
        "firstName": name.capitalize(),
        "lastName": "Example",
        "groups": [f"/{group}" for group in MEMBERS[name]],
        "credentials": [{"type": "password", "value": password, "temporary": False}],
    }


def _client(name: str, *, attributes: Mapping[str, str], **more: object) -> Object:
    return {
        "clientId": name,
        "enabled": True,
        "protocol": "openid-connect",
        "standardFlowEnabled": True,
        "redirectUris": [],
        "protocolMappers": [_GROUPS],
        # "+": where a login may lead, a logout may lead as well.
        "attributes": {"post.logout.redirect.uris": "+", **attributes},
        **more,
    }


_GROUPS: Final = {
    "name": "groups",
    "protocol": "openid-connect",
    "protocolMapper": "oidc-group-membership-mapper",
    "config": {
        "claim.name": "groups",
        "full.path": "false",
        "id.token.claim": "true",
        "access.token.claim": "true",
        "userinfo.token.claim": "true",
    },
}
