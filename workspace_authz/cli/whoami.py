"""``workspace-authz whoami``: the caller as the API server, and so MLflow, knows them."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence

from workspace_authz.cli.access import Access, find_access, open_reviews
from workspace_authz.cli.options import OK, add_caller, add_output, command_parser
from workspace_authz.cli.output import note, print_json, print_lines, table
from workspace_authz.types import UserInfo

_DESCRIPTION = """\
Who you are to the API server (SelfSubjectReview), and so to MLflow.

A kubeconfig with a client certificate and no token is asked about by that certificate.
MLflow's clients cannot send one: get a token with `kubectl create token SERVICE_ACCOUNT`."""


def run(arguments: Sequence[str]) -> int:
    """The command. Returns its exit status."""
    parser = command_parser("whoami", _DESCRIPTION)
    add_caller(parser)
    add_output(parser)
    return asyncio.run(_whoami(parser.parse(arguments)))


async def _whoami(options: argparse.Namespace) -> int:
    access = await find_access(options)
    async with open_reviews(access) as reviews:
        user = await reviews.who(access.token)
    if options.output == "json":
        print_json(_document(user, access))
    else:
        print_lines(table(_rows(user, access)))
    if access.by_certificate:
        note("this is a client certificate's user; MLflow's clients need a token.")
    return OK


def _document(user: UserInfo, access: Access) -> dict[str, object]:
    return {
        "username": user.username,
        "uid": user.uid,
        "groups": list(user.groups),
        "extra": {key: list(values) for key, values in user.extra},
        "credential": access.source,
    }


def _rows(user: UserInfo, access: Access) -> list[tuple[str, str]]:
    return [
        ("user", user.username),
        *([("uid", user.uid)] if user.uid else []),
        *(("group", group) for group in user.groups),
        *(("extra", f"{key}={','.join(values)}") for key, values in user.extra),
        ("credential", access.source),
    ]
