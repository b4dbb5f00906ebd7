"""``workspace-authz can-i``: one access review about MLflow's pseudo-resources, or all of them."""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

from workspace_authz.authorizer.questions import USES, VERBS, parse_question, questions_in_order
from workspace_authz.cli.access import (
    Access,
    CannotActError,
    demand_namespace,
    explicit_namespace,
    find_access,
    open_reviews,
)
from workspace_authz.cli.guarded_server import ServerError, add_server, find_server
from workspace_authz.cli.options import NO, OK, Parser, add_caller, add_namespace, add_output, command_parser
from workspace_authz.cli.others_rights import others_answers
from workspace_authz.cli.output import print_json, print_lines, table
from workspace_authz.errors import ConfigurationError
from workspace_authz.kubernetes.own_credential import Impersonation
from workspace_authz.types import API_GROUP, Attributes, Resource, Verb

_KEYS: Final = frozenset({"allowed", "namespace"})
_LIST_KEYS: Final = frozenset({"namespace", "name", "rights"})

_DESCRIPTION = f"""\
Ask Kubernetes whether you may do something in MLflow. Prints yes or no; exit status 0 is yes,
1 no, 2 an error.

Exact where `kubectl auth can-i` is not: kubectl drops the API group {API_GROUP},
because nothing serves it, and says no to those who may.

verbs:      {VERBS}
resources:  {", ".join(list(Resource)[:5])},
            {", ".join(list(Resource)[5:])}
uses:       {", ".join(USES)}
            (only with the verb create)

With --server a running server asks, for you only; a token is then all that is needed.
A kubeconfig with a client certificate and no token is asked about by that certificate. --as asks about
another user, as `kubectl auth can-i --as` does; so does `as` in the kubeconfig."""


def run(arguments: Sequence[str]) -> int:
    """The command. Returns its exit status."""
    parser = command_parser("can-i", _DESCRIPTION)
    parser.add_argument(
        "question", nargs="*", metavar="VERB RESOURCE[/SUB]", help="for example: create experiments"
    )
    parser.add_argument("--name", default="", metavar="NAME", help="about this one object only")
    parser.add_argument("--list", action="store_true", help="show every verb on every resource; status 0")
    add_server(parser, "ask")
    add_namespace(parser)
    add_caller(parser)
    _add_impersonation(parser)
    add_output(parser)
    options = parser.parse(arguments)
    asked = _asked(parser, options)
    if options.as_groups and not options.as_user:
        parser.error("--as-group needs --as")
    if options.insecure and not options.server:
        parser.error("--insecure is about --server")
    if options.as_user and options.server:
        parser.error("a server answers about the caller only: leave out --as, or --server")
    return asyncio.run(_ask_server(options, asked) if options.server else _can_i(options, asked))


def _add_impersonation(parser: Parser) -> None:
    group = parser.add_argument_group("somebody else")
    group.add_argument(
        "--as",
        dest="as_user",
        metavar="USER",
        help="ask what USER may do; you need the right to impersonate them, or that to create "
        "localsubjectaccessreviews there, as an administrator of the namespace has it",
    )
    group.add_argument(
        "--as-group",
        dest="as_groups",
        action="append",
        default=[],
        metavar="GROUP",
        help="with --as: a group that USER is in; may be given more than once",
    )


def _asked(parser: Parser, options: argparse.Namespace) -> tuple[Verb, Resource, str] | None:
    """The one question, or None for all of them."""
    if options.list:
        if options.question:
            parser.error("--list takes no verb and no resource")
        return None
    if len(options.question) != 2:
        parser.error("give a VERB and a RESOURCE, or --list")
    verb, resource = options.question
    try:
        return parse_question(verb, resource)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error


async def _ask_server(options: argparse.Namespace, asked: tuple[Verb, Resource, str] | None) -> int:
    server = await find_server(options, workspace=explicit_namespace(options, os.environ))
    query = {"name": options.name}
    if asked is None:
        found = await server.get("/api/rights", query, keys=_LIST_KEYS)
        if not isinstance(found["rights"], dict):
            raise ServerError("The server gives no usable answer (it lists no rights).")
        return _show_rights(options, found)
    verb, resource, subresource = asked
    query |= {"verb": str(verb), "resource": f"{resource}/{subresource}" if subresource else str(resource)}
    return _show_answer(options, await server.get("/api/can-i", query, keys=_KEYS))


async def _can_i(options: argparse.Namespace, asked: tuple[Verb, Resource, str] | None) -> int:
    impersonation = Impersonation(options.as_user, tuple(options.as_groups)) if options.as_user else None
    access = await find_access(options, impersonation=impersonation)
    namespace = demand_namespace(options, access)
    if asked is None:
        return await _list(options, access, namespace=namespace)
    verb, resource, subresource = asked
    attributes = Attributes(namespace, verb, resource, subresource, options.name)
    (allowed,) = await _answers(options, access, questions=[attributes])
    answer = {
        "allowed": allowed,
        "verb": str(verb),
        "resource": attributes.qualified_resource,
        "group": API_GROUP,
        "namespace": namespace,
        **({"name": attributes.name} if attributes.name else {}),
    }
    return _show_answer(options, answer)


async def _list(options: argparse.Namespace, access: Access, *, namespace: str) -> int:
    questions = list(questions_in_order(namespace, options.name))
    answers = await _answers(options, access, questions=questions)
    rights: dict[str, list[str]] = {}
    for question, allowed in zip(questions, answers, strict=True):
        verbs = rights.setdefault(question.qualified_resource, [])
        if allowed:
            verbs.append(str(question.verb))
    found = {"namespace": namespace, "group": API_GROUP, "name": options.name, "rights": rights}
    return _show_rights(options, found)


def _show_answer(options: argparse.Namespace, answer: Mapping[str, Any]) -> int:
    allowed = answer["allowed"] is True
    if options.output == "json":
        print_json(answer)
    else:
        print_lines(["yes" if allowed else "no"])
    return OK if allowed else NO


def _show_rights(options: argparse.Namespace, found: Mapping[str, Any]) -> int:
    if options.output == "json":
        print_json(found)
        return OK
    rows = [("RESOURCE", *map(str, Verb))]
    rows += [
        (str(name), *("yes" if str(verb) in verbs else "-" for verb in Verb))
        for name, verbs in found["rights"].items()
    ]
    print_lines(table(rows))
    return OK


async def _answers(
    options: argparse.Namespace, access: Access, *, questions: Sequence[Attributes]
) -> list[bool]:
    """One review for each, concurrently over the connections there are. The first failure is raised."""
    try:
        async with open_reviews(access) as reviews:
            answers = await asyncio.gather(*(reviews.may(access.token, question) for question in questions))
        return [answer.allowed for answer in answers]
    except CannotActError:
        if not options.as_user:
            raise
    whose = Impersonation(options.as_user, tuple(options.as_groups))
    return await others_answers(await find_access(options), questions, whose=whose)
