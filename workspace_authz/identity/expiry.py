"""When a token says that it ends. It may lie: that is reason enough to refuse it, and never to accept it."""

from __future__ import annotations

import base64
import json
import math


def expiry(token: str) -> float | None:
    """The claim ``exp`` of a JWT (RFC 7519, 4.1.4), in seconds since the epoch; None where there is none.

    Nothing is verified and nothing else is read.
    """
    parts = token.split(".")
    if len(parts) != 3:
        return None
    payload = parts[1]
    try:
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, RecursionError):
        return None
    found = claims.get("exp") if isinstance(claims, dict) else None
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    try:
        end = float(found)
    except OverflowError:
        return None
    return end if math.isfinite(end) else None
