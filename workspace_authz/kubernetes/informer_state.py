"""What an informer tells others, its state and what changed, and its time-outs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class InformerState:
    """What readiness needs to know of one informer."""

    synced: bool = False
    """The first list is complete. Stays true: in an outage the last known objects are served."""
    last_contact: float | None = None
    """When the API server was last heard, on the monotonic clock."""
    followed_since: float | None = None
    """Since when no change can have been missed, on the monotonic clock; None while one can be."""
    problem: str | None = None
    """A sentence for an operator; None while all is well."""
    absent: bool = False
    """The API server does not serve the kind, which is optional, so there are no objects."""
    missing_right: bool = False
    """The problem is a 401 or 403: waiting does not help, a right or a credential does."""


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """One object that appeared (``old`` is None), disappeared (``new`` is None) or differs."""

    key: tuple[str, str]
    old: T | None
    new: T | None


@dataclass(frozen=True, slots=True)
class Timing:
    """An informer's time-outs and delays, in seconds."""

    silence: float = 75.0
    """The API server sends a bookmark about every minute, so a longer silence means a dead connection."""
    lifetime: float = 300.0
    """After which the API server is asked to end a watch; up to half is added at random."""
    list_page: float = 30.0
    first_delay: float = 0.5
    longest_delay: float = 10.0
    short_watch: float = 1.0
    """A watch that is closed sooner, without an event, counts as failed."""
