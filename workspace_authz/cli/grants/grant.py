"""``workspace-authz grant``: rights in a workspace, as plain RBAC."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

from workspace_authz.authorizer.rbac.objects import MANAGED_LABEL
from workspace_authz.cli.access import Access, find_access, open_objects
from workspace_authz.cli.grants.options import (
    SUBJECTS,
    WORKSPACE_LEVELS,
    add_objects,
    check_names,
    namespace_of,
    objects_of,
    parsed,
    subject_of,
)
from workspace_authz.cli.options import OK, Parser, command_parser
from workspace_authz.cli.output import note, print_json, print_lines
from workspace_authz.errors import ConfigurationError, ConflictError
from workspace_authz.grants.levels import Level
from workspace_authz.grants.objects import (
    WORKSPACE_ROLES,
    Manifest,
    ObjectGrant,
    RoleRef,
    object_grant,
    role_grant,
)
from workspace_authz.grants.subjects import Subject, SubjectKind
from workspace_authz.grants.writing import GrantWriter
from workspace_authz.kubernetes.objects import Objects
from workspace_authz.types import Resource

_OBJECT_LEVELS: Final = ", ".join(level.lower() for level in Level)

_EXAMPLES: Final = """\
a team at once, for git:
  workspace-authz grant group:ds-alpha edit system:serviceaccount:alpha:pipeline integration \\
    -n alpha --make-accounts --dry-run -o yaml
one experiment and one model to a colleague of another team:
  workspace-authz grant bob edit --experiment fraud --model fraud-detector -n alpha"""

_GRANT: Final = f"""\
Give users, groups and service accounts rights in one workspace. What is written is plain RBAC, with your own
credential: Kubernetes decides whether you may. Granting twice changes nothing.

{SUBJECTS}
levels:     {WORKSPACE_LEVELS}: on the whole workspace, the ClusterRoles mlflow-*
            {_OBJECT_LEVELS}: on single objects, MLflow's own words. A level on one object takes
            the place of another level on it that was given here

Several SUBJECT LEVEL pairs are granted in one go. A name of an object is checked where a server is known."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One grant."""

    subject: Subject
    what: RoleRef | ObjectGrant

    @property
    def level(self) -> str:
        """The word for it."""
        if isinstance(self.what, ObjectGrant):
            return self.what.level.lower()
        return self.what.name.removeprefix("mlflow-")

    @property
    def on(self) -> str:
        """On what, as people read it."""
        return self.what.text if isinstance(self.what, ObjectGrant) else "the workspace"

    def manifests(self, namespace: str) -> Sequence[Manifest]:
        """The objects that grant it."""
        if isinstance(self.what, ObjectGrant):
            return object_grant(self.subject, namespace, grant=self.what.possible)
        return (role_grant(self.subject, namespace, role=self.what),)


def run(arguments: Sequence[str]) -> int:
    """The command ``grant``. Returns its exit status."""
    parser = command_parser("grant", _GRANT, epilog=_EXAMPLES)
    parser.add_argument(
        "pairs", nargs="+", metavar="SUBJECT LEVEL", help="whom, and how much; again and again"
    )
    add_objects(parser)
    parser.add_argument(
        "--make-accounts", action="store_true", help="make the service accounts of this namespace, too"
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="write nothing; print plain RBAC for git, which no command and no page of MLflow changes",
    )
    parser.add_argument(
        "-o", "--output", choices=("text", "json", "yaml"), default="text", help="default: text"
    )
    options = parsed(parser, arguments)
    if options.output == "yaml" and not options.dry_run:
        parser.error("-o yaml is for --dry-run")
    return asyncio.run(_grant(options, _wanted(parser, options)))


def _wanted(parser: Parser, options: argparse.Namespace) -> Sequence[Wanted]:
    words = options.pairs
    if len(words) % 2:
        parser.error("give a LEVEL after each SUBJECT")
    objects = objects_of(options)
    return [
        each
        for subject, level in zip(words[::2], words[1::2], strict=True)
        for each in _granting(subject_of(subject), level=level.lower(), objects=objects)
    ]


def _granting(subject: Subject, *, level: str, objects: Sequence[tuple[Resource, str]]) -> Sequence[Wanted]:
    if objects and level.upper() in list(Level):
        return [Wanted(subject, ObjectGrant(*each, Level(level.upper()))) for each in objects]
    if not objects and level in WORKSPACE_ROLES:
        return [Wanted(subject, WORKSPACE_ROLES[level])]
    where, levels = (
        ("a single object", _OBJECT_LEVELS) if objects else ("a whole workspace", WORKSPACE_LEVELS)
    )
    raise ConfigurationError(f"{level[:40]!r} is no level on {where}; there are {levels}.")


async def _grant(options: argparse.Namespace, wanted: Sequence[Wanted]) -> int:
    access = await _access(options)
    namespace = namespace_of(options, access)
    if access is not None:
        await check_names(options, access, namespace=namespace)
    accounts = _accounts(wanted, namespace) if options.make_accounts else []
    if access is None or options.dry_run:
        _print_manifests(options, [*accounts, *(one for each in wanted for one in each.manifests(namespace))])
        return OK
    async with open_objects(access) as objects:
        for account in accounts:
            await _make_account(objects, account)
        writer = GrantWriter(objects)
        changed = [await _write(writer, each, namespace=namespace) for each in wanted]
    _print_done(options, wanted, namespace=namespace, changed=changed)
    return OK


async def _access(options: argparse.Namespace) -> Access | None:
    """None where nothing is written, and no cluster is known."""
    try:
        return await find_access(options)
    except ConfigurationError:
        if options.dry_run:
            return None
        raise


async def _write(writer: GrantWriter, wanted: Wanted, *, namespace: str) -> bool:
    if isinstance(wanted.what, ObjectGrant):
        return await writer.grant_object(wanted.subject, namespace, grant=wanted.what)
    changed = await writer.grant_role(wanted.subject, namespace, role=wanted.what)
    await _note_others(writer, wanted, namespace=namespace)
    return changed


async def _note_others(writer: GrantWriter, granted: Wanted, *, namespace: str) -> None:
    """Rights add up: who is given less than they hold keeps what they hold."""
    others = [role for role in WORKSPACE_ROLES.values() if role != granted.what]
    for role in await writer.roles_given(granted.subject, namespace, among=others):
        level = role.name.removeprefix("mlflow-")
        note(f"{granted.subject.text} keeps {level} in {namespace}; `workspace-authz revoke` takes it back.")


def _accounts(wanted: Sequence[Wanted], namespace: str) -> list[Manifest]:
    names = {
        each.subject.name: None
        for each in wanted
        if each.subject.kind is SubjectKind.SERVICE_ACCOUNT and each.subject.namespace == namespace
    }
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}}
        for name in names
    ]


async def _make_account(objects: Objects, account: Manifest) -> None:
    try:
        await objects.create(
            f"/api/v1/namespaces/{account['metadata']['namespace']}/serviceaccounts", account
        )
    except ConflictError:
        return  # it is there


def _print_manifests(options: argparse.Namespace, manifests: Sequence[Manifest]) -> None:
    """Without our label: who keeps it in git changes it there."""
    for each in manifests:
        labels = each["metadata"].get("labels", {})
        labels.pop(MANAGED_LABEL, None)
        if not labels:
            each["metadata"].pop("labels", None)
    if options.output == "json":
        print_json({"apiVersion": "v1", "kind": "List", "items": manifests})
    else:
        print_lines([yaml.safe_dump_all(manifests, sort_keys=False, allow_unicode=True).rstrip()])


def _print_done(
    options: argparse.Namespace, wanted: Sequence[Wanted], *, namespace: str, changed: Sequence[bool]
) -> None:
    if options.output == "json":
        rows: list[dict[str, Any]] = [
            {"subject": each.subject.text, "level": each.level, "on": each.on, "changed": new}
            for each, new in zip(wanted, changed, strict=True)
        ]
        print_json({"namespace": namespace, "grants": rows})
        return
    print_lines(
        [
            f"{each.subject.text}: {each.level} on {each.on} in {namespace}{'' if new else ' (as before)'}"
            for each, new in zip(wanted, changed, strict=True)
        ]
    )
