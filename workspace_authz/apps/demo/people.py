"""Who lives in the demo, and by which ordinary RoleBindings."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

TEAM_A: Final = "team-a"
TEAM_B: Final = "team-b"
NAMESPACES: Final = (TEAM_A, TEAM_B)

_RBAC: Final = "rbac.authorization.k8s.io"


@dataclass(frozen=True, slots=True)
class Person:
    """A user, or a service account when ``account_of`` is set."""

    name: str
    role: str = ""
    """The ClusterRole that is bound to them; empty for none."""
    namespace: str = ""
    """Where it is bound."""
    account_of: str = ""
    """The namespace of a service account."""

    @property
    def subject(self) -> dict[str, str]:
        """The person as the subject of a RoleBinding."""
        if self.account_of:
            return {"kind": "ServiceAccount", "name": self.name, "namespace": self.account_of}
        return {"apiGroup": _RBAC, "kind": "User", "name": self.name}


ALICE: Final = Person("alice", role="edit", namespace=TEAM_A)
BOB: Final = Person("bob", role="view", namespace=TEAM_A)
CAROL: Final = Person("carol", role="admin", namespace=TEAM_B)
MALLORY: Final = Person("mallory")
TRAINER: Final = Person("trainer", role="mlflow-integration", namespace=TEAM_A, account_of=TEAM_A)

USERS: Final = (ALICE, BOB, CAROL, MALLORY)
PEOPLE: Final = (*USERS, TRAINER)


def new_tokens() -> dict[str, str]:
    """A fresh token for each user. Service accounts ask the API server for theirs.

    Hexadecimal: a token that begins with ``-`` would be taken for an option after ``--token``.
    """
    return {user.name: secrets.token_hex(24) for user in USERS}


def users_file(tokens: Mapping[str, str]) -> str:
    """The users in Kubernetes' static token format."""
    return "".join(f"{token},{name},{name}\n" for name, token in tokens.items())


def role_binding(person: Person, *, role: str, namespace: str) -> dict[str, Any]:
    """The RoleBinding that ``kubectl create rolebinding`` would make."""
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": f"{person.name}-{role}", "namespace": namespace},
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [person.subject],
    }
