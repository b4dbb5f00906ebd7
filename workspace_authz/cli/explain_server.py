"""Ask a running guarded MLflow to explain itself to the caller."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import aiohttp

from workspace_authz.errors import AuthzError, ConfigurationError

_ROUTE: Final = "/workspace-authz/explain"
_TIMEOUT: Final = aiohttp.ClientTimeout(total=15)
_KEYS: Final = frozenset(
    {"method", "path", "user", "workspace", "route", "operation", "checks"}
    | {"decision", "reason", "rule", "visible", "status"}
)
"""What an explanation consists of."""


class ServerError(AuthzError):
    """The running server gave no explanation. The message says why, in its own words where it has some."""


async def ask_server(
    base: str, *, token: str, workspace: str | None, asked: Mapping[str, str], insecure: bool
) -> dict[str, Any]:
    """The explanation's document. ``base`` is the server's URL with its static prefix.

    The token goes to this address only: redirects are not followed. Raises :class:`ServerError`.
    """
    if not base.startswith(("https://", "http://")):
        raise ConfigurationError("--server takes a URL, for example https://mlflow.example.com.")
    headers = {"Authorization": f"Bearer {token}"}
    if workspace is not None:
        headers["X-MLFLOW-WORKSPACE"] = workspace
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT, connector=aiohttp.TCPConnector(ssl=not insecure)) as http,
            http.post(base + _ROUTE, json=dict(asked), headers=headers, allow_redirects=False) as response,
        ):
            return _document(response.status, await response.read())
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise ServerError(f"The server gives no usable answer ({type(error).__name__}).") from error


def _document(status: int, answer: bytes) -> dict[str, Any]:
    try:
        document = json.loads(answer)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        document = {}
    if status == 200 and document.keys() >= _KEYS:
        return document
    message = document.get("message")
    if "error_code" in document and isinstance(message, str):
        raise ServerError(f"The server answers {status}: {message}")
    raise ServerError(f"The server answers {status}, not as one that workspace-authz guards.")
