"""``workspace-authz convert``: the permission database of another system, as plain RBAC."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import yaml

from workspace_authz.cli.options import OK, Parser, add_backend_store, command_parser, namespace_name
from workspace_authz.convert.basic_auth import read_basic_auth
from workspace_authz.convert.conversion import convert
from workspace_authz.convert.known import Known, know
from workspace_authz.convert.oidc_auth import read_oidc_auth
from workspace_authz.convert.places import Places, one_place, read_places
from workspace_authz.convert.plan import Wishes
from workspace_authz.convert.source import OldSystem, level_of
from workspace_authz.convert.subjects import Naming, account_names
from workspace_authz.convert.tables import demand_file
from workspace_authz.errors import BadRequestError, ConfigurationError
from workspace_authz.grants.levels import Level
from workspace_authz.grants.objects import WORKSPACE_ROLES, Manifest
from workspace_authz.grants.subjects import Subject, subject_of_text
from workspace_authz.lazy import load

_READERS: Final[Mapping[str, Callable[[str], OldSystem]]] = MappingProxyType(
    {"basic-auth": read_basic_auth, "oidc-auth": read_oidc_auth}
)
_NOTHING: Final = "NO_PERMISSIONS"

_DESCRIPTION: Final = """\
Print the permissions of another system for MLflow as Roles and RoleBindings, for `kubectl apply -f -`. What
RBAC cannot say, or says differently, goes to standard error: every row of the database is in one of them.
Nothing is written anywhere, and the database is only read.

  basic-auth   MLflow's own (mlflow.server.auth), of 3.16 to 3.18
  oidc-auth    mlflow-oidc-auth

Without workspaces everything lies in one place. --namespace puts all of it into one namespace, --map divides
it: each line of the file is a RESOURCE/NAME, in which * fits anything, and a namespace. A whole name counts
before all patterns, and of these the first that fits.

  experiments/fraud-*        team-a
  registeredmodels/fraud-*   team-a
  *                          shared"""

_EXAMPLES: Final = """\
example:
  workspace-authz convert oidc-auth sqlite:///auth.db --backend-store-uri sqlite:///mlflow.db \\
    --map teams.map --user-prefix oidc: --group-prefix oidc: >rbac.yaml 2>report.txt"""


def run(arguments: Sequence[str]) -> int:
    """The command. Returns its exit status. Raises :class:`ConfigurationError`."""
    parser = command_parser("convert", _DESCRIPTION, epilog=_EXAMPLES)
    parser.add_argument("system", choices=tuple(_READERS), metavar="SYSTEM", help="basic-auth or oidc-auth")
    parser.add_argument(
        "database", metavar="DATABASE_URI", help="the permission database, as SQLAlchemy names it"
    )
    _add_places(parser)
    _add_people(parser)
    parser.add_argument(
        "--every-row", action="store_true", help="let the report name each row of a long list"
    )
    options = parser.parse(arguments)
    system = _READERS[options.system](options.database)
    converted = convert(system, known=_known(options), wishes=_wishes(options, system))
    _print(converted.manifests)
    report = converted.report.text(remarks=converted.remarks, every_row=options.every_row)
    sys.stderr.writelines(f"{each}\n" for each in report)
    return OK


def _add_places(parser: Parser) -> None:
    group = parser.add_argument_group("where the data are, and where they go")
    place = group.add_mutually_exclusive_group(required=True)
    place.add_argument("-n", "--namespace", metavar="NAME", help="everything goes to this namespace")
    place.add_argument("--map", metavar="FILE", help="which object goes to which namespace")
    group.add_argument(
        "--workspaces",
        action="store_true",
        help="the old server had workspaces; each but `default` becomes the namespace of its name",
    )
    add_backend_store(group, what="MLflow's database, for the names of objects")


def _add_people(parser: Parser) -> None:
    group = parser.add_argument_group("who the people are, and what they had without a permission")
    group.add_argument(
        "--user-prefix", default="", metavar="TEXT", help="as the API server's --oidc-username-prefix"
    )
    group.add_argument(
        "--group-prefix", default="", metavar="TEXT", help="as the API server's --oidc-groups-prefix"
    )
    group.add_argument(
        "--accounts-namespace", metavar="NAME", help="where service accounts are made; default: --namespace"
    )
    group.add_argument(
        "--default-permission",
        choices=(*Level, _NOTHING),
        metavar="LEVEL",
        help="the old server's default_permission; default: READ of basic-auth, NO_PERMISSIONS of oidc-auth",
    )
    group.add_argument(
        "--members",
        choices=tuple(WORKSPACE_ROLES),
        default="",
        metavar="LEVEL",
        help="view, edit, admin or integration for whoever could make objects: without workspaces everybody",
    )
    group.add_argument(
        "--everybody",
        metavar="SUBJECT",
        help="stands for all users, where they all get the same: group:staff",
    )


def _wishes(options: argparse.Namespace, system: OldSystem) -> Wishes:
    accounts = options.accounts_namespace or options.namespace or ""
    if accounts:
        namespace_name(accounts)
    naming = Naming(options.user_prefix, options.group_prefix, accounts, account_names(system.people))
    given = options.default_permission
    default = system.ways.default if given is None else level_of(given)
    return Wishes(_places(options), naming, default, options.members, _everybody(options.everybody))


def _everybody(text: str | None) -> Subject | None:
    if not text:
        return None
    try:
        return subject_of_text(text)
    except BadRequestError as error:
        raise ConfigurationError(error.message) from error


def _places(options: argparse.Namespace) -> Places:
    if options.namespace:
        return one_place(namespace_name(options.namespace), workspaces=options.workspaces)
    try:
        text = Path(options.map).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The map cannot be read: {options.map}.") from error
    return read_places(text.splitlines(), workspaces=options.workspaces)


def _known(options: argparse.Namespace) -> Known:
    if not options.backend_store_uri:
        return Known()
    demand_file(options.backend_store_uri)
    open_engines: Any = load("workspace_authz.mlflow_adapter.store.engines:open_engines", extra="server")
    named_objects: Any = load(
        "workspace_authz.mlflow_adapter.store.named_objects:named_objects", extra="server"
    )
    with open_engines(options.backend_store_uri) as engines:
        return know(named_objects(engines))


def _print(manifests: Sequence[Manifest]) -> None:
    dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    yaml.dump_all(manifests, sys.stdout, Dumper=dumper, sort_keys=False, allow_unicode=True)
