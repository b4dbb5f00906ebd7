"""What time it is for the API server: it decides when a token has expired, whatever our own clock says."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Final

_TRUSTED_SECONDS: Final = 30.0
"""How long an answer's word holds. One from a wrong clock would otherwise keep every token out for good: who
is refused by it asks nothing that could put it right."""


class ServerTime:
    """Learns from the header ``Date`` of answers and counts on from there, so that our clock may jump."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._date = ""
        self._offset: float | None = None
        self._heard = 0.0

    def heard(self, date: str | None) -> None:
        """An answer had this ``Date``, in whole seconds: we are up to one late. Anything else is ignored."""
        if not date or date == self._date:
            return
        now = self._monotonic()
        try:
            self._offset = parsedate_to_datetime(date).timestamp() - now
        except (ValueError, OverflowError):
            return
        self._date, self._heard = date, now

    def now(self) -> float | None:
        """Seconds since the epoch; None where the API server has not said of late."""
        now = self._monotonic()
        if self._offset is None or now - self._heard > _TRUSTED_SECONDS:
            return None
        return self._offset + now
