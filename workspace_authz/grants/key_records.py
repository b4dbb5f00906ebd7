"""What is kept about an access key: a Secret without data, whose annotations say whose it is and for what.

The key itself is in no object. It is bound to the Secret, so it ends when the Secret is deleted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from workspace_authz.authorizer.rbac.objects import MANAGED_BY, MANAGED_LABEL
from workspace_authz.errors import BadRequestError
from workspace_authz.kubernetes.account_tokens import time_of
from workspace_authz.kubernetes.listwatch_answers import JsonObject
from workspace_authz.types import is_namespace_name, recorded

COMPONENT_LABEL: Final = "app.kubernetes.io/component"
ACCESS_KEY: Final = "access-key"
SELECTOR: Final = f"{MANAGED_LABEL}={MANAGED_BY},{COMPONENT_LABEL}={ACCESS_KEY}"
"""Selects the Secrets of keys."""

SECRET_TYPE: Final = "workspace-authz/access-key"  # noqa: S105 - a kind of Secret
NAME_PREFIX: Final = "mlflow-key-"

_PREFIX: Final = "workspace-authz"
ACCOUNT: Final = f"{_PREFIX}/service-account"
AUDIENCE: Final = f"{_PREFIX}/audience"
MADE_BY: Final = f"{_PREFIX}/made-by"
PURPOSE: Final = f"{_PREFIX}/purpose"
EXPIRES: Final = f"{_PREFIX}/expires"

LONGEST_DAYS: Final = 365
LONGEST_PURPOSE: Final = 200
"""Characters."""
_SHORTEST_SECONDS: Final = 600
"""The shortest life that a TokenRequest may ask for."""
_DAY_SECONDS: Final = 86_400
_UNFINISHED_AFTER: Final = timedelta(minutes=1)
_OBJECT_NAME: Final = re.compile(r"[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?")
_AUDIENCE: Final = re.compile(r"[\x21-\x7e]{1,253}")


class KeyState(StrEnum):
    """Whether a key can work."""

    ACTIVE = "active"
    EXPIRED = "expired"
    UNFINISHED = "unfinished"
    """It was never shown: the work was cut short. Its Secret can be deleted."""


@dataclass(frozen=True, slots=True)
class KeyWish:
    """What somebody wants a key to be."""

    account: str
    """A service account, whose rights the key has."""
    purpose: str
    seconds: int
    audience: str = ""
    """The server that the key is for; empty for the Kubernetes API."""

    @property
    def audiences(self) -> tuple[str, ...]:
        """As a TokenRequest has them."""
        return (self.audience,) if self.audience else ()


@dataclass(frozen=True, slots=True)
class Key:
    """A key, without itself."""

    name: str
    """Of its Secret."""
    account: str
    purpose: str
    made_by: str
    made: datetime
    """By the API server's clock."""
    expires: datetime | None
    """None while it is not finished."""
    audience: str = ""

    def state(self, now: datetime) -> KeyState:
        """Whether it can work at ``now``."""
        if self.expires is None:
            finishing = now - self.made < _UNFINISHED_AFTER
            return KeyState.ACTIVE if finishing else KeyState.UNFINISHED
        return KeyState.ACTIVE if now < self.expires else KeyState.EXPIRED

    def document(self, now: datetime) -> dict[str, Any]:
        """As JSON."""
        return {
            "name": self.name,
            "service_account": self.account,
            "purpose": self.purpose,
            "made_by": self.made_by,
            "made": timestamp(self.made),
            "expires": timestamp(self.expires) if self.expires else None,
            "audience": self.audience or None,
            "state": str(self.state(now)),
        }


def timestamp(at: datetime) -> str:
    """As Kubernetes writes times."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds_of_days(text: str) -> int:
    """The life of a key that is asked for in days. Raises :class:`BadRequestError`."""
    days = int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(LONGEST_DAYS)) else 0
    if not 1 <= days <= LONGEST_DAYS:
        raise BadRequestError(f"A key lives 1 to {LONGEST_DAYS} days, as a whole number.")
    return days * _DAY_SECONDS


def checked_wish(wish: KeyWish) -> KeyWish:
    """``wish``, if it can be met. Raises :class:`BadRequestError`."""
    if not _OBJECT_NAME.fullmatch(wish.account):
        raise BadRequestError("Name a service account of the namespace, by its name alone.")
    purpose = wish.purpose.strip()
    if not purpose or len(purpose) > LONGEST_PURPOSE or not purpose.isprintable():
        raise BadRequestError(f"Say what the key is for, in 1 to {LONGEST_PURPOSE} printable characters.")
    if not _SHORTEST_SECONDS <= wish.seconds <= LONGEST_DAYS * _DAY_SECONDS:
        raise BadRequestError(f"A key lives 10 minutes to {LONGEST_DAYS} days.")
    if wish.audience and not _AUDIENCE.fullmatch(wish.audience):
        raise BadRequestError("An audience has 1 to 253 printable ASCII characters, and no space.")
    return KeyWish(wish.account, purpose, wish.seconds, wish.audience)


def checked_namespace(name: str) -> str:
    """``name``, if a namespace can have it. Raises :class:`BadRequestError`."""
    if not is_namespace_name(name):
        raise BadRequestError("Name the workspace, which is a Kubernetes namespace.")
    return name


def checked_name(name: str) -> str:
    """``name``, if the Secret of a key can have it. Raises :class:`BadRequestError`."""
    if not _OBJECT_NAME.fullmatch(name):
        raise BadRequestError("Name the key as the list of keys does.")
    return name


def secret_of(wish: KeyWish, namespace: str, *, made_by: str) -> JsonObject:
    """The Secret of a key that is to be made."""
    annotations = {
        ACCOUNT: wish.account,
        PURPOSE: wish.purpose,
        MADE_BY: recorded(made_by),
        **({AUDIENCE: wish.audience} if wish.audience else {}),
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "generateName": NAME_PREFIX,
            "namespace": namespace,
            "labels": {MANAGED_LABEL: MANAGED_BY, COMPONENT_LABEL: ACCESS_KEY},
            "annotations": annotations,
        },
        "type": SECRET_TYPE,
    }


def finished(secret: JsonObject, expires: datetime) -> JsonObject:
    """``secret``, which says when its key expires."""
    metadata = secret["metadata"]
    annotations = {**(metadata.get("annotations") or {}), EXPIRES: timestamp(expires)}
    return {**secret, "metadata": {**metadata, "annotations": annotations}}


def key_of(secret: JsonObject) -> Key | None:
    """The key of a Secret; None where it is that of no key.

    Who may change Secrets there may have changed what it says.
    """
    metadata = secret.get("metadata")
    if not isinstance(metadata, Mapping):
        return None
    labels, notes = _texts(metadata.get("labels")), _texts(metadata.get("annotations"))
    if labels.get(MANAGED_LABEL) != MANAGED_BY or labels.get(COMPONENT_LABEL) != ACCESS_KEY:
        return None
    made = _time(metadata.get("creationTimestamp"))
    if made is None:
        return None
    return Key(
        name=str(metadata.get("name", "")),
        account=notes.get(ACCOUNT, ""),
        purpose=notes.get(PURPOSE, ""),
        made_by=notes.get(MADE_BY, ""),
        made=made,
        expires=_time(notes.get(EXPIRES)),
        audience=notes.get(AUDIENCE, ""),
    )


def _texts(value: object) -> Mapping[str, str]:
    """Labels or annotations, each bounded."""
    entries = value.items() if isinstance(value, Mapping) else ()
    return {str(key): str(text)[: 2 * LONGEST_PURPOSE] for key, text in entries}


def _time(value: object) -> datetime | None:
    try:
        return time_of(value)
    except ValueError:
        return None
