"""Tokens that nobody has signed."""

from __future__ import annotations

import base64
import json
from typing import Any


def jwt(claims: Any) -> str:
    """A JWT with an empty signature."""
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    parts = [base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (b'{"alg":"ES256"}', payload)]
    return ".".join((*parts, "c2lnbmF0dXJl"))
