"""The caller's token, wherever a client puts it.

| header | who sends it |
|---|---|
| ``Authorization: Bearer`` | the SDK with ``MLFLOW_TRACKING_TOKEN``, curl, pods |
| ``Authorization: Basic`` | ``MLFLOW_TRACKING_USERNAME``/``_PASSWORD``, a browser: token as password |
| ``X-Forwarded-Access-Token`` | an OAuth proxy in front |
| ``X-MLflow-Authorization`` | callers of the AI gateway, whose ``Authorization`` belongs to the provider |

Nothing in here trusts a token: only the API server says whose it is.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Iterable
from typing import Final

from workspace_authz.errors import UnauthenticatedError
from workspace_authz.kubernetes.credentials import BearerToken

AUTHORIZATION = b"authorization"
FORWARDED_TOKEN = b"x-forwarded-access-token"
GATEWAY_AUTHORIZATION = b"x-mlflow-authorization"
_CREDENTIAL_HEADERS: Final = frozenset({AUTHORIZATION, FORWARDED_TOKEN, GATEWAY_AUTHORIZATION})

_VISIBLE: Final = bytes(range(0x21, 0x7F))
"""What a token may consist of. RFC 6750 allows even less."""

MAX_TOKEN_BYTES = 32 * 1024
"""Longer than any token in use, and less than the 64 KiB that all header fields of a request may have."""

HOW_TO = (
    "Send a Kubernetes token: set MLFLOW_TRACKING_TOKEN to the output of `oc whoami -t` or "
    "`kubectl create token SERVICE_ACCOUNT`, or, in a pod, MLFLOW_TRACKING_AUTH=kubernetes-namespaced."
)


def find_credential(headers: Iterable[tuple[bytes, bytes]], *, gateway: bool) -> BearerToken | None:
    """The one token that the request presents, not yet verified; None when it presents none.

    ``gateway`` says that the route is one of the AI gateway's, where ``X-MLflow-Authorization`` counts and,
    if present, ``Authorization`` does not. Raises :class:`UnauthenticatedError` when two tokens disagree, or
    when one cannot be a token.
    """
    found = [(name, value) for name, value in headers if name in _CREDENTIAL_HEADERS]
    ours = GATEWAY_AUTHORIZATION if provider_keeps_authorization(found, gateway=gateway) else AUTHORIZATION
    tokens = set[str]()
    for name, value in found:
        if name == FORWARDED_TOKEN:
            tokens.add(_checked(value.strip()))
        elif name == ours and (token := _from_scheme(value)) is not None:
            tokens.add(token)
    if not tokens:
        return None
    if len(tokens) > 1:
        raise UnauthenticatedError("This request carries two different credentials; send only one.")
    return BearerToken(tokens.pop())


def provider_keeps_authorization(headers: Iterable[tuple[bytes, bytes]], *, gateway: bool) -> bool:
    """Whether ``Authorization`` is not for this server but for the provider behind the AI gateway."""
    return gateway and any(name == GATEWAY_AUTHORIZATION for name, _ in headers)


def expiry(token: str) -> float | None:
    """The claim ``exp`` of a JWT (RFC 7519, 4.1.4), in seconds since the epoch; None where there is none.

    Nothing is verified and nothing else is read. The token may lie: the claim is a reason to refuse it, and
    never one to accept it.
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


def _from_scheme(value: bytes) -> str | None:
    """The token of a Bearer or Basic header; None for a scheme that is not ours."""
    scheme, _, encoded = value.strip().partition(b" ")
    match scheme.lower():
        case b"bearer":
            return _checked(encoded.strip())
        case b"basic":
            return _from_basic(encoded.strip())
        case _:
            return None


def _from_basic(encoded: bytes) -> str:
    try:
        decoded = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        raise _unusable() from None
    # RFC 7617 splits at the first colon, but service accounts' names hold colons and tokens never do.
    return _checked(decoded.rpartition(b":")[2])


def _checked(token: bytes) -> str:
    """A token as text."""
    if not token or len(token) > MAX_TOKEN_BYTES or token.translate(None, _VISIBLE):
        raise _unusable()
    return token.decode("ascii")


def _unusable() -> UnauthenticatedError:
    return UnauthenticatedError(f"The credential of this request holds no Kubernetes token. {HOW_TO}")
