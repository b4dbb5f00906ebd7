"""The arguments of ``workspace-authz database``. The modules that do the work need MLflow, so load last."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from workspace_authz.cli.options import add_databases, command_parser, run_with_mlflow

_DESCRIPTION: Final = """\
The schema of the server's databases: MLflow's own, and this package's tables beside it.

  upgrade   wait for the database, then bring the schema up to what this release needs. Makes a fresh one,
            may be repeated, and refuses to run twice at once
  check     wait until the schema is what this release needs; say what is wrong otherwise. Changes nothing

Take a backup before an upgrade. Exit status:

   0  done
   2  the command or an option is wrong, or the database's driver is not installed
  10  the database did not answer in time
  11  another upgrade is running
  12  the schema is newer than this release
  13  a migration failed
  14  check: the schema is missing, or older than this release"""

_ACTIONS: Final = {
    action: f"workspace_authz.cli.database.{module}:run"
    for action, module in (("upgrade", "upgrading"), ("check", "checking"))
}
_SECONDS: Final = 60.0


def seconds(text: str) -> float:
    """A time to wait. Raises ``ValueError`` for what is none: no clock reaches the end of ``nan``."""
    found = float(text)
    if not math.isfinite(found) or found < 0:
        raise ValueError(text)
    return found


def run(arguments: Sequence[str]) -> int:
    """Run the command. Returns its exit status. Raises :class:`AuthzError`."""
    parser = command_parser("database", _DESCRIPTION)
    parser.add_argument("action", choices=tuple(_ACTIONS), metavar="ACTION", help="upgrade or check")
    parser.add_argument(
        "--wait",
        type=seconds,
        default=_SECONDS,
        metavar="SECONDS",
        help=f"how long to wait; default: {_SECONDS:g}",
    )
    add_databases(parser.add_argument_group("the server's databases, as given to mlflow server"))
    options = parser.parse(arguments)
    return run_with_mlflow("database", options, target=_ACTIONS[options.action])
