"""The interface through which the server counts. Callers need to know no metrics library.

No label holds a user, a namespace, the name of an object, a path or a token. Every label takes its values
from a small fixed set in this project's code.
"""

from __future__ import annotations

from typing import Protocol


class Metrics(Protocol):
    """Records events. No method blocks or raises. Durations are in seconds."""

    def judged(self, outcome: str, *, code: str, seconds: float) -> None:
        """One request has a verdict.

        ``outcome`` is ``allow``, ``deny`` or ``error``. ``code`` is MLflow's error code, or empty when the
        request passes. ``seconds`` is the time from the request's arrival to the verdict.
        """

    def decided(self, resource: str, *, outcome: str, source: str) -> None:
        """One authorization question has a decision.

        ``resource`` is the qualified resource, such as ``gatewayendpoints/use``. ``outcome`` and ``source``
        are those of the decision.
        """

    def asked(self, kind: str, *, result: str, seconds: float) -> None:
        """One review was sent to the API server.

        ``kind`` is the review's kind. ``result`` is ``ok``, an HTTP status or ``unreachable``.
        """

    def retried(self, kind: str, *, reason: str) -> None:
        """A review is about to be sent again. ``reason`` is an HTTP status or ``unreachable``."""

    def circuit(self, *, is_open: bool) -> None:
        """The circuit breaker opened, because the API server does not answer, or closed again."""

    def narrowed(self, where: str) -> None:
        """A list was restricted to the objects that the caller may see.

        ``where`` is ``request`` when the request was changed and ``answer`` when the response was filtered.
        """

    def certificate(self, *, loaded: bool) -> None:
        """A new serving certificate was loaded, or could not be used."""

    def flush(self) -> None:
        """Write buffered events. To be called regularly and before the metrics are read."""


class NoMetrics:
    """Counts nothing. For the command line and for tests."""

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
