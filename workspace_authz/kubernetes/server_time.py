"""What time it is for the API server: it decides when a token has expired, whatever our own clock says."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import parsedate_to_datetime


class ServerTime:
    """Learns from the header ``Date`` of answers and counts on from there, so that our clock may jump."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._date = ""
        self._offset: float | None = None

    def heard(self, date: str | None) -> None:
        """An answer had this ``Date``, in whole seconds: we are up to one late. Anything else is ignored."""
        if not date or date == self._date:
            return
        try:
            self._offset = parsedate_to_datetime(date).timestamp() - self._monotonic()
        except (ValueError, OverflowError):
            return
        self._date = date

    def now(self) -> float | None:
        """Seconds since the epoch; None as long as the API server has not said."""
        return None if self._offset is None else self._offset + self._monotonic()
