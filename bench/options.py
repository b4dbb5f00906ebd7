"""How long and how hard to measure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """The command line's."""

    engine: str
    rounds: int
    seconds: float
    """Of each burst of load."""
    clients: tuple[int, ...]
    namespaces: int
    """In lists of workspaces."""
