"""Tokens that somebody ends, in each way there is."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt

from tests.harness.plane import Object, Plane

_TOKENS = "/api/v1/namespaces/{}/serviceaccounts/{}/token"


@dataclass(frozen=True, slots=True)
class Leavers:
    """Tokens of service accounts of one namespace, each with rights until :meth:`end`."""

    plane: Plane
    namespace: str
    busy: str = field(repr=False)
    """Of an account that will be deleted; in use all the time."""
    idle: str = field(repr=False)
    """Of the same account; not in use meanwhile."""
    bound: str = field(repr=False)
    """Bound to a Secret that will be deleted."""

    def end(self) -> None:
        """Delete what the tokens stand for."""
        path = f"/api/v1/namespaces/{self.namespace}"
        self.plane.delete(f"{path}/serviceaccounts/leaver")
        self.plane.delete(f"{path}/secrets/bound")


def given_leavers(plane: Plane, namespace: str) -> Leavers:
    """Two service accounts that may edit in ``namespace``, and their tokens."""
    busy = plane.service_account(namespace, "leaver")
    idle = plane.account_token(namespace, "leaver")
    plane.service_account(namespace, "stayer")
    for name in ("leaver", "stayer"):
        plane.bind(namespace, "edit", account=(namespace, name))
    secret = plane.make(
        f"/api/v1/namespaces/{namespace}/secrets",
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "bound", "namespace": namespace}},
    )
    reference = {"kind": "Secret", "apiVersion": "v1", "name": "bound", "uid": secret["metadata"]["uid"]}
    bound = _token(plane, namespace, {"expirationSeconds": 3600, "boundObjectRef": reference})
    for token in (busy, bound):
        plane.wait_for_access(token, namespace, verb="list", resource="experiments")
    return Leavers(plane, namespace, busy, idle, bound)


def _token(plane: Plane, namespace: str, spec: Object) -> str:
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    made = plane.make(_TOKENS.format(namespace, "stayer"), request)
    token = str(made["status"]["token"])
    plane.tokens.append(token)
    return token


def ending(plane: Plane, token: str, *, seconds: int) -> str:
    """``token`` as :func:`ending_token` makes it."""
    signed, _ = ending_token(plane.state, token, seconds=seconds)
    plane.tokens.append(signed)
    return signed


def ending_token(state: Path, token: str, *, seconds: int) -> tuple[str, int]:
    """``token`` signed anew with another end, and that end in seconds since the epoch.

    The API itself issues none for less than ten minutes; ``state`` is where its key is.
    """
    header, payload, _ = token.split(".")
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "==="))
    now = int(time.time())
    key = (state / "pki" / "service-account.key").read_bytes()
    signed = jwt.encode(
        {**claims, "iat": now - 60, "nbf": now - 60, "exp": now + seconds},
        key.decode(),
        algorithm="ES256",
        headers={"kid": json.loads(base64.urlsafe_b64decode(header + "==="))["kid"]},
    )
    return signed, now + seconds
