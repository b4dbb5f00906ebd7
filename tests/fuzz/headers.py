"""Headers by which somebody could claim another workspace, person or route."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

Headers = Sequence[tuple[str, str]]

WORKSPACE: Final = "X-MLFLOW-WORKSPACE"
_USERS: Final = (
    "X-Forwarded-User",
    "X-Forwarded-Preferred-Username",
    "X-Forwarded-Email",
    "X-Auth-Request-User",
    "X-Remote-User",
    "Remote-User",
    "Impersonate-User",
    "kubeflow-userid",
)
_GROUPS: Final = ("X-Forwarded-Groups", "X-Auth-Request-Groups", "X-Remote-Group", "Impersonate-Group")
IDENTITY: Final = (
    *((name, "root") for name in _USERS),
    *((name, "system:masters") for name in _GROUPS),
    ("Authorization", "Basic cm9vdDpyb290"),
)
"""Who the caller would like to be: somebody who may do everything."""


def _elsewhere(foreign: str) -> Headers:
    """What a proxy or a browser could say about the workspace."""
    return (
        ("X-Forwarded-Prefix", f"/workspaces/{foreign}"),
        ("X-Original-URL", f"/workspaces/{foreign}/"),
        ("X-Forwarded-Host", f"{foreign}.example"),
        ("X-Forwarded-Namespace", foreign),
        ("Cookie", f"mlflow_workspace={foreign}; workspace={foreign}; {WORKSPACE}={foreign}"),
        ("X-HTTP-Method-Override", "GET"),
        ("X-Method-Override", "GET"),
        ("X-MLflow-Guardrail-Bypass", "1"),
        ("X-MLflow-Workspace-Name", foreign),
    )


def on_every_route(own: str, foreign: str) -> Mapping[str, Headers]:
    """Each of them is tried with each operation."""
    return {
        "the other workspace, as somebody else": [(WORKSPACE, foreign), *IDENTITY],
        "own first": [(WORKSPACE, own), (WORKSPACE, foreign)],
        "own last": [(WORKSPACE.lower(), foreign), (WORKSPACE, own)],
        "own, and claims": [
            (WORKSPACE, own),
            ("X_MLFLOW_WORKSPACE", foreign),
            ("X-MLFLOW_WORKSPACE", foreign),
            *_elsewhere(foreign),
        ],
    }


def in_turn(own: str, foreign: str) -> Mapping[str, Headers]:
    """One of them is tried with each operation: none is meant for a route more than for another."""
    values = {
        "two in one": f"{own},{foreign}",
        "two in one, own last": f"{foreign}, {own}",
        "blanks": f"\t {foreign} ",
        "no-break space": f"{foreign}\xa0",
        "percent": foreign.replace("-", "%2D"),
        "capitals": foreign.upper(),
        "a path": f"{own}/../{foreign}",
        "a quote": f'"{foreign}"',
        "empty": "",
    }
    return {
        "none": [],
        "as oneself": [(WORKSPACE, foreign)],
        "underscores only": [("X_MLFLOW_WORKSPACE", foreign)],
        "mixed case": [("x-MLFLOW-workspace", own), ("X-mlflow-WORKSPACE", foreign)],
        "proxy only": _elsewhere(foreign),
        "an odd one beside": [(WORKSPACE, own), (WORKSPACE, f"{foreign}\xa0")],
        **{name: [(WORKSPACE, value)] for name, value in values.items()},
    }
