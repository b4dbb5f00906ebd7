"""``workspace-authz workspaces list``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

from workspace_authz.cli.options import OK
from workspace_authz.cli.output import print_json, print_lines, table
from workspace_authz.cli.workspaces.opening import look_at_cluster, open_stores
from workspace_authz.tenancy.claims import NOBODY, Binding
from workspace_authz.tenancy.states import Standing

_HEAD: Final = ("WORKSPACE", "STATE", "DATA OF UID", "NAMESPACE UID", "BOUND", "OBJECTS")
_KINDS: Final = {
    "registered_models": "models",
    "evaluation_datasets": "datasets",
    "mcp_servers": "MCP servers",
    "trace_info": "traces",
}


def run(options: argparse.Namespace) -> int:
    """Print every workspace that is bound or holds data."""
    cluster = look_at_cluster(options)
    with open_stores(options) as stores:
        found = stores.standings(cluster.namespaces)
    if options.output == "json":
        print_json([_document(standing) for standing in found])
    else:
        print_lines(table([_HEAD, *map(_row, found)]) if found else ["No workspace holds data."])
    return OK


def in_words(objects: Mapping[str, int]) -> str:
    """``3 experiments, 12 runs``."""
    return ", ".join(f"{count} {_KINDS.get(kind, kind)}" for kind, count in objects.items()) or "-"


def _row(standing: Standing) -> tuple[str, ...]:
    binding, namespace = standing.binding, standing.namespace
    uid = "-" if binding is None else "(none)" if binding.uid == NOBODY else binding.uid
    return (
        standing.workspace,
        str(standing.state),
        uid,
        namespace.uid if namespace else "-",
        _bound(binding),
        in_words(standing.objects),
    )


def _bound(binding: Binding | None) -> str:
    if binding is None:
        return "-"
    by = f" by {binding.by}" if binding.by else ""
    return f"{_time(binding)} {binding.reason}{by}"


def _time(binding: Binding) -> str:
    return datetime.fromtimestamp(binding.at / 1000, UTC).isoformat(timespec="seconds")


def _document(standing: Standing) -> dict[str, Any]:
    binding = standing.binding
    return {
        "workspace": standing.workspace,
        "state": str(standing.state),
        "binding": None if binding is None else {**asdict(binding), "at": _time(binding)},
        "namespace": None if standing.namespace is None else asdict(standing.namespace),
        "objects": dict(standing.objects),
    }
