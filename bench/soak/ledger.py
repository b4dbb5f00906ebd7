"""What the truth was at each moment, and how late an answer was that did not agree with it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Change:
    """One change of what is allowed. Moments are on the monotonic clock, in seconds."""

    allowed: bool
    """What it made true."""
    begun: float
    """Before it was sent to the API server."""
    answered: float = math.inf
    """When the API server had answered."""
    late: float = 0.0
    """How long after :attr:`answered` a request was still sent that got the old answer, at worst."""
    until: float = 0.0
    """How long after :attr:`answered` an old answer still arrived, its own time on the way included."""


@dataclass(slots=True)
class Ledger:
    """The changes of one right, the first being how things stood at the start."""

    monotonic: Callable[[], float]
    changes: list[Change] = field(default_factory=lambda: [Change(False, -math.inf, -math.inf)])

    @property
    def present(self) -> Change:
        """The latest change, maybe still on its way."""
        return self.changes[-1]

    def begin(self, *, allowed: bool) -> Change:
        """A change is about to be sent. Its maker sets :attr:`Change.answered` by :meth:`answered`."""
        self.changes.append(Change(allowed, self.monotonic()))
        return self.present

    def answered(self) -> None:
        """The API server has answered."""
        self.present.answered = self.monotonic()

    def lateness(self, *, allowed: bool, sent: float, came: float) -> float:
        """For how many seconds the answer to a request had been wrong already when the request was sent.

        0 for an answer that was right at some moment on the way; infinite for one that never was right. A
        state holds from before its change was sent until after the API server answered the next one.
        """
        for number in range(len(self.changes) - 1, -1, -1):
            if self.changes[number].allowed is allowed and self.changes[number].begun <= came:
                break
        else:
            return math.inf
        if number + 1 == len(self.changes):
            return 0.0
        ending = self.changes[number + 1]
        late = max(0.0, sent - ending.answered)
        ending.late = max(ending.late, late)
        ending.until = max(ending.until, came - ending.answered)
        return late
