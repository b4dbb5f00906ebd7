"""Where a server says that people log in: its page of signing in, as JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import requests

from workspace_authz.client.environment import origin
from workspace_authz.client.oidc import Client, anonymous
from workspace_authz.errors import ConfigurationError

_PAGE: Final = "/workspace-authz/sign-in"
_IN_WORKSPACE: Final = re.compile(r"/workspaces/[^/]+/?$")
_SECONDS: Final = 15.0
_UNTOLD: Final = "say where to log in: --issuer URL and --client-id ID"


def offered_client(server: str, provider: str, *, environ: Mapping[str, str]) -> Client:
    """The client that a server names for logins from the command line.

    ``server`` is a value of ``MLFLOW_TRACKING_URI``; ``provider`` is empty where there is one only. Raises
    :class:`ConfigurationError` where the server names none, or several.
    """
    offered = {each["name"]: each for each in _providers(server, environ) if "clientId" in each}
    chosen = (
        offered.get(provider) if provider else (next(iter(offered.values())) if len(offered) == 1 else None)
    )
    if chosen is not None:
        return Client(issuer=chosen["issuer"], client_id=chosen["clientId"], scope=chosen["scope"])
    if not offered:
        raise ConfigurationError(f"{origin(server)} names no provider for this; {_UNTOLD}.")
    raise ConfigurationError(
        f"Say at which of them to log in, with --provider: {', '.join(sorted(offered))}."
    )


def _providers(server: str, environ: Mapping[str, str]) -> list[dict[str, str]]:
    origin(server)  # or it says what a server's address is
    url = _IN_WORKSPACE.sub("", server.rstrip("/")) + _PAGE
    try:
        response = requests.get(
            url,
            headers={"Accept": "application/json"},
            timeout=_SECONDS,
            allow_redirects=False,
            verify=_verify(environ),
            auth=anonymous,
        )
    except (requests.RequestException, OSError) as error:
        raise ConfigurationError(f"{url} cannot be reached ({type(error).__name__}); {_UNTOLD}.") from error
    try:
        return [_read(each) for each in response.json()["providers"]] if response.status_code == 200 else []
    except (ValueError, KeyError, TypeError, AttributeError):
        return []


def _read(provider: Any) -> dict[str, str]:
    """The texts of a provider; one that offers half of a login offers none. Raises ``KeyError``."""
    names = ("issuer", "clientId", "scope")
    offered = {name: provider[name] for name in names if isinstance(provider.get(name), str)}
    return {"name": str(provider["name"]), **(offered if len(offered) == len(names) else {})}


def _verify(environ: Mapping[str, str]) -> bool | str:
    """As MLflow's SDK verifies the server."""
    if environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("true", "1"):
        return False
    return environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or True
