"""``workspace-authz serve``: answers proxies in front of an MLflow that cannot load the app."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import Final

import uvicorn

from workspace_authz.cli.options import OK, command_parser
from workspace_authz.doors.forward_auth.senders import senders_of
from workspace_authz.errors import ConfigurationError
from workspace_authz.lazy import load
from workspace_authz.settings.settings import load_settings
from workspace_authz.telemetry.audit import open_audit_sink
from workspace_authz.telemetry.workers import make_run_directory

_DESCRIPTION: Final = """\
Answer the authorization sub-requests of nginx (auth_request), Traefik (forwardAuth) and Envoy or Istio
(ext_authz) in front of an MLflow that cannot load workspace-authz. docs/forward-auth.md has the
configuration of each, and says what cannot be protected so. Settings come from the environment;
WORKSPACE_AUTHZ_MLFLOW_URL is needed, and a proof of the proxy."""

_APP: Final = "workspace_authz.doors.forward_auth.app:create_app"
_KEEP_ALIVE_SECONDS: Final = 300
"""Longer than proxies keep an idle connection: nginx 60, Traefik 90, Envoy as our example says."""


def run(arguments: Sequence[str]) -> int:
    """The command. Serves until it is stopped. Returns its exit status.

    Raises :class:`ConfigurationError`.
    """
    parser = command_parser("serve", _DESCRIPTION)
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on; default: 127.0.0.1")
    parser.add_argument("--port", type=int, default=5001, help="default: 5001")
    parser.add_argument("--workers", type=int, default=1, help="how many processes serve; default: 1")
    parser.add_argument("--ssl-certfile", metavar="FILE", help="the certificate; default: plain HTTP")
    parser.add_argument("--ssl-keyfile", metavar="FILE", help="its key, if that is in another file")
    given = parser.parse(arguments)
    if given.workers < 1:
        raise ConfigurationError("--workers must be 1 or more.")
    _check()
    make_run_directory(os.environ, workers=given.workers)
    uvicorn.run(
        _APP,
        factory=True,
        host=given.host,
        port=given.port,
        workers=given.workers,
        ssl_certfile=given.ssl_certfile,
        ssl_keyfile=given.ssl_keyfile,
        http="h11",
        # The address of a sender may be its proof.
        proxy_headers=False,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
    )
    return OK


def _check() -> None:
    """Find what is wrong with the settings before workers start. Raises :class:`ConfigurationError`."""
    settings = load_settings()
    prefix = settings.mlflow_origin[1]
    # MLflow makes its routes as it is imported. Nothing has imported it yet.
    os.environ["_MLFLOW_STATIC_PREFIX"] = prefix
    os.environ["_MLFLOW_SGI_NAME"] = "uvicorn"
    senders_of(settings)
    check_cluster = load("workspace_authz.doors.preflight:check_cluster", extra="server")
    asyncio.run(check_cluster(settings))
    open_audit_sink(settings).close()
