"""``workspace-authz workspaces adopt``: the data become those of the namespace that has the name now."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from workspace_authz.cli.options import OK
from workspace_authz.cli.output import note, print_json, print_lines
from workspace_authz.cli.workspaces.listing import in_words
from workspace_authz.cli.workspaces.stores import open_stores, read_cluster
from workspace_authz.errors import ConfigurationError
from workspace_authz.tenancy.claims import adopt
from workspace_authz.tenancy.states import State, WorkspaceStatus

_ADOPTABLE = (State.CLOSED, State.UNCLAIMED)


def run(options: argparse.Namespace) -> int:
    """Adopt one workspace or all closed ones, and print a line for each. Returns the exit status.

    Raises :class:`ConfigurationError` if the named workspace cannot be adopted.
    """
    cluster = read_cluster(options)
    with open_stores(options) as stores:
        found = stores.statuses(cluster.namespaces)
        chosen = _all(found) if options.all else _one(found, options.name)
        if not options.dry_run:
            for status in chosen:
                adopt(stores.tracking, status.workspace, uid=_uid(status), by=cluster.user)
    if options.output == "json":
        print_json([_document(status, cluster.user) for status in chosen])
    else:
        would = "would be " if options.dry_run else ""
        print_lines(
            [
                f"{status.workspace}: {would}adopted by {cluster.user}, from {_former(status)} to "
                f"{_uid(status)}, with {in_words(status.objects)}"
                for status in chosen
            ]
        )
    if not chosen:
        note("nothing is closed.")
    return OK


def _all(found: Sequence[WorkspaceStatus]) -> list[WorkspaceStatus]:
    for status in found:
        if status.state in (State.ORPHAN, State.TERMINATING):
            note(f"{status.workspace} is left as it is ({status.state}): make its namespace first.")
    return [status for status in found if status.state in _ADOPTABLE]


def _one(found: Sequence[WorkspaceStatus], name: str) -> list[WorkspaceStatus]:
    status = next((status for status in found if status.workspace == name), None)
    if status is None:
        raise ConfigurationError(
            f"The workspace {name} holds no data, so it is open; there is nothing to adopt."
        )
    if status.state is State.CLAIMED:
        note(f"{name} is claimed for its namespace already.")
        return []
    if status.state not in _ADOPTABLE:
        raise ConfigurationError(
            f"The namespace {name} is missing or being deleted ({status.state}): make it first, then adopt."
        )
    return [status]


def _uid(status: WorkspaceStatus) -> str:
    return status.namespace.uid if status.namespace else ""


def _former(status: WorkspaceStatus) -> str:
    return (status.claim.uid if status.claim else "") or "no namespace"


def _document(status: WorkspaceStatus, user: str) -> dict[str, object]:
    return {
        "workspace": status.workspace,
        "from": status.claim.uid if status.claim else "",
        "to": _uid(status),
        "by": user,
        "objects": dict(status.objects),
    }
