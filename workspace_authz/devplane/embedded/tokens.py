"""Service-account tokens: JWTs that die with their account, with what they are bound to, and in time.

Claims as in ``k8s.io/kubernetes/pkg/serviceaccount``: private claims below ``kubernetes.io``.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from workspace_authz.devplane.embedded.kinds import SECRETS, SERVICE_ACCOUNTS
from workspace_authz.devplane.embedded.objects import Object, name_of, namespace_of, uid_of
from workspace_authz.devplane.embedded.store import Store
from workspace_authz.types import UserInfo

ISSUER = "https://kubernetes.default.svc.cluster.local"
"""Issuer, and the API server's own audience: the default of a kubeadm cluster."""

API_AUDIENCES = (ISSUER,)
CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"
LEEWAY_SECONDS = 60
"""kube-apiserver accepts a token this long after its expiry, for clocks that differ (go-jose's default)."""

_ALGORITHM = "ES256"
_PRIVATE_CLAIMS = "kubernetes.io"
_REMEMBERED = 1000


class TokenError(Exception):
    """The token is one of ours and not, or no longer, valid. The message holds no part of it."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a credential belongs to, and for which of the requested audiences it is good."""

    user: UserInfo
    audiences: tuple[str, ...] = API_AUDIENCES


class ServiceAccountTokens:
    """Issues and checks tokens against the accounts in ``store``. ``clock`` is seconds since the epoch."""

    def __init__(self, key_file: Path, store: Store, *, clock: Callable[[], float] = time.time) -> None:
        key = load_pem_private_key(key_file.read_bytes(), password=None)
        if not isinstance(key, EllipticCurvePrivateKey):
            raise ValueError(f"{key_file} is not an elliptic-curve key")
        self._key, self._public = key, key.public_key()
        der = self._public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self._key_id = urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode("ascii")
        self._store = store
        self._clock = clock
        self._signed: dict[bytes, Mapping[str, Any]] = {}
        """Claims of tokens whose signature was good, by digest."""

    def issue(
        self, account: Object, *, audiences: Sequence[str], seconds: int, secret: Object | None = None
    ) -> str:
        """Make a token for a ServiceAccount object, bound to a Secret if one is given."""
        now, namespace, name = int(self._clock()), namespace_of(account), name_of(account)
        private = {"namespace": namespace, "serviceaccount": _reference(account)}
        if secret is not None:
            private["secret"] = _reference(secret)
        claims = {
            "iss": ISSUER,
            "sub": f"system:serviceaccount:{namespace}:{name}",
            "aud": list(audiences),
            "iat": now,
            "nbf": now,
            "exp": now + seconds,
            "jti": str(uuid.uuid4()),
            _PRIVATE_CLAIMS: private,
        }
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM, headers={"kid": self._key_id})

    def authenticate(self, token: str, audiences: Sequence[str]) -> Identity | None:
        """Whose token it is; None when it is none of ours.

        Raises :class:`TokenError` when it is ours and invalid, expired, for other audiences, or bound to
        something that is gone.
        """
        claims = self._signed_claims(token)
        if claims is None:
            return None
        good_for = tuple(each for each in claims["aud"] if each in audiences)
        if not good_for:
            own, wanted = _listed(claims["aud"]), _listed(audiences)
            raise TokenError(f"token audiences {own} is invalid for the target audiences {wanted}")
        self._check_time(claims)
        return Identity(self._check_references(claims), good_for)

    def _signed_claims(self, token: str) -> Mapping[str, Any] | None:
        """The claims, if the issuer is ours. A signature that was good stays good: it is checked once."""
        digest = hashlib.sha256(token.encode()).digest()
        if (known := self._signed.get(digest)) is not None:
            return known
        if not _claims_our_issuer(token):
            return None
        try:
            claims = jwt.decode(
                token,
                self._public,
                algorithms=[_ALGORITHM],
                options={"verify_aud": False, "verify_exp": False, "verify_nbf": False, "verify_iat": False},
            )
        except jwt.InvalidTokenError as error:
            raise TokenError("invalid signature") from error
        if len(self._signed) >= _REMEMBERED:
            self._signed.clear()
        self._signed[digest] = claims
        return claims

    def _check_time(self, claims: Mapping[str, Any]) -> None:
        now = self._clock()
        if now - LEEWAY_SECONDS > claims["exp"]:
            raise TokenError("service account token has expired")
        if now + LEEWAY_SECONDS < claims["nbf"]:
            raise TokenError("service account token is not valid yet")

    def _check_references(self, claims: Mapping[str, Any]) -> UserInfo:
        private = claims[_PRIVATE_CLAIMS]
        namespace, wanted = private["namespace"], private["serviceaccount"]
        account = self._store.get(SERVICE_ACCOUNTS.resource, namespace, name=wanted["name"])
        if account is None:
            raise TokenError(f'serviceaccounts "{wanted["name"]}" not found')
        if uid_of(account) != wanted["uid"]:
            raise TokenError(
                f"service account UID ({uid_of(account)}) does not match claim ({wanted['uid']})"
            )
        if (bound := private.get("secret")) is not None:
            secret = self._store.get(SECRETS.resource, namespace, name=bound["name"])
            if secret is None:
                raise TokenError("service account token has been invalidated")
            if uid_of(secret) != bound["uid"]:
                raise TokenError(
                    f"secret UID ({uid_of(secret)}) does not match service account secret ref claim "
                    f"({bound['uid']})"
                )
        return UserInfo(
            username=claims["sub"],
            uid=wanted["uid"],
            groups=service_account_groups(namespace),
            extra=((CREDENTIAL_ID, (f"JTI={claims['jti']}",)),),
        )


def service_account_groups(namespace: str) -> tuple[str, ...]:
    """The groups of every service account of a namespace, without ``system:authenticated``."""
    return ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")


def _claims_our_issuer(token: str) -> bool:
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        return False
    return claims.get("iss") == ISSUER


def _reference(obj: Object) -> Object:
    return {"name": name_of(obj), "uid": uid_of(obj)}


def _listed(values: Sequence[str]) -> str:
    return "[" + " ".join(f'"{value}"' for value in values) + "]"
