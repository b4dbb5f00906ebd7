"""Tokens of service accounts that are bound to a Secret: the token ends when the Secret is deleted.

https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from urllib.parse import quote

from workspace_authz.errors import UnavailableError
from workspace_authz.kubernetes.listwatch_answers import JsonObject
from workspace_authz.kubernetes.objects import Objects
from workspace_authz.kubernetes.review_client import NO_ANSWER

SECRETS: Final = "secrets"
SERVICE_ACCOUNTS: Final = "serviceaccounts"


@dataclass(frozen=True, slots=True)
class AccountToken:
    """A service account's token."""

    value: str = field(repr=False)
    expires: datetime
    """As the API server says, which may be earlier than was asked for."""


def core_path(namespace: str, resource: str, *, name: str = "") -> str:
    """Of an object of the core API group, or of a collection."""
    path = f"/api/v1/namespaces/{quote(namespace, safe='')}/{resource}"
    return f"{path}/{quote(name, safe='')}" if name else path


async def request_token(
    objects: Objects, account: str, *, secret: JsonObject, audiences: Sequence[str], seconds: int
) -> AccountToken:
    """A token of an account in the namespace of ``secret``, to which it is bound.

    Without ``audiences`` it is for the Kubernetes API. Raises as :class:`Objects`.
    """
    metadata = secret["metadata"]
    bound = {"apiVersion": "v1", "kind": "Secret", "name": metadata["name"], "uid": metadata["uid"]}
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"audiences": list(audiences), "expirationSeconds": seconds, "boundObjectRef": bound},
    }
    answer = await objects.create(
        f"{core_path(metadata['namespace'], SERVICE_ACCOUNTS, name=account)}/token", request
    )
    try:
        status = answer["status"]
        return AccountToken(str(status["token"]), time_of(status["expirationTimestamp"]))
    except (KeyError, TypeError, ValueError):
        raise UnavailableError(NO_ANSWER) from None


def time_of(text: object) -> datetime:
    """A time as Kubernetes writes it. Raises ``ValueError`` for what is none."""
    found = datetime.fromisoformat(str(text))
    if found.tzinfo is None:
        raise ValueError("a time without a zone")
    return found
