"""``workspace-authz workspaces adopt``: the data become those of the namespace that has the name now."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from workspace_authz.cli.options import OK
from workspace_authz.cli.output import note, print_json, print_lines
from workspace_authz.cli.workspaces.listing import in_words
from workspace_authz.cli.workspaces.opening import look_at_cluster, open_stores
from workspace_authz.errors import ConfigurationError
from workspace_authz.tenancy.claims import rebind
from workspace_authz.tenancy.states import Standing, State

_ADOPTABLE = (State.CLOSED, State.UNBOUND)


def run(options: argparse.Namespace) -> int:
    """Adopt one workspace or all. One line for each that was adopted."""
    cluster = look_at_cluster(options)
    with open_stores(options) as stores:
        found = stores.standings(cluster.namespaces)
        chosen = _all(found) if options.all else _one(found, options.name)
        if not options.dry_run:
            for standing in chosen:
                rebind(stores.own, standing.workspace, _uid(standing), by=cluster.user)
    if options.output == "json":
        print_json([_document(standing, cluster.user) for standing in chosen])
    else:
        would = "would be " if options.dry_run else ""
        print_lines(
            [
                f"{standing.workspace}: {would}adopted by {cluster.user}, from {_former(standing)} to "
                f"{_uid(standing)}, with {in_words(standing.objects)}"
                for standing in chosen
            ]
        )
    if not chosen:
        note("nothing is closed.")
    return OK


def _all(found: Sequence[Standing]) -> list[Standing]:
    for standing in found:
        if standing.state in (State.ORPHAN, State.TERMINATING):
            note(f"{standing.workspace} is left as it is ({standing.state}): make its namespace first.")
    return [standing for standing in found if standing.state in _ADOPTABLE]


def _one(found: Sequence[Standing], name: str) -> list[Standing]:
    standing = next((standing for standing in found if standing.workspace == name), None)
    if standing is None:
        raise ConfigurationError(
            f"The workspace {name} holds no data, so it is open; there is nothing to adopt."
        )
    if standing.state is State.BOUND:
        note(f"{name} is bound to its namespace already.")
        return []
    if standing.state not in _ADOPTABLE:
        raise ConfigurationError(
            f"The namespace {name} is missing or being deleted ({standing.state}): make it first, then adopt."
        )
    return [standing]


def _uid(standing: Standing) -> str:
    return standing.namespace.uid if standing.namespace else ""


def _former(standing: Standing) -> str:
    return (standing.binding.uid if standing.binding else "") or "no namespace"


def _document(standing: Standing, user: str) -> dict[str, object]:
    return {
        "workspace": standing.workspace,
        "from": standing.binding.uid if standing.binding else "",
        "to": _uid(standing),
        "by": user,
        "objects": dict(standing.objects),
    }
