"""What one check came to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    """Works, but somebody should look at it."""
    FAILING = "failing"
    """Callers are refused, or the server does not start."""
    UNKNOWN = "unknown"
    """Cannot be seen with the server's own credential; neither good nor bad."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    check: str
    level: Level
    what: str
    """What was seen, in one sentence."""
    fix: str = ""
    """What to do about it, best a command. Never empty for a warning or a failure."""


def ok(check: str, what: str) -> Finding:
    """All is well."""
    return Finding(check, Level.OK, what)


def warning(check: str, what: str, *, fix: str) -> Finding:
    """Works, but not as it should."""
    return Finding(check, Level.WARNING, what, fix)


def failing(check: str, what: str, *, fix: str) -> Finding:
    """Does not work."""
    return Finding(check, Level.FAILING, what, fix)


def unknown(check: str, what: str, *, fix: str) -> Finding:
    """Not to be seen from here."""
    return Finding(check, Level.UNKNOWN, what, fix)
