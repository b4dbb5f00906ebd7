"""``workspace-authz can-i``: one access review about MLflow's pseudo-resources, or all of them."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator, Sequence
from typing import Final

from workspace_authz.cli.access import Access, demand_namespace, find_access, open_reviews
from workspace_authz.cli.options import NO, OK, Parser, add_caller, add_namespace, add_output, command_parser
from workspace_authz.cli.output import print_json, print_lines, table
from workspace_authz.errors import ConfigurationError
from workspace_authz.kubernetes.own_credential import Impersonation
from workspace_authz.types import API_GROUP, USABLE, USE, Attributes, Resource, Verb

_VERBS: Final = ", ".join(Verb)
_USES: Final = tuple(f"{resource}/{USE}" for resource in Resource if resource in USABLE)

_DESCRIPTION = f"""\
Ask Kubernetes whether you may do something in MLflow. Prints yes or no; exit status 0 is yes,
1 no, 2 an error.

Exact where `kubectl auth can-i` is not: kubectl drops the API group {API_GROUP},
because nothing serves it, and says no to those who may.

verbs:      {_VERBS}
resources:  {", ".join(list(Resource)[:5])},
            {", ".join(list(Resource)[5:])}
uses:       {", ".join(_USES)}
            (only with the verb create)

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
    add_namespace(parser)
    add_caller(parser)
    _add_impersonation(parser)
    add_output(parser)
    options = parser.parse(arguments)
    asked = _asked(parser, options)
    if options.as_groups and not options.as_user:
        parser.error("--as-group needs --as")
    return asyncio.run(_can_i(options, asked))


def _add_impersonation(parser: Parser) -> None:
    group = parser.add_argument_group("somebody else")
    group.add_argument(
        "--as",
        dest="as_user",
        metavar="USER",
        help="ask what USER may do; you need the right to impersonate them, as an administrator has it",
    )
    group.add_argument(
        "--as-group",
        dest="as_groups",
        action="append",
        default=[],
        metavar="GROUP",
        help="with --as: a group that USER is in; may be given more than once",
    )


def parse_question(verb: str, resource: str) -> tuple[Verb, Resource, str]:
    """Verb, resource and subresource; the API group may follow. Raises :class:`ConfigurationError`."""
    qualified, _, subresource = resource.partition("/")
    name = qualified.removesuffix(f".{API_GROUP}")
    if name not in list(Resource):
        raise ConfigurationError(
            f"MLflow has no resource {name!r} in Kubernetes; there are {', '.join(Resource)}."
        )
    if subresource and f"{name}/{subresource}" not in _USES:
        raise ConfigurationError(f"There is no {name}/{subresource}; there are {', '.join(_USES)}.")
    if verb not in list(Verb):
        raise ConfigurationError(f"No route of MLflow asks the verb {verb!r}; there are {_VERBS}.")
    if subresource and verb != Verb.CREATE:
        raise ConfigurationError(f"A use is asked with the verb create: can-i create {name}/{subresource}")
    return Verb(verb), Resource(name), subresource


def _asked(parser: Parser, options: argparse.Namespace) -> tuple[Verb, Resource, str] | None:
    """The one question, or None for all of them."""
    if options.list:
        if options.question:
            parser.error("--list takes no verb and no resource")
        return None
    if len(options.question) != 2:
        parser.error("give a VERB and a RESOURCE, or --list")
    verb, resource = options.question
    return parse_question(verb, resource)


async def _can_i(options: argparse.Namespace, asked: tuple[Verb, Resource, str] | None) -> int:
    impersonation = Impersonation(options.as_user, tuple(options.as_groups)) if options.as_user else None
    access = await find_access(options, impersonation=impersonation)
    namespace = demand_namespace(options, access)
    if asked is None:
        return await _list(options, access, namespace=namespace)
    verb, resource, subresource = asked
    attributes = Attributes(namespace, verb, resource, subresource, options.name)
    (allowed,) = await _answers(access, [attributes])
    if options.output == "json":
        name = {"name": attributes.name} if attributes.name else {}
        print_json(
            {
                "allowed": allowed,
                "verb": str(verb),
                "resource": attributes.qualified_resource,
                "group": API_GROUP,
                "namespace": namespace,
                **name,
            }
        )
    else:
        print_lines(["yes" if allowed else "no"])
    return OK if allowed else NO


async def _list(options: argparse.Namespace, access: Access, *, namespace: str) -> int:
    questions = list(_every_question(namespace, options.name))
    answers = await _answers(access, questions)
    rights: dict[str, list[str]] = {}
    for question, allowed in zip(questions, answers, strict=True):
        verbs = rights.setdefault(question.qualified_resource, [])
        if allowed:
            verbs.append(str(question.verb))
    if options.output == "json":
        print_json({"namespace": namespace, "group": API_GROUP, "name": options.name, "rights": rights})
        return OK
    rows = [("RESOURCE", *map(str, Verb))]
    rows += [
        (name, *("yes" if str(verb) in verbs else "-" for verb in Verb)) for name, verbs in rights.items()
    ]
    print_lines(table(rows))
    return OK


async def _answers(access: Access, questions: Sequence[Attributes]) -> list[bool]:
    """One review for each, concurrently over the connections there are. The first failure is raised."""
    async with open_reviews(access) as reviews:
        answers = await asyncio.gather(*(reviews.may(access.token, question) for question in questions))
    return [answer.allowed for answer in answers]


def _every_question(namespace: str, name: str) -> Iterator[Attributes]:
    for resource in Resource:
        for verb in Verb:
            yield Attributes(namespace, verb, resource, "", name)
        if resource in USABLE:
            yield Attributes(namespace, Verb.CREATE, resource, USE, name)
