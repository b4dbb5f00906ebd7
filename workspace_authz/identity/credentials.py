"""The caller's token, wherever a client puts it.

| header | who sends it |
|---|---|
| ``Authorization: Bearer`` | the SDK with ``MLFLOW_TRACKING_TOKEN``, curl, pods |
| ``Authorization: Basic`` | ``MLFLOW_TRACKING_USERNAME``/``_PASSWORD``, a browser: token as password |
| ``X-Forwarded-Access-Token`` | an OAuth proxy in front |
| ``X-MLflow-Authorization`` | callers of the AI gateway, whose ``Authorization`` belongs to the provider |
| ``X-Api-Key``, ``X-Goog-Api-Key``, ``Api-Key`` | SDKs of providers, at the AI gateway, beside nothing else |

A header that is present and presents nothing is no credential: an empty value, a scheme without a value, or
Basic with an empty password, as oauth2-proxy and OpenShift's oauth-proxy send by default beside
``X-Forwarded-Access-Token``.

The user name of Basic means nothing, unless it is ``workspace:<name>``: for clients that can send no header.

Nothing in here trusts a token: only the API server says whose it is.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from workspace_authz.errors import UnauthenticatedError
from workspace_authz.kubernetes.credentials import BearerToken, unverified_claims

AUTHORIZATION = b"authorization"
FORWARDED_TOKEN = b"x-forwarded-access-token"
GATEWAY_AUTHORIZATION = b"x-mlflow-authorization"
PROVIDER_KEYS: Final = frozenset({b"x-api-key", b"x-goog-api-key", b"api-key"})
"""Where Anthropic's, Google's and Azure's SDKs send the key that they are given."""
_TITLES: Final[Mapping[bytes, str]] = MappingProxyType(
    {
        AUTHORIZATION: "Authorization",
        FORWARDED_TOKEN: "X-Forwarded-Access-Token",
        GATEWAY_AUTHORIZATION: "X-MLflow-Authorization",
        **{name: name.decode().title() for name in PROVIDER_KEYS},
    }
)
"""The headers that can hold a token, as they are named to the caller."""
_SCHEMES: Final = frozenset({b"bearer", b"basic"})
_WITHOUT_SCHEME: Final = PROVIDER_KEYS | {FORWARDED_TOKEN}
_WORKSPACE_USER: Final = b"workspace:"

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
    """Where it was read: ``the password in Authorization (Basic)``."""


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
        if name in _WITHOUT_SCHEME:
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
        return self.name in _WITHOUT_SCHEME or self.scheme in _SCHEMES

    @property
    def is_empty(self) -> bool:
        """Whether it presents nothing."""
        if self.scheme == b"basic":
            return not self.value or self._basic()[1] == b""
        return not self.value and (self.is_ours or not self.scheme)

    @property
    def place(self) -> str:
        """Where in it a token is looked for, as it is told to the caller."""
        return f"the password in {self}" if self.scheme == b"basic" else str(self)

    def token(self) -> str:
        """The token in it. Raises :class:`UnauthenticatedError` for what cannot be one."""
        token = self._basic()[1] if self.scheme == b"basic" else self.value
        if not token or len(token) > MAX_TOKEN_BYTES or token.translate(None, _VISIBLE):
            raise UnauthenticatedError(
                f"The credential of this request is no Kubernetes token; it was read from {self.place}. "
                f"{HOW_TO}"
            )
        return token.decode("ascii")

    def workspace(self) -> str:
        """The workspace that the user name of Basic names; empty when it names none."""
        user = self._basic()[0] if self.scheme == b"basic" else b""
        named = user.removeprefix(_WORKSPACE_USER) if user.startswith(_WORKSPACE_USER) else b""
        return named.decode("latin-1")

    def _basic(self) -> tuple[bytes, bytes | None]:
        """User name and password of Basic; no password where there is no base64."""
        try:
            decoded = base64.b64decode(self.value, validate=True)
        except binascii.Error:
            return b"", None
        # RFC 7617 splits at the first colon, but service accounts' names hold colons, and tokens never do.
        user, _, password = decoded.rpartition(b":")
        return user, password


def find_credential(
    headers: Iterable[tuple[bytes, bytes]], *, gateway: bool, oauth_proxy: bool = False
) -> FoundToken | None:
    """The one token that the request presents; None when it presents none.

    ``gateway`` says that the route is one of the AI gateway's, where ``X-MLflow-Authorization`` counts and,
    if it presents something, ``Authorization`` does not. There the providers' key headers count where no
    other header presents anything; otherwise they hold a key for the provider. ``oauth_proxy`` says that
    ``Authorization: Basic`` beside ``X-Forwarded-Access-Token`` is the proxy's own and holds no token.
    Raises :class:`UnauthenticatedError` when two tokens disagree, or when one cannot be a token.
    """
    presenting = _presenting(headers, gateway=gateway, oauth_proxy=oauth_proxy)
    tokens = {header.token(): header for header in presenting}
    if not tokens:
        return None
    if len(tokens) > 1:
        names = " and ".join(map(str, tokens.values()))
        raise UnauthenticatedError(
            f"This request carries two different credentials, in {names}; send only one."
        )
    token, header = tokens.popitem()
    return FoundToken(BearerToken(token), header.place)


def workspaces_of_basic(
    headers: Iterable[tuple[bytes, bytes]], *, gateway: bool, oauth_proxy: bool = False
) -> Sequence[str]:
    """The workspaces that user names of Basic name beside a password. Nothing is verified.

    Arguments are as for :func:`find_credential`.
    """
    presenting = _presenting(headers, gateway=gateway, oauth_proxy=oauth_proxy)
    return tuple(filter(None, (header.workspace() for header in presenting)))


def what_came(headers: Iterable[tuple[bytes, bytes]], *, gateway: bool) -> str:
    """What a request without a token has in its place, as sentences for the caller; empty for nothing."""
    found = _counted(headers, gateway=gateway, unread=True)
    empty = ", ".join(dict.fromkeys(str(header) for header in found if header.is_empty))
    unread = dict.fromkeys(str(header) for header in found if not header.is_empty and not header.is_ours)
    # The scheme is not repeated: who forgets it sends the token in its place.
    said = [f"{name} came, but begins neither with Bearer nor with Basic." for name in unread]
    return " ".join([f"These headers are empty: {empty}."] * bool(empty) + said)


def provider_keeps_authorization(headers: Iterable[tuple[bytes, bytes]], *, gateway: bool) -> bool:
    """Whether ``Authorization`` is not for this server but for the provider behind the AI gateway."""
    return gateway and any(
        name == GATEWAY_AUTHORIZATION and not _Header.read(name, value).is_empty for name, value in headers
    )


def _presenting(headers: Iterable[tuple[bytes, bytes]], *, gateway: bool, oauth_proxy: bool) -> list[_Header]:
    """The headers that present something to this server."""
    presenting = [header for header in _counted(headers, gateway=gateway) if not header.is_empty]
    if oauth_proxy and any(header.name == FORWARDED_TOKEN for header in presenting):
        return [header for header in presenting if header.scheme != b"basic"]
    return presenting


def _counted(headers: Iterable[tuple[bytes, bytes]], *, gateway: bool, unread: bool = False) -> list[_Header]:
    """The headers that count on this route and in which a token is looked for.

    With ``unread`` also those of them whose scheme is not read.
    """
    sent = [(name, value) for name, value in headers if name in _TITLES]
    ours = GATEWAY_AUTHORIZATION if provider_keeps_authorization(sent, gateway=gateway) else AUTHORIZATION
    read = [_Header.read(name, value) for name, value in sent]
    counted = {FORWARDED_TOKEN, ours}
    if gateway and all(header.is_empty for header in read if header.name not in PROVIDER_KEYS):
        counted |= PROVIDER_KEYS
    return [header for header in read if header.name in counted and (unread or header.is_ours)]


def expiry(token: str) -> float | None:
    """The claim ``exp`` of a JWT (RFC 7519, 4.1.4), in seconds since the epoch; None where there is none.

    Nothing is verified. The token may lie: the claim is a reason to refuse it, and never one to accept it.
    """
    found = unverified_claims(token).get("exp")
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    try:
        end = float(found)
    except OverflowError:
        return None
    return end if math.isfinite(end) else None


def said_expiry(token: str, *, now: float) -> str:
    """The time at which ``token`` says that it expired, as text; empty where it does not say so.

    ``now`` is in seconds since the epoch. For whoever sent the token: nothing is verified.
    """
    end = expiry(token)
    if end is None or not 0 <= end <= now:
        return ""
    return datetime.fromtimestamp(end, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def claimed_audiences(token: str) -> frozenset[str]:
    """The claim ``aud`` of a JWT (RFC 7519, 4.1.3): one name or several; empty where there is none.

    Nothing is verified. The token may lie: the claim chooses who is asked about it, and nothing else.
    """
    found = unverified_claims(token).get("aud")
    names = found if isinstance(found, list) else [found]
    return frozenset(name for name in names if isinstance(name, str))


def claimed_issuer(token: str) -> str:
    """The claim ``iss`` of a JWT (RFC 7519, 4.1.1); empty where there is none.

    Nothing is verified. The token may lie: the claim chooses who verifies it, and nothing else.
    """
    found = unverified_claims(token).get("iss")
    return found if isinstance(found, str) else ""
