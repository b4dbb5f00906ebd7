"""What the headers of an API server's answers say about time: ``Date`` and ``Retry-After``."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Final

_TRUSTED_SECONDS: Final = 30.0
"""How long a ``Date`` counts. Without a limit, one wrong clock would keep every token out for good: a caller
who is refused because of it asks nothing whose answer could correct it."""


class ServerTime:
    """What time it is for the API server, which decides when a token has expired, whatever our clock says.

    Learns from the header ``Date`` of answers and counts on from there, so that our clock may jump.
    """

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


def retry_after(value: str | None, date: str | None) -> float | None:
    """Seconds to wait by the header ``Retry-After`` (RFC 9110, 10.2.3), or None where it does not say.

    A time counts from ``date``, the answer's own: whether our clock agrees does not matter.
    """
    value = (value or "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        wait = parsedate_to_datetime(value) - parsedate_to_datetime(date or "")
    except (ValueError, TypeError):
        return None
    return max(0.0, wait.total_seconds())
