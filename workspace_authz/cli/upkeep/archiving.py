"""``workspace-authz archive-traces``."""

from __future__ import annotations

import argparse

from workspace_authz.cli.options import NO, OK, backend_store_uri
from workspace_authz.cli.output import note, print_lines
from workspace_authz.mlflow_adapter.upkeep import archive_traces


def run(options: argparse.Namespace) -> int:
    """One pass over all workspaces. Returns the exit status. Raises :class:`ConfigurationError`."""
    archived = archive_traces(backend_store_uri(options))
    print_lines([f"{archived.traces} traces were archived."])
    for problem in archived.problems:
        note(problem)
    return NO if archived.problems else OK
