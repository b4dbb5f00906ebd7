"""``workspace-authz fetch``: models into directories, as KServe's storage initializers do it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from workspace_authz.cli.options import command_parser
from workspace_authz.client.fetch.address import parse_address
from workspace_authz.client.fetch.fetching import fetch
from workspace_authz.client.fetch.outcome import Exit
from workspace_authz.client.fetch.server import TrackingServer

_DESCRIPTION: Final = """\
Fetch models or a run's artifacts from MLflow, with the rights of whoever runs this: in a pod, of its service
account. KServe runs it as a storage initializer. Nothing is in DIR before all is there and verified; after an
interruption the same command goes on where it stopped.

  mlflow://models/<name>/<version>            one version
  mlflow://models/<name>@<alias>              the version with this alias
  mlflow://models/<name>/latest               the newest version
  mlflow://models/<name>/production           the newest version in this stage; also staging
  mlflow://models/<model id>                  a logged model: m-...
  mlflow://runs/<run id>/artifacts/<path>     of a run, a folder or a file; "artifacts/" may be left out

<name> is URL-encoded. "?workspace=<namespace>" at the end names the workspace; otherwise it is
MLFLOW_WORKSPACE, else the pod's namespace. The server is MLFLOW_TRACKING_URI, its CA the file
MLFLOW_TRACKING_SERVER_CERT_PATH."""

_STATUSES: Final = """\
exit statuses: 0 complete, 2 wrong configuration, 3 not authenticated, 4 not allowed, 5 there is no such
thing, 6 the server does not answer, 7 what came is not what was promised, 8 DIR cannot be written."""


def run(arguments: Sequence[str]) -> int:
    """The command ``fetch``. Returns its exit status. Raises :class:`FetchError`, ``ConfigurationError``."""
    parser = command_parser("fetch", _DESCRIPTION, epilog=_STATUSES)
    parser.add_argument("pairs", nargs="+", metavar="URI DIR", help="what, and into which directory")
    pairs: list[str] = parser.parse(arguments).pairs
    if len(pairs) % 2:
        parser.error("each URI has a DIR")
    addresses = [parse_address(uri) for uri in pairs[::2]]
    server = TrackingServer.from_environment()
    for address, directory in zip(addresses, pairs[1::2], strict=True):
        fetch(server, address, directory=Path(directory), tell=_tell)
    return Exit.COMPLETE


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
