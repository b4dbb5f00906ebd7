"""``workspace-authz whoami``: the caller as the API server, and so MLflow, knows them."""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Sequence
from typing import Final

from workspace_authz.cli.access import REVIEW_SECONDS, Access, find_access, open_reviews
from workspace_authz.cli.guarded_server import ServerError, add_server, find_server
from workspace_authz.cli.options import OK, add_caller, add_output, command_parser
from workspace_authz.cli.output import note, print_json, print_lines, table
from workspace_authz.errors import ConfigurationError, MisconfiguredError, UnauthenticatedError
from workspace_authz.identity.credentials import claimed_audiences
from workspace_authz.kubernetes.configuration import load_configuration
from workspace_authz.kubernetes.connection import server_connection
from workspace_authz.kubernetes.reviews import user_of
from workspace_authz.kubernetes.token_reviews import ApiTokenReviews
from workspace_authz.types import UserInfo

_KEYS: Final = frozenset({"username", "uid", "groups", "extra"})

_DESCRIPTION = """\
Who you are to the API server (SelfSubjectReview), and so to MLflow.

With --server a running server says who you are to it, whatever kinds of credentials it takes.
A token for an audience of the server (--audience) is asked about with the kubeconfig's own user, who
needs the right to create tokenreviews.
A kubeconfig with a client certificate and no token is asked about by that certificate.
MLflow's clients cannot send one: get a token with `kubectl create token SERVICE_ACCOUNT`."""


def run(arguments: Sequence[str]) -> int:
    """The command. Returns its exit status."""
    parser = command_parser("whoami", _DESCRIPTION)
    add_server(parser, "say who you are to it")
    parser.add_argument(
        "--audience",
        default=os.environ.get("WORKSPACE_AUTHZ_AUDIENCES", ""),
        metavar="NAMES",
        help="the server's audiences, comma-separated; default: WORKSPACE_AUTHZ_AUDIENCES",
    )
    add_caller(parser)
    add_output(parser)
    options = parser.parse(arguments)
    if options.insecure and not options.server:
        parser.error("--insecure is about --server")
    return asyncio.run(_ask_server(options) if options.server else _whoami(options))


async def _ask_server(options: argparse.Namespace) -> int:
    server = await find_server(options)
    found = await server.get("/api/whoami", keys=_KEYS)
    try:
        user = user_of(found)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ServerError("The server gives no usable answer (it names nobody).") from error
    _show(user, server.source, output=options.output)
    return OK


async def _whoami(options: argparse.Namespace) -> int:
    access = await find_access(options)
    _show(await _owner(access, options), access.source, output=options.output)
    if access.by_certificate:
        note("this is a client certificate's user; MLflow's clients need a token.")
    return OK


def _show(user: UserInfo, source: str, *, output: str) -> None:
    if output == "json":
        print_json(_document(user, source))
    else:
        print_lines(table(_rows(user, source)))


async def _owner(access: Access, options: argparse.Namespace) -> UserInfo:
    audiences = [name for name in map(str.strip, options.audience.split(",")) if name]
    claimed = claimed_audiences(access.token)
    if not claimed.isdisjoint(audiences):
        return await _owner_by_audience(access.token, audiences, kubeconfig=options.kubeconfig)
    try:
        async with open_reviews(access) as reviews:
            return await reviews.who(access.token)
    except UnauthenticatedError as error:
        if not claimed:
            raise
        raise UnauthenticatedError(
            f"{error.message} It says that it is for {' and '.join(sorted(map(repr, claimed)))}: the "
            "Kubernetes API server accepts tokens for its own audience only; --audience asks about others."
        ) from None


async def _owner_by_audience(token: str, audiences: Sequence[str], *, kubeconfig: str | None) -> UserInfo:
    connection = server_connection(await load_configuration(kubeconfig))
    try:
        reviews = ApiTokenReviews(connection, audiences=audiences, timeout=REVIEW_SECONDS)
        return await reviews.who(token)
    except MisconfiguredError as error:
        raise ConfigurationError(f"Nobody can be asked about here. {error.message}") from error
    finally:
        await connection.close()


def _document(user: UserInfo, source: str) -> dict[str, object]:
    return {
        "username": user.username,
        "uid": user.uid,
        "groups": list(user.groups),
        "extra": {key: list(values) for key, values in user.extra},
        "credential": source,
    }


def _rows(user: UserInfo, source: str) -> list[tuple[str, str]]:
    return [
        ("user", user.username),
        *([("uid", user.uid)] if user.uid else []),
        *(("group", group) for group in user.groups),
        *(("extra", f"{key}={','.join(values)}") for key, values in user.extra),
        ("credential", source),
    ]
