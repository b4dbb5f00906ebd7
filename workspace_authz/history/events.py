"""One decision as it is kept, and as it is read again. It holds no token, no query, no body, no sentence."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from workspace_authz.types import recorded

MOST_CHECKS: Final = 8
"""Of one decision that are kept. A list may take a question for each of its objects."""


@dataclass(frozen=True, slots=True)
class AskedRight:
    """One question to Kubernetes, and its answer in a word."""

    verb: str
    resource: str
    """``gatewayendpoints/use``, for example."""
    name: str
    """Of the object; empty where the question was about all of them."""
    outcome: str
    looked_up: bool = False
    """The caller did not send the name."""


@dataclass(frozen=True, slots=True)
class Event:
    """One decision. Equal ones of a moment become one row."""

    namespace_uid: str
    username: str
    method: str
    operation: str
    """Of the route; empty for a request that no rule covers."""
    decision: str
    """``allow``, ``deny`` or ``error``."""
    status: int
    """Of the answer; 0 where none was sent."""
    code: str
    """MLflow's error code of a refusal; empty for what passed."""
    asked: tuple[AskedRight, ...] = ()
    left_out: int = 0
    """How many more questions there were."""
    changed: str = ""
    """What a request of ours was to change in Kubernetes, in words."""

    @property
    def owner(self) -> str:
        """See :func:`owner_of`."""
        return owner_of(self.username)


def owner_of(username: str) -> str:
    """What rows of a user are found by, whatever the length of the name."""
    return hashlib.sha256(username.encode("utf-8", "surrogatepass")).hexdigest()


def storable(text: str) -> str:
    """``text`` as every database stores it: short, without control characters and halves of characters."""
    clean = "".join(each if each.isprintable() else "�" for each in text)
    return recorded(clean)


def encoded_checks(event: Event) -> str:
    """The questions of ``event`` as JSON in ASCII."""
    rows = [
        [each.verb, each.resource, storable(each.name), each.outcome, int(each.looked_up)]
        for each in event.asked
    ]
    return json.dumps([rows, event.left_out], separators=(",", ":"))


def decoded_checks(text: str) -> tuple[Sequence[AskedRight], int]:
    """What :func:`encoded_checks` wrote; nothing for a text of another release."""
    try:
        rows, left_out = json.loads(text)
        return [_asked(*row) for row in rows], int(left_out)
    except (ValueError, TypeError):
        return [], 0


def _asked(*fields: Any) -> AskedRight:
    verb, resource, name, outcome, looked_up = fields
    return AskedRight(str(verb), str(resource), str(name), str(outcome), bool(looked_up))
