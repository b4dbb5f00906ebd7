"""``workspace-authz routes``: every route of MLflow with its rule. Reads the catalog and needs no MLflow."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import Final

from workspace_authz.catalog.compile import compile_catalog
from workspace_authz.catalog.entries import Entry
from workspace_authz.catalog.expand import as_json, as_text, describe
from workspace_authz.catalog.model import AnyRight, Authenticated, Guarded, Public, Refused, Requirement
from workspace_authz.cli.options import OK, Parser, add_output, command_parser
from workspace_authz.cli.output import print_json
from workspace_authz.types import USABLE, USE, Resource, Verb

_POLICIES: Final = {
    "public": Public,
    "authenticated": Authenticated,
    "any-right": AnyRight,
    "refused": Refused,
    "guarded": Guarded,
}
_RESOURCES: Final = (*Resource, *(f"{resource}/{USE}" for resource in Resource if resource in USABLE))

_DESCRIPTION = """\
Every route of MLflow with its rule: method, path and required rights. A route is shown if it matches all
filters. --resource and --verb must match the same requirement of the route."""


def run(arguments: Sequence[str]) -> int:
    """The command. Returns its exit status."""
    parser = command_parser("routes", _DESCRIPTION)
    parser.add_argument("--resource", choices=tuple(map(str, _RESOURCES)), metavar="RESOURCE[/SUB]")
    parser.add_argument("--verb", choices=tuple(map(str, Verb)), metavar="VERB", help=", ".join(Verb))
    parser.add_argument("--policy", choices=tuple(_POLICIES), metavar="POLICY", help=", ".join(_POLICIES))
    parser.add_argument(
        "--grep", metavar="REGEX", help="a pattern for method, path, operation or rule; case is ignored"
    )
    parser.add_argument("--static-prefix", default="", metavar="PREFIX", help="as given to mlflow server")
    parser.add_argument("--assistant", action="store_true", help="as with the setting `assistant`")
    add_output(parser)
    options = parser.parse(arguments)
    expression = _expression(parser, options.grep or "")
    catalog = compile_catalog(static_prefix=options.static_prefix, assistant=options.assistant)
    entries = [entry for entry in catalog.entries if _selected(entry, options, expression=expression)]
    if options.output == "json":
        print_json(as_json(entries))
    else:
        print(as_text(entries), end="")
    return OK


def _expression(parser: Parser, text: str) -> re.Pattern[str]:
    try:
        return re.compile(text, re.IGNORECASE)
    except re.error as error:
        parser.error(f"--grep is no regular expression: {error}")


def _selected(entry: Entry, options: argparse.Namespace, *, expression: re.Pattern[str]) -> bool:
    policy = entry.route.policy
    if options.policy and not isinstance(policy, _POLICIES[options.policy]):
        return False
    if options.resource or options.verb:
        requirements = policy.requirements if isinstance(policy, Guarded) else ()
        if not any(_requires(requirement, options) for requirement in requirements):
            return False
    described = f"{entry.method} {entry.path} {entry.route.operation} {describe(policy, entry.method)}"
    return expression.search(described) is not None


def _requires(requirement: Requirement, options: argparse.Namespace) -> bool:
    return options.verb in (None, requirement.verb) and options.resource in (
        None,
        requirement.qualified_resource,
    )
