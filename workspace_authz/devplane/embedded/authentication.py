"""Who asks: a client certificate, a static token, or a service-account token, in that order.

As on kube-apiserver, a certificate on the connection decides, and a bearer token beside it is not even
looked at; who brings nothing is ``system:anonymous``, who may read ``/version`` and nothing else. Unlike
there, a certificate that the client CA did not sign already fails the TLS handshake.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from workspace_authz.devplane.embedded.status import unauthorized
from workspace_authz.devplane.embedded.tokens import (
    API_AUDIENCES,
    CREDENTIAL_ID,
    Identity,
    ServiceAccountTokens,
    TokenError,
)
from workspace_authz.errors import ConfigurationError
from workspace_authz.types import UserInfo

AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"
ANONYMOUS = "system:anonymous"


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A certificate that the TLS handshake has verified against the client CA."""

    common_name: str
    organizations: tuple[str, ...]
    sha256: str

    @classmethod
    def of(cls, parsed: Mapping[str, Any], encoded: bytes) -> ClientCertificate:
        """From ``SSLObject.getpeercert()``, parsed and as DER."""
        attributes = [attribute for name in parsed.get("subject", ()) for attribute in name]
        names = [value for key, value in attributes if key == "commonName"]
        organizations = tuple(value for key, value in attributes if key == "organizationName")
        return cls(names[-1] if names else "", organizations, hashlib.sha256(encoded).hexdigest())


class Authenticator:
    """Turns credentials into users. ``static`` maps a token to its user."""

    def __init__(self, *, static: Mapping[str, UserInfo], service_accounts: ServiceAccountTokens) -> None:
        self._static = static
        self._service_accounts = service_accounts

    def authenticate(self, certificate: ClientCertificate | None, authorization: str) -> UserInfo:
        """The user of a request with this ``Authorization`` header. Raises a 401."""
        if certificate is not None and certificate.common_name:
            extra = ((CREDENTIAL_ID, (f"X509SHA256={certificate.sha256}",)),)
            user = UserInfo(certificate.common_name, groups=certificate.organizations, extra=extra)
            return _authenticated(user)
        scheme, _, token = authorization.strip().partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return UserInfo(ANONYMOUS, groups=(UNAUTHENTICATED,))
        try:
            identity = self.authenticate_token(token.strip(), API_AUDIENCES)
        except TokenError:
            raise unauthorized() from None
        if identity is None:
            raise unauthorized()
        return identity.user

    def authenticate_token(self, token: str, audiences: Sequence[str]) -> Identity | None:
        """Whose token it is, good for at least one of ``audiences``; None when it is nobody's.

        Raises :class:`~.tokens.TokenError` for a service-account token that is not, or no longer, valid.
        """
        if (user := self._static.get(token)) is not None:
            # A static token says nothing about audiences: it is meant for the API server.
            good_for = tuple(audience for audience in API_AUDIENCES if audience in audiences)
            return Identity(_authenticated(user), good_for) if good_for else None
        identity = self._service_accounts.authenticate(token, audiences)
        return identity and replace(identity, user=_authenticated(identity.user))


def read_static_tokens(path: Path) -> Mapping[str, UserInfo]:
    """Read a file in Kubernetes' static token format: ``token,user,uid,"group1,group2"`` per line.

    Raises :class:`~workspace_authz.errors.ConfigurationError`, which names the line, never its content.
    """
    users: dict[str, UserInfo] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.reader(file)
            for row in reader:
                if not row:
                    continue
                if len(row) < 3:
                    raise ConfigurationError(
                        f"{path}, line {reader.line_num}: a token file has at least 3 columns "
                        f"(token, user name, user uid), this line has {len(row)}."
                    )
                if row[0]:
                    groups = tuple(row[3].split(",")) if len(row) > 3 else ()
                    users[row[0]] = UserInfo(row[1], row[2], groups)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"The token file {path} cannot be read: {error}") from None
    return users


def _authenticated(user: UserInfo) -> UserInfo:
    if AUTHENTICATED in user.groups:
        return user
    return replace(user, groups=(*user.groups, AUTHENTICATED))
