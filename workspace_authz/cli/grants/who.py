"""``workspace-authz who`` and ``who-can``: who holds what in a workspace, and by which binding."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from workspace_authz.authorizer.questions import parse_question
from workspace_authz.authorizer.rules import granted_names
from workspace_authz.cli.access import Access, demand_namespace, find_access, open_objects
from workspace_authz.cli.options import (
    NO,
    OK,
    add_caller,
    add_namespace,
    add_output,
    command_parser,
    namespace_name,
)
from workspace_authz.cli.output import note, print_json, print_lines, table
from workspace_authz.errors import ConfigurationError
from workspace_authz.grants.holdings import Holding, allows
from workspace_authz.grants.levels import levels_in
from workspace_authz.grants.objects import WORKSPACE_ROLES
from workspace_authz.grants.reading import NamespaceRbac, read_namespace
from workspace_authz.kubernetes.listwatch_answers import JsonObject
from workspace_authz.roles.generate import cluster_roles
from workspace_authz.types import Attributes

_WHO: Final = """\
Who holds what in a workspace: users, groups and service accounts, their levels, and the binding and role that
give it. Listed with your own credential: you need `list` on rolebindings and roles there.

LEVEL is view, edit, admin or integration by the shipped ClusterRoles and by Kubernetes' own view, edit and
admin; by other roles MLflow's READ, USE, EDIT or MANAGE on each resource, or on single objects by name."""

_WHO_CAN: Final = """\
Who may do something in a workspace, by RBAC: users, groups and service accounts. With --name on one object,
else on all of them, or on single objects, which are named. Listed with your own credential. Exit status 1:
nobody.

What other authorizers of the cluster allow, and members of system:masters, are not shown."""

_AGGREGATED: Final = ("view", "edit", "admin")
_MOST_NAMES: Final = 5


@dataclass(frozen=True, slots=True)
class Row:
    """One line of either answer."""

    holding: Holding
    level: str
    on: str

    @property
    def columns(self) -> tuple[str, ...]:
        """For people."""
        return (self.holding.subject.text, self.level, self.on, self.holding.source)

    @property
    def document(self) -> Mapping[str, Any]:
        """For programs."""
        holding = self.holding
        return {
            "subject": holding.subject.text,
            "kind": str(holding.subject.kind),
            "level": self.level,
            "on": self.on,
            "binding": {"name": holding.binding, "namespace": holding.binding_namespace},
            "role": {"name": holding.role_name, "namespace": holding.role_namespace},
            "managed": holding.managed,
        }


def who(arguments: Sequence[str]) -> int:
    """The command ``who``. Returns its exit status."""
    parser = command_parser("who", _WHO)
    add_namespace(parser)
    add_caller(parser)
    add_output(parser)
    options = parser.parse(arguments)
    rbac = asyncio.run(_read(options))
    rows = [row for holding in rbac.holdings() for row in _rows(holding)]
    _print(options, rbac, rows=rows)
    return OK


def who_can(arguments: Sequence[str]) -> int:
    """The command ``who-can``. Returns its exit status. Raises :class:`ConfigurationError`."""
    parser = command_parser("who-can", _WHO_CAN)
    parser.add_argument("verb", metavar="VERB")
    parser.add_argument("resource", metavar="RESOURCE[/SUB]", help="as `can-i` takes them")
    parser.add_argument("--name", default="", metavar="NAME", help="on this one object")
    add_namespace(parser)
    add_caller(parser)
    add_output(parser)
    options = parser.parse(arguments)
    try:
        verb, resource, subresource = parse_question(options.verb, options.resource)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    rbac = asyncio.run(_read(options))
    asked = Attributes(rbac.namespace, verb, resource, subresource, options.name)
    rows = [row for holding in rbac.holdings() for row in _allowing(holding, asked)]
    _print(options, rbac, rows=rows)
    return OK if rows else NO


async def _read(options: argparse.Namespace) -> NamespaceRbac:
    access: Access = await find_access(options)
    namespace = namespace_name(demand_namespace(options, access))
    async with open_objects(access) as objects:
        return await read_namespace(objects, namespace, cluster_roles=list(_shipped()))


def _shipped() -> Iterator[JsonObject]:
    """The ClusterRoles as this version ships them, and Kubernetes' own, into which they are aggregated."""
    for role in cluster_roles():
        yield role
        name = role["metadata"]["name"].removeprefix("mlflow-")
        if name in _AGGREGATED:
            yield {"metadata": {"name": name}, "rules": role["rules"], "aggregationRule": {}}


def _rows(holding: Holding) -> Iterator[Row]:
    level = _workspace_level(holding)
    if level:
        yield Row(holding, level, "the workspace")
        return
    found = False
    for (resource, name), object_level in levels_in(holding.role.rules).items():
        found = True
        yield Row(holding, str(object_level), f"{resource}/{name}" if name else str(resource))
    if not found:
        yield Row(holding, "-", "some rights, less than a level")


def _workspace_level(holding: Holding) -> str:
    """The word for a shipped ClusterRole, or for Kubernetes' own of the same right."""
    if holding.role_namespace:
        return ""
    name = holding.role_name.removeprefix("mlflow-")
    shipped = name in WORKSPACE_ROLES and holding.role_name == WORKSPACE_ROLES[name].name
    return name if shipped or holding.role_name in _AGGREGATED else ""


def _allowing(holding: Holding, asked: Attributes) -> Iterator[Row]:
    """At most one line: how the holding allows what is asked."""
    if allows(holding.role, replace(asked, name="")):
        yield Row(holding, _workspace_level(holding) or "-", f"all {asked.resource}")
        return
    names = sorted(granted_names(holding.role.rules, asked))
    if asked.name:
        names = [name for name in names if name == asked.name]
    if names:
        more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        yield Row(holding, "-", f"{asked.resource}: {', '.join(names[:_MOST_NAMES])}{more}")


def _print(options: argparse.Namespace, rbac: NamespaceRbac, *, rows: Sequence[Row]) -> None:
    ordered = sorted(rows, key=lambda row: (row.holding.subject, row.columns))
    if options.output == "json":
        print_json(
            {
                "namespace": rbac.namespace,
                "holdings": [row.document for row in ordered],
                "cluster_wide": rbac.cluster_wide,
                "assumed_cluster_roles": rbac.assumed,
            }
        )
        return
    if ordered:
        print_lines(table([("SUBJECT", "LEVEL", "ON", "FROM"), *(row.columns for row in ordered)]))
    else:
        print_lines([f"nobody, by the bindings of {rbac.namespace}"])
    if not rbac.cluster_wide:
        note("cluster-wide bindings may add more: you may not list clusterrolebindings.")
    if rbac.assumed:
        note(
            "you may not list clusterroles: the shipped ones and view, edit and admin are taken to be as in "
            "this version; bindings to others are left out."
        )
