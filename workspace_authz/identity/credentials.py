"""The caller's token, wherever a client puts it.

| header | who sends it |
|---|---|
| ``Authorization: Bearer`` | the SDK with ``MLFLOW_TRACKING_TOKEN``, curl, pods |
| ``Authorization: Basic`` | ``MLFLOW_TRACKING_USERNAME``/``_PASSWORD``, a browser: token as password |
| ``X-Forwarded-Access-Token`` | an OAuth proxy in front |
| ``X-MLflow-Authorization`` | callers of the AI gateway, whose ``Authorization`` belongs to the provider |

A header that is present and presents nothing is no credential: an empty value, a scheme without a value, or
Basic with an empty password, as oauth2-proxy and OpenShift's oauth-proxy send by default beside
``X-Forwarded-Access-Token``.

Nothing in here trusts a token: only the API server says whose it is.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from workspace_authz.errors import UnauthenticatedError
from workspace_authz.kubernetes.credentials import BearerToken

AUTHORIZATION = b"authorization"
FORWARDED_TOKEN = b"x-forwarded-access-token"
GATEWAY_AUTHORIZATION = b"x-mlflow-authorization"
_TITLES: Final[Mapping[bytes, str]] = MappingProxyType(
    {
        AUTHORIZATION: "Authorization",
        FORWARDED_TOKEN: "X-Forwarded-Access-Token",
        GATEWAY_AUTHORIZATION: "X-MLflow-Authorization",
    }
)
"""The headers that can hold a token, as they are named to the caller."""
_SCHEMES: Final = frozenset({b"bearer", b"basic"})

_VISIBLE: Final = bytes(range(0x21, 0x7F))
"""What a token may consist of. RFC 6750 allows even less."""

MAX_TOKEN_BYTES = 32 * 1024
"""Longer than any token in use, and less than the 64 KiB that all header fields of a request may have."""

HOW_TO = (
    "Send a Kubernetes token: set MLFLOW_TRACKING_TOKEN to the output of `oc whoami -t` or "
    "`kubectl create token SERVICE_ACCOUNT`, or, in a pod, MLFLOW_TRACKING_AUTH=kubernetes-namespaced."
)


@dataclass(frozen=True, slots=True)
class FoundToken:
    """A token that a request presents, not yet verified."""

    bearer: BearerToken
    header: str
    """Where it was read: ``Authorization (Basic)``."""


@dataclass(frozen=True, slots=True)
class _Header:
    """One header that can hold a token, with its scheme taken off."""

    name: bytes
    scheme: bytes
    """``bearer``, ``basic``, or another in lower case; empty for a header without schemes."""
    value: bytes

    @classmethod
    def read(cls, name: bytes, value: bytes) -> _Header:
        value = value.strip()
        if name == FORWARDED_TOKEN:
            return cls(name, b"", value)
        scheme, _, credential = value.partition(b" ")
        return cls(name, scheme.lower(), credential.strip())

    def __str__(self) -> str:
        """As it is told to the caller: never with the value."""
        title = _TITLES[self.name]
        return f"{title} ({self.scheme.decode().title()})" if self.scheme in _SCHEMES else title

    @property
    def is_ours(self) -> bool:
        """Whether the header is one in which a Kubernetes token is looked for."""
        return self.name == FORWARDED_TOKEN or self.scheme in _SCHEMES

    @property
    def is_empty(self) -> bool:
        """Whether it presents nothing."""
        if self.scheme == b"basic":
            return not self.value or self._password() == b""
        return not self.value and (self.is_ours or not self.scheme)

    def token(self) -> str:
        """The token in it. Raises :class:`UnauthenticatedError` for what cannot be one."""
        token = self._password() if self.scheme == b"basic" else self.value
        if not token or len(token) > MAX_TOKEN_BYTES or token.translate(None, _VISIBLE):
            raise UnauthenticatedError(
                f"The credential of this request is no Kubernetes token; it was read from {self}. {HOW_TO}"
            )
        return token.decode("ascii")

    def _password(self) -> bytes | None:
        """The password of Basic; None where there is no base64."""
        try:
            decoded = base64.b64decode(self.value, validate=True)
        except binascii.Error:
            return None
        # RFC 7617 splits at the first colon, but service accounts' names hold colons and tokens never do.
        return decoded.rpartition(b":")[2]


def find_credential(
    headers: Iterable[tuple[bytes, bytes]], *, gateway: bool, oauth_proxy: bool = False
) -> FoundToken | None:
    """The one token that the request presents; None when it presents none.

    ``gateway`` says that the route is one of the AI gateway's, where ``X-MLflow-Authorization`` counts and,
    if it presents something, ``Authorization`` does not. ``oauth_proxy`` says that ``Authorization: Basic``
    beside ``X-Forwarded-Access-Token`` is the proxy's own and holds no token. Raises
    :class:`UnauthenticatedError` when two tokens disagree, or when one cannot be a token.
    """
    found = _counted(headers, gateway=gateway)
    presenting = [header for header in found if not header.is_empty]
    if oauth_proxy and any(header.name == FORWARDED_TOKEN for header in presenting):
        presenting = [header for header in presenting if header.scheme != b"basic"]
    tokens = {header.token(): header for header in presenting}
    if not tokens:
        return None
    if len(tokens) > 1:
        names = " and ".join(map(str, tokens.values()))
        raise UnauthenticatedError(
            f"This request carries two different credentials, in {names}; send only one."
        )
    token, header = tokens.popitem()
    return FoundToken(BearerToken(token), str(header))


def empty_headers(headers: Iterable[tuple[bytes, bytes]], *, gateway: bool) -> str:
    """The headers that present nothing, as text for the caller; empty when there are none."""
    found = _counted(headers, gateway=gateway)
    return ", ".join(dict.fromkeys(str(header) for header in found if header.is_empty))


def provider_keeps_authorization(headers: Iterable[tuple[bytes, bytes]], *, gateway: bool) -> bool:
    """Whether ``Authorization`` is not for this server but for the provider behind the AI gateway."""
    return gateway and any(
        name == GATEWAY_AUTHORIZATION and not _Header.read(name, value).is_empty for name, value in headers
    )


def _counted(headers: Iterable[tuple[bytes, bytes]], *, gateway: bool) -> list[_Header]:
    """The headers that count on this route and in which a token is looked for."""
    sent = [(name, value) for name, value in headers if name in _TITLES]
    ours = GATEWAY_AUTHORIZATION if provider_keeps_authorization(sent, gateway=gateway) else AUTHORIZATION
    read = [_Header.read(name, value) for name, value in sent if name in (FORWARDED_TOKEN, ours)]
    return [header for header in read if header.is_ours]


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
