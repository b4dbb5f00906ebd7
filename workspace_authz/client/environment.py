"""What a person or a pod sets for the client: variables that begin with ``WORKSPACE_AUTHZ_CLIENT_``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from workspace_authz.errors import ConfigurationError

TOKEN_FILE: Final = "WORKSPACE_AUTHZ_CLIENT_TOKEN_FILE"  # noqa: S105 - the name of a variable
AUDIENCE: Final = "WORKSPACE_AUTHZ_CLIENT_AUDIENCE"
SERVICE_ACCOUNT: Final = "WORKSPACE_AUTHZ_CLIENT_SERVICE_ACCOUNT"
LOGINS: Final = "WORKSPACE_AUTHZ_CLIENT_LOGINS"
SERVER: Final = "MLFLOW_TRACKING_URI"

DEFAULT_AUDIENCE: Final = "mlflow"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientEnvironment:
    """The variables of one process, read anew for each request: notebooks set them late."""

    token_file: Path | None
    """The file with the token, where one is named."""
    audience: str
    """For which audience a service account's token is asked; empty for the API server's own."""
    service_account: str
    """``name`` or ``namespace/name`` of the account to act as; empty for the kubeconfig's own user."""
    logins: Path
    """The directory of logins."""
    kubeconfig: str
    """As ``KUBECONFIG`` says; empty where it is not set."""
    in_pod: bool

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> ClientEnvironment:
        """The variables as they are now."""
        file, logins = environ.get(TOKEN_FILE, ""), environ.get(LOGINS, "")
        return cls(
            token_file=Path(file) if file else None,
            audience=environ.get(AUDIENCE, DEFAULT_AUDIENCE).strip(),
            service_account=environ.get(SERVICE_ACCOUNT, "").strip(),
            logins=Path(logins) if logins else _default_logins(environ),
            kubeconfig=environ.get("KUBECONFIG", ""),
            in_pod=bool(environ.get("KUBERNETES_SERVICE_HOST")),
        )


def origin(url: str) -> str:
    """Scheme, host and port of a server's URL (RFC 6454).

    Raises :class:`ConfigurationError` for what is no such URL.
    """
    try:
        parsed = urlsplit(url)
        port = parsed.port
    except ValueError:
        parsed, port = urlsplit(""), None
    if parsed.scheme not in ("http", "https") or not parsed.hostname:
        raise ConfigurationError(
            f"A server's address begins with https:// or http://: set {SERVER}, or use --server."
        )
    host = f"[{parsed.hostname}]" if ":" in parsed.hostname else parsed.hostname
    return f"{parsed.scheme}://{host}:{port or (443 if parsed.scheme == 'https' else 80)}"


def _default_logins(environ: Mapping[str, str]) -> Path:
    """Below the XDG Base Directory Specification's directory for what a program keeps about a user."""
    configured = environ.get("XDG_STATE_HOME", "")
    base = Path(configured) if configured.startswith("/") else Path.home() / ".local" / "state"
    return base / "workspace-authz" / "logins"
