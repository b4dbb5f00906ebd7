"""The arguments of ``workspace-authz workspaces``. The modules that do the work need MLflow, so load last."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Final

from workspace_authz.cli.options import (
    add_databases,
    add_kubeconfig,
    add_output,
    add_store,
    command_parser,
    run_with_mlflow,
)

_DESCRIPTION: Final = """\
Whose data the workspaces of an MLflow server hold.

  list              every workspace with data: its claim, its namespace and its state
  adopt NAME        the data become those of the namespace that has the name now; the workspace opens
  adopt --all       the same for every closed workspace: after a restore, or in another cluster
  purge NAME        delete the data, in database and artifact store, of a workspace that nobody uses

Run it where MLflow's database can be reached, best in the server's pod, with a kubeconfig that may list
namespaces: yours, or the server's own. Servers need no restart. States:

  claimed      the data belong to the namespace; the server serves it
  closed       the data belong to another namespace, so everybody gets a 403: adopt or purge
  orphan       it has no namespace: adopt it once there is one, or purge
  terminating  its namespace is being deleted; nobody gets in
  unclaimed    it has data and no claim; a server claims it for its namespace when it starts"""

_ACTIONS: Final = {
    action: f"workspace_authz.cli.workspaces.{module}:run"
    for action, module in (("list", "listing"), ("adopt", "adopting"), ("purge", "purging"))
}


def run(arguments: Sequence[str]) -> int:
    """Run the command. Returns its exit status. Raises :class:`AuthzError`."""
    parser = command_parser("workspaces", _DESCRIPTION)
    parser.add_argument("action", choices=tuple(_ACTIONS), metavar="ACTION", help="list, adopt or purge")
    parser.add_argument("name", nargs="?", metavar="NAME", help="the workspace, to adopt or purge")
    parser.add_argument("--all", action="store_true", help="adopt every closed workspace")
    parser.add_argument("--dry-run", action="store_true", help="only say what adopt or purge would do")
    parser.add_argument("--yes", action="store_true", help="purge without asking")
    _add_stores(parser)
    add_kubeconfig(parser)
    add_output(parser)
    options = parser.parse(arguments)
    if options.action == "list" and (options.name or options.all):
        parser.error("list takes no NAME")
    if options.action == "adopt" and bool(options.name) == options.all:
        parser.error("adopt takes a NAME or --all")
    if options.action == "purge" and (options.all or not options.name):
        parser.error("purge takes one NAME")
    return run_with_mlflow("workspaces", options, target=_ACTIONS[options.action])


def _add_stores(parser: argparse.ArgumentParser) -> None:
    """As ``mlflow server`` takes them, and from the same variables."""
    group = parser.add_argument_group("the server's stores, as given to mlflow server")
    add_databases(group)
    add_store(
        group,
        "--artifacts-destination",
        variable="MLFLOW_ARTIFACTS_DESTINATION",
        what="where artifacts are, for purge",
    )
    group.add_argument("--keep-artifacts", action="store_true", help="for purge: delete rows only")
