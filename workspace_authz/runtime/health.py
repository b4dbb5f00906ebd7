"""How this worker is, how the others are, and what of it is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from workspace_authz.kubernetes.informer_state import InformerState
from workspace_authz.telemetry.workers import WorkerRegistry

Check = Callable[[], str | None]
"""None, or a problem as a sentence that names no namespace, user or secret."""


def following(state: InformerState, what: str) -> str | None:
    """What keeps ``what`` from being known."""
    return state.problem or (None if state.synced else f"{what} have not been listed yet.")


@dataclass(frozen=True, slots=True)
class Health:
    """The checks of one worker, and the crew that it belongs to."""

    checks: Mapping[str, Check] = field(default_factory=dict)
    notes: Callable[[], Sequence[str]] = tuple
    """What an operator should know of a worker that serves nevertheless, as sentences of the same kind."""
    crew: WorkerRegistry | None = None
    """None where there is only this process."""

    def own(self) -> dict[str, str | None]:
        """This worker's problems, by check."""
        return {name: check() for name, check in self.checks.items()}

    def all(self) -> dict[str, str | None]:
        """Everybody's, this worker's as they are now and the others' as they were a second ago."""
        own = self.own()
        others = self.crew.checks() if self.crew else {}
        return {name: own.get(name) or others.get(name) for name in (*others, *own)}
