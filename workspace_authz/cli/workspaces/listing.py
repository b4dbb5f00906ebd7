"""``workspace-authz workspaces list``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

from workspace_authz.cli.options import OK
from workspace_authz.cli.output import print_json, print_lines, table
from workspace_authz.cli.workspaces.stores import open_stores, read_cluster
from workspace_authz.tenancy.claims import NO_NAMESPACE, Claim
from workspace_authz.tenancy.states import WorkspaceStatus

_HEAD: Final = ("WORKSPACE", "STATE", "DATA OF UID", "NAMESPACE UID", "CLAIMED", "OBJECTS")
_KINDS: Final = {
    "registered_models": "models",
    "evaluation_datasets": "datasets",
    "mcp_servers": "MCP servers",
    "trace_info": "traces",
}


def run(options: argparse.Namespace) -> int:
    """Print every workspace that is claimed or holds data. Returns the exit status."""
    cluster = read_cluster(options)
    with open_stores(options) as stores:
        found = stores.statuses(cluster.namespaces)
    if options.output == "json":
        print_json([_document(status) for status in found])
    else:
        print_lines(table([_HEAD, *map(_row, found)]) if found else ["No workspace holds data."])
    return OK


def in_words(objects: Mapping[str, int]) -> str:
    """Counts as text: ``3 experiments, 12 runs``."""
    return ", ".join(f"{count} {_KINDS.get(kind, kind)}" for kind, count in objects.items()) or "-"


def _row(status: WorkspaceStatus) -> tuple[str, ...]:
    claim, namespace = status.claim, status.namespace
    uid = "-" if claim is None else "(none)" if claim.uid == NO_NAMESPACE else claim.uid
    return (
        status.workspace,
        str(status.state),
        uid,
        namespace.uid if namespace else "-",
        _claimed(claim),
        in_words(status.objects),
    )


def _claimed(claim: Claim | None) -> str:
    if claim is None:
        return "-"
    by = f" by {claim.by}" if claim.by else ""
    return f"{_time(claim)} {claim.reason}{by}"


def _time(claim: Claim) -> str:
    return datetime.fromtimestamp(claim.at / 1000, UTC).isoformat(timespec="seconds")


def _document(status: WorkspaceStatus) -> dict[str, Any]:
    claim = status.claim
    return {
        "workspace": status.workspace,
        "state": str(status.state),
        "claim": None if claim is None else {**asdict(claim), "at": _time(claim)},
        "namespace": None if status.namespace is None else asdict(status.namespace),
        "objects": dict(status.objects),
    }
