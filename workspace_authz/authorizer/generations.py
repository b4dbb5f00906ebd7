"""Which answers of the API server may still hold: how often what they depend on has changed."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

_MANY: Final = 64
"""Changes at a time that are counted as one of the whole cluster: a list after an outage."""
_SIZE: Final = 4096
"""Namespaces whose changes are counted one by one."""


@dataclass(frozen=True, slots=True)
class Generation:
    """How what can be allowed somewhere has come to be what it is."""

    number: int
    """Grows with every change; equal numbers mean that nothing has changed."""
    since: float
    """When the last change was seen, on the monotonic clock."""


class Generations:
    """Counts the changes of RBAC, by namespace, and knows whether they are being followed.

    Whoever follows the cluster writes it, caches read it; all of them on one event loop.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._count = 0
        self._everywhere = Generation(0, -math.inf)
        self._namespaces: dict[str, Generation] = {}
        """Those that changed after everything did."""
        self.followed_since: float | None = None
        """Since when no change can have been missed, on the monotonic clock; None while one can be."""

    def generation(self, namespace: str) -> Generation:
        """That of all that can be allowed in ``namespace``; empty: of what is allowed in all of them."""
        return self._namespaces.get(namespace, self._everywhere)

    def touch(self, namespaces: Collection[str]) -> None:
        """Something has changed that can matter in these namespaces."""
        if len(namespaces) > _MANY or len(self._namespaces) + len(namespaces) > _SIZE:
            self.touch_everywhere()
        elif namespaces:
            generation = self._next()
            self._namespaces.update(dict.fromkeys(namespaces, generation))

    def touch_everywhere(self) -> None:
        """Something has changed that can matter in every namespace."""
        self._everywhere = self._next()
        self._namespaces.clear()

    def _next(self) -> Generation:
        self._count += 1
        return Generation(self._count, self._monotonic())
