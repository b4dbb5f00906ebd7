"""The arguments of ``gc`` and ``archive-traces``. The modules that do the work need MLflow, so load last."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from workspace_authz.cli.options import (
    Parser,
    add_backend_store,
    add_kubeconfig,
    command_parser,
    run_with_mlflow,
)

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

_AGE: Final = re.compile(r"(\d{1,12})([dhms])")
_UNITS: Final = (("d", "days"), ("h", "hours"), ("m", "minutes"), ("s", "seconds"))
_LONGEST: Final = timedelta(days=18_250)
"""Half a century: what is further back than clocks and databases count is a slip of the finger."""
_DATABASE: Final = "MLflow's database, as given to mlflow server"


def collect_garbage(arguments: Sequence[str]) -> int:
    """Run ``gc``. Returns its exit status. Raises :class:`AuthzError`."""
    parser = command_parser("gc", _GC)
    parser.add_argument(
        "--older-than",
        metavar="AGE",
        default="30d",
        help="only what was deleted longer ago: a number and d, h, m or s; default: 30d",
    )
    add_backend_store(parser, what=_DATABASE)
    add_kubeconfig(parser)
    options = parser.parse(arguments)
    options.age = _age(options.older_than, parser)
    return run_with_mlflow("gc", options, target="workspace_authz.cli.upkeep.collecting:run")


def archive_traces(arguments: Sequence[str]) -> int:
    """Run ``archive-traces``. Returns its exit status. Raises :class:`AuthzError`."""
    parser = command_parser("archive-traces", _ARCHIVE)
    add_backend_store(parser, what=_DATABASE)
    options = parser.parse(arguments)
    return run_with_mlflow("archive-traces", options, target="workspace_authz.cli.upkeep.archiving:run")


def _age(text: str, parser: Parser) -> timedelta:
    found = _AGE.fullmatch(text)
    if found is None:
        parser.error("--older-than takes a number and d, h, m or s, for example 30d")
    one = timedelta(**{dict(_UNITS)[found[2]]: 1})
    if int(found[1]) > _LONGEST // one:
        parser.error("--older-than takes 50 years at most")
    return int(found[1]) * one
