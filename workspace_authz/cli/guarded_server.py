"""Ask a running guarded MLflow, with the caller's token and nothing else."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from workspace_authz.cli.access import demand_token, find_access, given_token
from workspace_authz.errors import AuthzError, ConfigurationError

_ROOT: Final = "/workspace-authz"
_TIMEOUT: Final = aiohttp.ClientTimeout(total=15)


class ServerError(AuthzError):
    """The running server gave no answer. The message says why, in its own words where it has some."""


@dataclass(frozen=True, slots=True)
class GuardedServer:
    """A server as one caller. The token goes to its address only: redirects are not followed."""

    base: str
    """The server's URL with its static prefix."""
    token: str = field(repr=False)
    source: str
    """Where the token was found, in words."""
    workspace: str | None
    insecure: bool = False

    async def get(
        self, path: str, query: Mapping[str, str] | None = None, *, keys: Collection[str]
    ) -> dict[str, Any]:
        """The document at ``path`` below the server's pages of ours; it has ``keys``.

        Raises :class:`ServerError`.
        """
        return await self._ask("GET", path, keys=keys, params=query or {})

    async def post(self, path: str, document: Mapping[str, Any], *, keys: Collection[str]) -> dict[str, Any]:
        """The answer to ``document``. See :meth:`get`."""
        return await self._ask("POST", path, keys=keys, json=dict(document))

    async def _ask(self, method: str, path: str, *, keys: Collection[str], **sent: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.token}"}
        if self.workspace is not None:
            headers["X-MLFLOW-WORKSPACE"] = self.workspace
        connector = aiohttp.TCPConnector(ssl=not self.insecure)
        try:
            async with (
                aiohttp.ClientSession(timeout=_TIMEOUT, connector=connector) as http,
                http.request(
                    method, f"{self.base}{_ROOT}{path}", headers=headers, allow_redirects=False, **sent
                ) as response,
            ):
                return _document(response.status, await response.read(), keys=keys)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise ServerError(f"The server gives no usable answer ({type(error).__name__}).") from error


def add_server(parser: argparse.ArgumentParser, does: str) -> None:
    """Add the options that name a running server, which ``does`` what the command is about."""
    parser.add_argument(
        "--server",
        metavar="URL",
        help=f"let this running server {does}; with a token nothing is needed of the cluster",
    )
    parser.add_argument("--insecure", action="store_true", help="do not verify the server's certificate")


async def find_server(
    options: argparse.Namespace, *, workspace: str | None = None, static_prefix: str = ""
) -> GuardedServer:
    """The server and the caller that the options name, asked about ``workspace``.

    A kubeconfig is read only where no token is given. Raises :class:`ConfigurationError`.
    """
    if not options.server.startswith(("https://", "http://")):
        raise ConfigurationError("--server takes a URL, for example https://mlflow.example.com.")
    token, source = given_token(options, os.environ)
    if not token:
        access = await find_access(options)
        demand_token(access)
        token, source = access.token, access.source
    return GuardedServer(
        base=options.server.rstrip("/") + static_prefix.rstrip("/"),
        token=token,
        source=source,
        workspace=workspace,
        insecure=options.insecure,
    )


def _document(status: int, answer: bytes, *, keys: Collection[str]) -> dict[str, Any]:
    try:
        document = json.loads(answer)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        document = {}
    if status == 200 and document.keys() >= set(keys):
        return document
    message = document.get("message")
    if "error_code" in document and isinstance(message, str):
        raise ServerError(f"The server answers {status}: {message}")
    raise ServerError(f"The server answers {status}, not as one that workspace-authz guards.")
