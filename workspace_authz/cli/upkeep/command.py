"""The arguments of ``gc`` and ``archive-traces``. The modules that do the work need MLflow, so load last."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

from workspace_authz.cli.options import PROGRAM, Parser, add_kubeconfig, command_parser
from workspace_authz.lazy import load

_GC: Final = """\
Delete for good what was deleted in MLflow: runs, logged models and experiments with all that they hold, in
every workspace. It runs `mlflow gc` in one workspace after the other, so that one that fails stops no other,
and before that it empties the artifact folders of deleted experiments, of which MLflow leaves a part.

Workspaces that are closed, or whose namespace is missing or being deleted, are left alone
(see `workspace-authz workspaces`). Artifacts behind the server are deleted by requests to it:
MLFLOW_TRACKING_URI, with MLFLOW_TRACKING_AUTH=kubernetes in a pod. The account needs `list` on namespaces,
and `get` and `update` on experiments of every workspace. Exit status 1: a workspace failed, the others
are done."""

_ARCHIVE: Final = """\
Move the spans of old traces from MLflow's database to its archive, in every workspace, once. Where and after
how long is said in MLflow's own file, which MLFLOW_TRACE_ARCHIVAL_CONFIG names. A trace stays readable, by
those who could read it before, as long as the server reaches the archive.

The account needs `get`, `list` and `watch` on namespaces, and the pod the credentials of the archive. Exit
status 1: something could not be archived and stays in the database for the next time."""

_AGE: Final = re.compile(r"(\d+)([dhms])")
_UNITS: Final = (("d", "days"), ("h", "hours"), ("m", "minutes"), ("s", "seconds"))
_DEMAND: Final = "workspace_authz.mlflow_adapter.compat:demand_for_command"


def collect_garbage(arguments: Sequence[str]) -> int:
    """Run ``gc``. Returns its exit status. Raises :class:`AuthzError`."""
    parser = command_parser("gc", _GC)
    parser.add_argument(
        "--older-than",
        metavar="AGE",
        default="30d",
        help="only what was deleted longer ago: a number and d, h, m or s; default: 30d",
    )
    _add_store(parser)
    add_kubeconfig(parser)
    options = parser.parse(arguments)
    options.age = _age(options.older_than, parser)
    return _run("workspace_authz.cli.upkeep.collecting:run", options, command="gc")


def archive_traces(arguments: Sequence[str]) -> int:
    """Run ``archive-traces``. Returns its exit status. Raises :class:`AuthzError`."""
    parser = command_parser("archive-traces", _ARCHIVE)
    _add_store(parser)
    options = parser.parse(arguments)
    return _run("workspace_authz.cli.upkeep.archiving:run", options, command="archive-traces")


def _age(text: str, parser: Parser) -> timedelta:
    found = _AGE.fullmatch(text)
    if found is None:
        parser.error("--older-than takes a number and d, h, m or s, for example 30d")
    return timedelta(**{dict(_UNITS)[found[2]]: int(found[1])})


def _add_store(parser: Parser) -> None:
    parser.add_argument(
        "--backend-store-uri",
        metavar="URI",
        default=os.environ.get("MLFLOW_BACKEND_STORE_URI"),
        help="MLflow's database, as given to mlflow server; default: MLFLOW_BACKEND_STORE_URI",
    )


def _run(target: str, options: argparse.Namespace, *, command: str) -> int:
    demand: Callable[[str], None] = load(_DEMAND, extra="server")
    demand(f"{PROGRAM} {command}")
    action: Callable[[argparse.Namespace], int] = load(target, extra="server")
    return action(options)
