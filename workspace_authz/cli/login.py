"""``workspace-authz login``, ``logout`` and ``token``: the client's token, from the shell."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from workspace_authz.cli.options import NO, OK, Parser, command_parser
from workspace_authz.cli.output import note, print_lines
from workspace_authz.client.browser import log_in_by_browser
from workspace_authz.client.device import log_in_by_device
from workspace_authz.client.environment import SERVER, ClientEnvironment, origin
from workspace_authz.client.logins import Login, Logins
from workspace_authz.client.offered import offered_client
from workspace_authz.client.oidc import DEFAULT_SCOPE, Client, endpoint
from workspace_authz.client.sources import Tokens
from workspace_authz.errors import ConfigurationError

_LOGIN: Final = """\
Log in at an OpenID Connect provider, and keep the login for MLflow's clients on this machine.

MLFLOW_TRACKING_AUTH=workspace-authz then sends its ID token to the one server that the login is for, and
renews it while the provider allows it. Without --issuer and --client-id it is the provider of the last
login for this server, or the one that the server names."""

_LOGOUT: Final = "Forget the login for a server, and end it at the provider where that offers it."

_PRINT: Final = """\
Print the token that MLFLOW_TRACKING_AUTH=workspace-authz would send to a server, for clients that take
one: MLFLOW_TRACKING_TOKEN=$(workspace-authz token)."""


def log_in(arguments: Sequence[str]) -> int:
    """The command ``login``. Returns its exit status."""
    options = _login_parser().parse(arguments)
    server, logins = _server(options), _logins()
    client, workspace = _client(options, logins.read(server))
    endpoints = client.discover()
    if options.device:
        tokens = log_in_by_device(client, endpoints, tell=_tell)
    else:
        tokens = log_in_by_browser(client, endpoints, tell=_tell, port=options.port)
    login = Login(
        server=server,
        issuer=client.issuer,
        client_id=client.client_id,
        scope=client.scope,
        ca_file=client.ca_file,
        token_endpoint=endpoint(endpoints, "token_endpoint", issuer=client.issuer),
        workspace=workspace,
        id_token=tokens.id_token,
        refresh_token=tokens.refresh_token,
    )
    file = logins.write(login)
    until = datetime.fromtimestamp(login.expires, UTC).isoformat(timespec="seconds")
    ends = "it is renewed when it expires" if login.refresh_token else f"it expires at {until}"
    print_lines([f"Logged in to {server} as {login.person}; {ends}. The login is in {file}."])
    return OK


def _login_parser() -> Parser:
    parser = command_parser("login", _LOGIN)
    _add_server(parser)
    parser.add_argument(
        "--issuer", metavar="URL", help="the provider, as its discovery document calls itself"
    )
    parser.add_argument(
        "--client-id", metavar="ID", help="this program's name at the provider: a public client"
    )
    parser.add_argument("--provider", metavar="NAME", help="which one, of several that the server names")
    parser.add_argument("--scope", metavar="NAMES", help=f"what is asked for; default: {DEFAULT_SCOPE}")
    parser.add_argument(
        "--ca-file", metavar="FILE", help="the provider's CA, where the system does not trust it"
    )
    parser.add_argument("--device", action="store_true", help="log in on another device, by a code")
    parser.add_argument(
        "--port", type=int, default=0, help="the port of this machine for the browser's answer; default: any"
    )
    parser.add_argument(
        "-n", "--namespace", metavar="NAME", help="the workspace where MLFLOW_WORKSPACE says none"
    )
    return parser


def log_out(arguments: Sequence[str]) -> int:
    """The command ``logout``. Returns its exit status: 1 where there is no login."""
    parser = command_parser("logout", _LOGOUT)
    _add_server(parser)
    server, logins = _server(parser.parse(arguments)), _logins()
    login = logins.read(server)
    if login is None:
        note(f"there is no login for {server}.")
        return NO
    logins.remove(server)
    if login.refresh_token and not _revoked(login):
        note(f"{login.issuer} was not told; the login ends there by itself.")
    print_lines([f"Logged out of {server}."])
    return OK


def print_token(arguments: Sequence[str]) -> int:
    """The command ``token``. Returns its exit status."""
    parser = command_parser("token", _PRINT)
    _add_server(parser)
    found = Tokens().find(_server(parser.parse(arguments)))
    if sys.stdout.isatty():
        note(f"this is the token of {found.source}; whoever has it acts as you.")
    print_lines([found.token])
    return OK


def _client(options: argparse.Namespace, before: Login | None) -> tuple[Client, str]:
    """The provider and the workspace: those that are given, else those of the login before."""
    workspace = options.namespace or (before.workspace if before else "")
    client = _provider(options, before)
    ca_file = os.path.abspath(options.ca_file) if options.ca_file else client.ca_file
    return replace(client, scope=options.scope or client.scope, ca_file=ca_file), workspace


def _provider(options: argparse.Namespace, before: Login | None) -> Client:
    if options.issuer and options.client_id:
        return Client(issuer=options.issuer, client_id=options.client_id)
    if options.issuer or options.client_id:
        raise ConfigurationError("--issuer and --client-id go together.")
    if before is not None and not options.provider:
        return before.client
    client = offered_client(_address(options), options.provider or "", environ=os.environ)
    note(f"the server names {client.issuer} for this.")
    return client


def _revoked(login: Login) -> bool:
    with suppress(ConfigurationError):
        login.client.revoke(login.client.discover()["revocation_endpoint"], login.tokens)
        return True
    return False


def _add_server(parser: Parser) -> None:
    parser.add_argument("--server", metavar="URL", help=f"MLflow's address; default: {SERVER}")


def _server(options: argparse.Namespace) -> str:
    return origin(_address(options))


def _address(options: argparse.Namespace) -> str:
    return options.server or os.environ.get(SERVER, "")


def _logins() -> Logins:
    return Logins(ClientEnvironment.read(os.environ).logins)


def _tell(text: str) -> None:
    """On standard error, apart from the result."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
