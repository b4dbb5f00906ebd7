"""``workspace-authz gc``."""

from __future__ import annotations

import argparse
from typing import Final

from workspace_authz.cli.options import NO, OK
from workspace_authz.cli.output import note
from workspace_authz.cli.workspaces.stores import open_stores, read_cluster
from workspace_authz.mlflow_adapter.upkeep import Garbage
from workspace_authz.tenancy.states import State

_OPEN: Final = (State.CLAIMED, State.UNCLAIMED)


def run(options: argparse.Namespace) -> int:
    """Collect in one workspace after the other. Returns the exit status. Raises :class:`AuthzError`."""
    cluster = read_cluster(options)
    options.registry_store_uri = None
    with open_stores(options) as stores:
        statuses = stores.statuses(cluster.namespaces)
    garbage = Garbage(options.backend_store_uri, options.age)
    failed = False
    for status in statuses:
        if status.state not in _OPEN:
            note(f"{status.workspace} is left alone: it is {status.state}.")
        elif (problem := garbage.delete(status.workspace)) is not None:
            failed = True
            note(f"{status.workspace} could not be collected: {type(problem).__name__}: {problem}")
        else:
            note(f"{status.workspace} is collected.")
    return NO if failed else OK
