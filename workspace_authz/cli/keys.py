"""``workspace-authz keys``: access keys of a namespace, which are tokens of its service accounts."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from workspace_authz.cli.access import (
    REVIEW_SECONDS,
    Access,
    demand_namespace,
    find_access,
    open_objects,
    open_reviews,
)
from workspace_authz.cli.options import NO, OK, Parser, add_caller, add_namespace, add_output, command_parser
from workspace_authz.cli.output import note, print_json, print_lines, table
from workspace_authz.errors import BadRequestError, ConfigurationError
from workspace_authz.grants.key_formats import FORMATS, UNKNOWN_URI, URI, KeyUse
from workspace_authz.grants.key_records import Key, KeyWish, seconds_of_days, timestamp
from workspace_authz.grants.keys import (
    MOST_LISTED,
    BroadAccount,
    Keys,
    NewKey,
    ends_within,
    now,
)
from workspace_authz.kubernetes.connection import caller_connection
from workspace_authz.kubernetes.reviews import ApiReviews, Reviews

_DAYS: Final = "90"
_AUDIENCES: Final = "WORKSPACE_AUTHZ_AUDIENCES"

_DESCRIPTION: Final = f"""\
Access keys for programs that cannot renew a token: each is a token of a service account, whose rights it has.
It is used as MLFLOW_TRACKING_TOKEN, or as MLFLOW_TRACKING_PASSWORD.

  create ACCOUNT   make a key, and print it; nobody can print it again
  list             the keys of the namespace
  revoke KEY       end a key, within {ends_within()} seconds

Kubernetes decides who may: it takes the rights to create serviceaccounts/token, and to create, list, update
and delete secrets in the namespace, as the ClusterRoles edit and admin have them."""


def run(arguments: Sequence[str]) -> int:
    """The command. Returns its exit status."""
    parser = command_parser("keys", _DESCRIPTION)
    parser.add_argument("action", choices=("create", "list", "revoke"))
    parser.add_argument("name", nargs="?", metavar="ACCOUNT | KEY", help="a service account, or a key's name")
    _add_new(parser)
    add_namespace(parser)
    add_caller(parser)
    add_output(parser)
    options = parser.parse(arguments)
    if (options.name is None) is not (options.action == "list"):
        parser.error("create takes an ACCOUNT, revoke a KEY, and list neither")
    return asyncio.run(_keys(options))


def _add_new(parser: Parser) -> None:
    group = parser.add_argument_group("a new key")
    group.add_argument("--for", dest="purpose", metavar="TEXT", help="what it is for; shown in lists")
    group.add_argument("--days", default=_DAYS, metavar="N", help=f"how long it lives; default: {_DAYS}")
    group.add_argument(
        "--audience",
        metavar="NAME",
        help="the server's audience, so that the key is good for MLflow only; default: the first in "
        f"{_AUDIENCES}",
    )
    group.add_argument(
        "--print",
        dest="lines",
        choices=("key", *FORMATS),
        default="key",
        help=f"the key alone (default), or lines to copy, for the server in {URI}",
    )
    group.add_argument(
        "--yes", action="store_true", help="make it although its account may do more than MLflow"
    )


@dataclass(frozen=True, slots=True)
class _Session:
    keys: Keys
    reviews: Reviews
    """As the caller."""
    access: Access


async def _keys(options: argparse.Namespace) -> int:
    async with _session(options) as session:
        match options.action:
            case "create":
                return await _create(session, options)
            case "list":
                return await _list(session, options)
            case _:
                key = await session.keys.revoke(options.name)
                _print(options, key.document(now()), lines=[_ended(key)])
                return OK


@asynccontextmanager
async def _session(options: argparse.Namespace) -> AsyncIterator[_Session]:
    access = await find_access(options)
    namespace = demand_namespace(options, access)
    # A new key is asked about over a connection that shows no certificate, which would count instead.
    other = caller_connection(access.configuration, limit=1)
    try:
        async with open_objects(access) as objects, open_reviews(access) as reviews:
            keys = Keys(objects, ApiReviews(other, timeout=REVIEW_SECONDS), namespace)
            yield _Session(keys, reviews, access)
    finally:
        await other.close()


async def _create(session: _Session, options: argparse.Namespace) -> int:
    if not options.purpose:
        raise ConfigurationError("Say what the key is for, with --for.")
    audience = options.audience
    if audience is None:
        audience = os.environ.get(_AUDIENCES, "").partition(",")[0].strip()
    try:
        seconds = seconds_of_days(options.days)
    except BadRequestError as error:
        raise ConfigurationError(error.message) from None
    wish = KeyWish(options.name, options.purpose, seconds, audience)
    user = await session.reviews.who(session.access.token)
    made = await session.keys.make(wish, made_by=user.username, confirmed=options.yes)
    if isinstance(made, BroadAccount):
        _tell_rights(wish, made, namespace=session.keys.namespace)
        if not _confirmed():
            return NO
        made = await session.keys.make(wish, made_by=user.username, confirmed=True)
        assert isinstance(made, NewKey)  # noqa: S101 - it is confirmed
    _show(made, options, namespace=session.keys.namespace)
    return OK


def _show(made: NewKey, options: argparse.Namespace, *, namespace: str) -> None:
    use = KeyUse(os.environ.get(URI) or UNKNOWN_URI, namespace, made.value)
    text = made.value if options.lines == "key" else use.lines(options.lines)
    _print(
        options, {**made.key.document(now()), "key": made.value, "shortened": made.shortened}, lines=[text]
    )
    key = made.key
    note(
        f"the key {key.name} has the rights of the service account {key.account} in {namespace} until "
        f"{_until(key)}; `workspace-authz keys revoke {key.name} -n {namespace}` ends it."
    )
    if made.shortened:
        note("the cluster gave it a shorter life than you asked for: that is its limit for such tokens.")
    if not key.audience:
        note(
            "it is also a credential for the Kubernetes API, with the rights of its account; where the "
            "server has audiences, --audience makes one for MLflow only."
        )


def _tell_rights(wish: KeyWish, made: BroadAccount, *, namespace: str) -> None:
    note(
        f"without --audience the key is also a credential for the Kubernetes API, and {wish.account} may do "
        f"more in {namespace} than MLflow:"
    )
    for right in made.rights:
        note(f"  {right}")


def _confirmed() -> bool:
    """Whether the person at the terminal wants it. Without a terminal nobody is asked."""
    if not sys.stdin.isatty():
        note("no key was made; --yes makes it.")
        return False
    sys.stderr.write("Make it? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


async def _list(session: _Session, options: argparse.Namespace) -> int:
    listed = await session.keys.listed()
    at = now()
    if options.output == "json":
        print_json({"keys": [key.document(at) for key in listed.keys], "more": listed.more})
        return OK
    heads = ("KEY", "ACCOUNT", "STATE", "UNTIL", "AUDIENCE", "MADE BY", "FOR")
    print_lines(table([heads, *(_row(key, at) for key in listed.keys)]))
    if listed.more:
        note(f"there are more than {MOST_LISTED} keys; these are the first.")
    return OK


def _row(key: Key, at: datetime) -> Sequence[str]:
    return (
        key.name,
        _printable(key.account),
        str(key.state(at)),
        _until(key),
        _printable(key.audience) or "-",
        _printable(key.made_by),
        _printable(key.purpose),
    )


def _printable(text: str) -> str:
    """Without what a terminal would obey: who may write Secrets chose it."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _until(key: Key) -> str:
    return timestamp(key.expires) if key.expires else "-"


def _ended(key: Key) -> str:
    return f"The key {key.name} ends within {ends_within()} seconds."


def _print(options: argparse.Namespace, document: dict[str, object], *, lines: Sequence[str]) -> None:
    if options.output == "json":
        print_json(document)
    else:
        print_lines(lines)
