"""What the server counts, as an interface: whoever counts something knows no metrics library.

No label ever holds a user, a namespace, an object's name, a path or a token: every value of every label is
one of a handful that stand in this project's code.
"""

from __future__ import annotations

from typing import Protocol


class Metrics(Protocol):
    """Takes what has just happened. Never blocks, never raises. Durations are in seconds."""

    def judged(self, outcome: str, *, code: str, seconds: float) -> None:
        """One request has its verdict: ``allow``, ``deny`` or ``error``; ``code`` is empty unless refused."""

    def decided(self, resource: str, *, outcome: str, source: str) -> None:
        """One question of a request has its answer: qualified resource, outcome and source of a decision."""

    def asked(self, kind: str, *, result: str, seconds: float) -> None:
        """The API server was asked once: the review's kind, and ``ok``, an HTTP status or ``unreachable``."""

    def retried(self, kind: str, *, reason: str) -> None:
        """A review is about to be asked again because of an HTTP status or ``unreachable``."""

    def circuit(self, *, is_open: bool) -> None:
        """Reviews are held back from now on because the API server does not answer, or flow again."""

    def narrowed(self, where: str) -> None:
        """A list was kept to single objects, in the ``request`` or in the ``answer``."""

    def certificate(self, *, loaded: bool) -> None:
        """A new serving certificate was taken up, or could not be used."""

    def flush(self) -> None:
        """Write what was gathered; to be called every now and then, and before somebody looks."""


class NoMetrics:
    """Counts nothing: for the command line and tests."""

    def judged(self, outcome: str, *, code: str, seconds: float) -> None:
        """Do nothing."""

    def decided(self, resource: str, *, outcome: str, source: str) -> None:
        """Do nothing."""

    def asked(self, kind: str, *, result: str, seconds: float) -> None:
        """Do nothing."""

    def retried(self, kind: str, *, reason: str) -> None:
        """Do nothing."""

    def circuit(self, *, is_open: bool) -> None:
        """Do nothing."""

    def narrowed(self, where: str) -> None:
        """Do nothing."""

    def certificate(self, *, loaded: bool) -> None:
        """Do nothing."""

    def flush(self) -> None:
        """Do nothing."""
