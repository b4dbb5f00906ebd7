"""When not to ask: an API server that is down answers nobody sooner for being asked more often."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from workspace_authz.errors import OverloadedError, RequestError, UnreachableError

FAILURES: Final = 5
"""So many tries in a row without any answer open the circuit,"""
SILENT_SECONDS: Final = 0.5
"""if they took so long: one server of several that restarts breaks many connections, but at one moment."""
OPEN_SECONDS: Final = 1.0
"""How long nobody asks; then one question is let through at a time until one is answered."""

DOWN: Final = "The Kubernetes API server does not answer; try again."


class CircuitBreaker:
    """Open while the API server is down. ``changed`` hears True when it opens and False when it closes."""

    def __init__(self, monotonic: Callable[[], float], *, changed: Callable[[bool], None]) -> None:
        self._monotonic = monotonic
        self._changed = changed
        self._failures = 0
        self._silent_since = math.inf
        self._answered_at = -math.inf
        self._next_probe: float | None = None
        """None while closed; else when the next question may go through."""
        self._probing = False

    @property
    def is_open(self) -> bool:
        """Whether no questions are asked at the moment."""
        return self._next_probe is not None

    @contextmanager
    def trial(self) -> Iterator[None]:
        """Ask once within the block. Raises :class:`OverloadedError` instead while the circuit is open.

        Every answer is a sign of life, a refusal too; an ``UnreachableError`` or being cut off is none.
        """
        probe = self.is_open
        if probe:
            self._admit_probe()
        started = self._monotonic()
        try:
            yield
        except UnreachableError:
            self._failed(started)
            raise
        except RequestError:
            self._answered()
            raise
        except BaseException:
            self._failed(started)
            raise
        else:
            self._answered()
        finally:
            if probe:
                self._probing = False

    def _admit_probe(self) -> None:
        if self._probing or (self._next_probe is not None and self._monotonic() < self._next_probe):
            raise OverloadedError(DOWN)
        self._probing = True

    def _failed(self, started: float) -> None:
        now = self._monotonic()
        self._failures += 1
        self._silent_since = min(self._silent_since, max(started, self._answered_at))
        if self._failures < FAILURES or now - self._silent_since < SILENT_SECONDS:
            return
        was_open, self._next_probe = self.is_open, now + OPEN_SECONDS
        if not was_open:
            self._changed(True)

    def _answered(self) -> None:
        was_open, self._next_probe = self.is_open, None
        self._failures, self._silent_since, self._answered_at = 0, math.inf, self._monotonic()
        if was_open:
            self._changed(False)
