"""The header ``Retry-After`` (RFC 9110, 10.2.3)."""

from __future__ import annotations

from email.utils import parsedate_to_datetime


def retry_after(value: str | None, date: str | None) -> float | None:
    """Seconds to wait by the header's ``value``, or None where it does not say.

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
