"""The health of this worker and of the whole server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from workspace_authz.kubernetes.informer_state import InformerState
from workspace_authz.telemetry.workers import WorkerRegistry

Check = Callable[[], str | None]
"""Returns None, or a problem as a sentence that names no namespace, user or secret."""


def informer_problem(state: InformerState, what: str) -> str | None:
    """Why ``what`` is not known yet, as a sentence; None when its informer has a complete list."""
    return state.problem or (None if state.synced else f"{what} have not been listed yet.")


@dataclass(frozen=True, slots=True)
class Health:
    """The checks of one worker, and the registry of all workers."""

    checks: Mapping[str, Check] = field(default_factory=dict)
    notes: Callable[[], Sequence[str]] = tuple
    """What an operator should know about a worker that serves nevertheless, as sentences of the same kind."""
    workers: WorkerRegistry | None = None
    """None where there is only this process."""

    def own(self) -> dict[str, str | None]:
        """This worker's problems, by check."""
        return {name: check() for name, check in self.checks.items()}

    def all(self) -> dict[str, str | None]:
        """The problems of all workers, by check: this worker's as of now, the others' as last reported."""
        own = self.own()
        others = self.workers.checks() if self.workers else {}
        return {name: own.get(name) or others.get(name) for name in (*others, *own)}
