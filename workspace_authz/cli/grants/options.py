"""Options of ``grant`` and ``revoke``: single objects by name, subjects, and the server that knows names."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import Final

from workspace_authz.cli.access import Access, demand_namespace, explicit_namespace
from workspace_authz.cli.grants.mlflow_names import Found, MlflowNames
from workspace_authz.cli.options import Parser, add_caller, add_namespace, namespace_name
from workspace_authz.cli.output import note
from workspace_authz.errors import BadRequestError, ConfigurationError
from workspace_authz.grants.commands import LONGEST_NAME, OPTIONS, is_word
from workspace_authz.grants.objects import WORKSPACE_ROLES
from workspace_authz.grants.subjects import Subject, subject_of_text
from workspace_authz.types import Resource

_SERVER_VARIABLE: Final = "MLFLOW_TRACKING_URI"

WORKSPACE_LEVELS: Final = ", ".join(WORKSPACE_ROLES)
SUBJECTS: Final = """\
subjects:   alice                                   a user, by the name that Kubernetes has for them
            group:data-scientists                   a group
            system:serviceaccount:team-a:trainer    a service account, as `whoami` says it"""


def add_objects(parser: Parser) -> None:
    """Add the options that name single objects, and those of caller, cluster and server."""
    group = parser.add_argument_group("single objects, by MLflow's names; each may be given more than once")
    for resource, option in OPTIONS.items():
        group.add_argument(option, dest=resource, action="append", default=[], metavar="NAME")
    server = parser.add_argument_group("checking of names")
    server.add_argument(
        "--server",
        metavar="URL",
        help=f"the guarded MLflow that knows the names; default: {_SERVER_VARIABLE}",
    )
    server.add_argument("--insecure", action="store_true", help="do not verify the server's certificate")
    add_namespace(parser)
    add_caller(parser)


def parsed(parser: Parser, arguments: Sequence[str]) -> argparse.Namespace:
    """Parse a command line with these options. Raises :class:`ConfigurationError`."""
    options = parser.parse(arguments)
    if not all(is_word(name) for _, name in objects_of(options)):
        parser.error(f"a name has 1 to {LONGEST_NAME} printable characters")
    return options


def objects_of(options: argparse.Namespace) -> list[tuple[Resource, str]]:
    """The single objects that are named."""
    return [(resource, name) for resource in OPTIONS for name in getattr(options, resource)]


def subject_of(text: str) -> Subject:
    """The subject that ``text`` means. Raises :class:`ConfigurationError`."""
    try:
        return subject_of_text(text)
    except BadRequestError as error:
        raise ConfigurationError(error.message) from error


async def check_names(options: argparse.Namespace, access: Access, *, namespace: str) -> None:
    """Refuse ids, and note names that nothing has yet. Raises :class:`ConfigurationError`."""
    url = options.server or os.environ.get(_SERVER_VARIABLE, "")
    if not url.startswith(("https://", "http://")) or not access.token:
        return
    names = MlflowNames(url, access.token, namespace, options.insecure)
    for resource, name in objects_of(options):
        naming = await names.naming(resource, name)
        option = OPTIONS[resource]
        if naming.name_of_id:
            raise ConfigurationError(
                f"{name!r} is an id; rights go by names, and this one's is: {option}={naming.name_of_id}"
            )
        if naming.found is Found.MISSING:
            note(f"{url} has no {option.removeprefix('--')} {name!r} in {namespace} yet.")
        if naming.found is Found.UNKNOWN:
            note(f"{url} does not say whether there is a {option.removeprefix('--')} {name!r}.")


def namespace_of(options: argparse.Namespace, access: Access | None) -> str:
    """The namespace that is meant. Raises :class:`ConfigurationError`."""
    namespace = (
        demand_namespace(options, access) if access is not None else explicit_namespace(options, os.environ)
    )
    if namespace is None:
        raise ConfigurationError("No namespace is given: use -n NAME.")
    return namespace_name(namespace)
