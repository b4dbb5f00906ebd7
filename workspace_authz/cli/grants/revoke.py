"""``workspace-authz revoke``: rights in a workspace are taken back."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from typing import Final

from workspace_authz.cli.access import find_access, open_objects
from workspace_authz.cli.grants.options import (
    SUBJECTS,
    WORKSPACE_LEVELS,
    add_objects,
    namespace_of,
    objects_of,
    parsed,
    subject_of,
)
from workspace_authz.cli.options import OK, command_parser
from workspace_authz.cli.output import print_json, print_lines
from workspace_authz.errors import ConflictError, MissingError
from workspace_authz.grants.objects import WORKSPACE_ROLES
from workspace_authz.grants.subjects import Subject
from workspace_authz.grants.writing import GrantWriter

_REVOKE: Final = f"""\
Take back what `grant`, or MLflow's pages, have given. What was made by hand or lies in git is not touched:
the command says where it is.

{SUBJECTS}
levels:     {WORKSPACE_LEVELS}; without one, all of them. On single objects always every level"""


def run(arguments: Sequence[str]) -> int:
    """The command ``revoke``. Returns its exit status."""
    parser = command_parser("revoke", _REVOKE)
    parser.add_argument("subject", metavar="SUBJECT")
    parser.add_argument("level", nargs="?", metavar="LEVEL", choices=tuple(WORKSPACE_ROLES))
    add_objects(parser)
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="default: text")
    options = parsed(parser, arguments)
    if options.level is not None and any(objects_of(options)):
        parser.error("every level on an object is taken back: leave the LEVEL out")
    return asyncio.run(_revoke(options))


async def _revoke(options: argparse.Namespace) -> int:
    subject = subject_of(options.subject)
    access = await find_access(options)
    namespace = namespace_of(options, access)
    done: list[str] = []
    async with open_objects(access) as objects:
        writer = GrantWriter(objects)
        for resource, name in objects_of(options):
            await writer.revoke_object(subject, namespace, resource=resource, name=name)
            done.append(f"{resource}/{name}")
        if not done:
            levels = [options.level] if options.level else list(WORKSPACE_ROLES)
            done = await _revoke_levels(writer, subject, namespace=namespace, levels=levels)
    if options.output == "json":
        print_json({"subject": subject.text, "namespace": namespace, "revoked": done})
    else:
        print_lines([f"{subject.text}: no {each} in {namespace} any more" for each in done])
    return OK


async def _revoke_levels(
    writer: GrantWriter, subject: Subject, *, namespace: str, levels: Sequence[str]
) -> list[str]:
    """Which of ``levels`` were taken back. Raises where none was."""
    done: list[str] = []
    refused: list[MissingError | ConflictError] = []
    for level in levels:
        try:
            await writer.revoke_role(subject, namespace, role=WORKSPACE_ROLES[level])
            done.append(level)
        except (MissingError, ConflictError) as error:
            refused.append(error)
    if not done:
        by_hand = [each for each in refused if isinstance(each, ConflictError)]
        if by_hand or len(levels) == 1:
            raise (by_hand or refused)[0]
        raise MissingError(f"{subject.text} holds nothing in {namespace} that `grant` has given.")
    return done
