"""For what takes a moment because a cache or a watch is between."""

from __future__ import annotations

import time
from collections.abc import Callable

_PATIENCE_SECONDS = 50.0
"""Less than the minute for which a decision is kept: what outlives a change of RBAC is not waited for."""


def until(condition: Callable[[], bool], *, seconds: float = _PATIENCE_SECONDS) -> None:
    """Ask again and again until the answer is yes. Raises ``AssertionError`` when that takes too long."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never became true"
        time.sleep(0.05)
