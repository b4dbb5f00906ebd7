"""The tour as data: who does what, and what must come of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from workspace_authz.apps.demo.people import ALICE, BOB, CAROL, MALLORY, TEAM_A, TEAM_B, TRAINER

NOBODY: Final = "nobody"
ADMINISTRATOR: Final = "admin"

UNAUTHENTICATED: Final = "401 UNAUTHENTICATED"
FORBIDDEN: Final = "403 PERMISSION_DENIED"

_RUN: Final = "demo-run, baseline"
_SMOKE: Final = "run FINISHED, 5 accuracies"
_BOTH: Final = f"{TEAM_A}, {TEAM_B}"
_NOWHERE: Final = "team-nowhere"

_FORGET_SECONDS: Final = 30.0
"""Decisions hold ten seconds at most; more is for a busy machine."""


@dataclass(frozen=True, slots=True)
class Step:
    """One row of the table."""

    who: str
    what: str
    action: str
    """A name in ``steps/``; for the administrator ``bind`` or ``unbind``."""
    expected: str
    workspace: str | None = None
    """Where, when it is not the person's own workspace."""
    within: float = 0.0
    """Seconds in which what is expected may take effect; the step is repeated until then."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Some steps below one title."""

    title: str
    steps: tuple[Step, ...]
    together: bool = True
    """Different people act at the same time, each in order; else everybody waits for their turn."""


SIGN_IN: Final = "sign_in"
MLFLOWS_PAGE: Final = "MLflow's page"


def in_browser(name: str) -> str:
    """Somebody of the demo at a browser."""
    return f"{name} (browser)"


def signed_in_as(name: str) -> str:
    """What the page of signing in says in the end."""
    return f"signed in as {name}"


IN_A_BROWSER: Final = Stage(
    "In a browser, signed in at a provider",
    (
        Step(in_browser(ALICE.name), "signs in", SIGN_IN, signed_in_as(ALICE.name)),
        Step(in_browser(ALICE.name), "opens MLflow", "open_mlflow", MLFLOWS_PAGE),
        Step(in_browser(BOB.name), "signs in", SIGN_IN, signed_in_as(BOB.name)),
    ),
)
"""Taken where Chromium is installed."""

STAGES: Final = (
    Stage(
        "Each team at work, others outside",
        (
            Step(NOBODY, "lists workspaces, without a token", "list_workspaces", UNAUTHENTICATED),
            Step(ALICE.name, "lists workspaces", "list_workspaces", TEAM_A),
            Step(ALICE.name, "runs RHOAI's smoke test", "smoke_test", _SMOKE),
            Step(CAROL.name, "lists workspaces", "list_workspaces", TEAM_B),
            Step(CAROL.name, "runs RHOAI's smoke test", "smoke_test", _SMOKE),
            Step(
                TRAINER.name,
                "logs a model and a file, as in a pod",
                "log_model",
                "same predictions, same file",
            ),
            Step(MALLORY.name, "lists workspaces", "list_workspaces", "none"),
            Step(MALLORY.name, "reads team-a", "read_runs", FORBIDDEN, TEAM_A),
            Step(MALLORY.name, "reads a namespace that is not there", "read_runs", FORBIDDEN, _NOWHERE),
        ),
    ),
    Stage(
        "Rights end where the RoleBinding ends",
        (
            Step(BOB.name, "lists workspaces", "list_workspaces", TEAM_A),
            Step(BOB.name, "reads alice's run", "read_runs", _RUN),
            Step(BOB.name, "downloads trainer's model and uses it", "load_model", "a good model"),
            Step(BOB.name, "creates an experiment (he may view)", "create_experiment", FORBIDDEN),
            Step(BOB.name, "reads team-b", "read_runs", FORBIDDEN, TEAM_B),
            Step(ALICE.name, "creates an experiment in team-b", "create_experiment", FORBIDDEN, TEAM_B),
            Step(CAROL.name, "reads team-a", "read_runs", FORBIDDEN, TEAM_A),
            Step(TRAINER.name, "reads team-b", "read_runs", FORBIDDEN, TEAM_B),
            Step(TRAINER.name, "deletes an experiment of team-a", "delete_experiment", FORBIDDEN),
        ),
    ),
    Stage(
        "A RoleBinding lets bob in",
        (
            Step(ADMINISTRATOR, "binds bob to view in team-b", "bind", "done"),
            Step(BOB.name, "reads carol's run in team-b", "read_runs", _RUN, TEAM_B, _FORGET_SECONDS),
            Step(BOB.name, "lists workspaces", "list_workspaces", _BOTH, within=_FORGET_SECONDS),
        ),
        together=False,
    ),
    Stage(
        "Without it he is out",
        (
            Step(ADMINISTRATOR, "removes that RoleBinding", "unbind", "done"),
            Step(BOB.name, "reads team-b", "read_runs", FORBIDDEN, TEAM_B, _FORGET_SECONDS),
            Step(BOB.name, "lists workspaces", "list_workspaces", TEAM_A, within=_FORGET_SECONDS),
        ),
        together=False,
    ),
)
"""In this order; one stage is over before the next begins."""
