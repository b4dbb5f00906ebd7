"""What a permission database of another system says, in one shape for all of them.

A *holder* is who has a permission there: a user, a group, or a role that users have. A level of None takes
away (``DENY``, ``NO_PERMISSIONS``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from workspace_authz.grants.levels import Level
from workspace_authz.types import Resource

ALL: Final = "*"
"""As a pattern: all objects of a type. As a workspace: every workspace."""

WORKSPACE: Final = "workspace"
"""The type of a permission on a whole workspace."""

TYPES: Final[Mapping[str, Resource]] = {
    "experiment": Resource.EXPERIMENTS,
    "registered_model": Resource.REGISTERED_MODELS,
    "prompt": Resource.REGISTERED_MODELS,
    "mcp_server": Resource.MCP_SERVERS,
    "gateway_endpoint": Resource.GATEWAY_ENDPOINTS,
    "gateway_secret": Resource.GATEWAY_SECRETS,
    "gateway_model_definition": Resource.GATEWAY_MODEL_DEFINITIONS,
}
"""The types of MLflow's and mlflow-oidc-auth's permissions that RBAC knows."""

MODEL: Final = "registered_model"
PROMPT: Final = "prompt"

_DENIALS: Final = frozenset({"DENY", "NO_PERMISSIONS"})


@dataclass(frozen=True, slots=True, order=True)
class Row:
    """One row of the old database."""

    table: str
    key: str
    words: str = field(default="", compare=False)
    """What it says."""


class HolderKind(StrEnum):
    """Who can have a permission."""

    USER = "user"
    GROUP = "group"
    ROLE = "role"


@dataclass(frozen=True, slots=True, order=True)
class Holder:
    """Who has a permission. A role is known by its number."""

    kind: HolderKind
    name: str


@dataclass(frozen=True, slots=True)
class Permission:
    """One permission."""

    row: Row
    holder: Holder
    type: str
    pattern: str
    """A name or id, :data:`ALL`, or with :attr:`priority` a regular expression."""
    workspace: str
    level: Level | None
    priority: int | None = None

    @property
    def is_pattern(self) -> bool:
        """Whether :attr:`pattern` is a regular expression."""
        return self.priority is not None


@dataclass(frozen=True, slots=True)
class Person:
    """One user."""

    row: Row
    name: str
    admin: bool = False
    account: bool = False
    """A service account."""
    active: bool = True


@dataclass(frozen=True, slots=True)
class Group:
    """One group and its members, who are known by name."""

    row: Row
    name: str
    members: Sequence[tuple[Row, str]] = ()


@dataclass(frozen=True, slots=True)
class OldRole:
    """A role that users have."""

    row: Row
    number: str
    name: str
    workspace: str
    description: str = ""
    direct: bool = False
    """It holds what was granted to one user, and nobody made it by hand."""
    members: Sequence[tuple[Row, str]] = ()


@dataclass(frozen=True, slots=True)
class OldSystem:
    """All that a permission database says."""

    people: Sequence[Person]
    groups: Sequence[Group]
    roles: Sequence[OldRole]
    permissions: Sequence[Permission]
    asides: Sequence[tuple[Row, str]]
    """Rows that give no right, each with what becomes of it."""
    ways: Ways


@dataclass(frozen=True, slots=True)
class Ways:
    """What the code of the old system says about its rows."""

    default: Level | None
    """``default_permission``, where its configuration says nothing."""
    ids: bool
    """Whether gateway objects are meant by their ids, and not by their names."""
    models_are_prompts: bool
    """Whether a permission on a registered model counts for a prompt of that name."""
    nearest: bool
    """Whether the nearest source of a permission decides (the user, their groups, patterns, the workspace).

    Else all add up, and one denial wins."""


def level_of(text: str | None) -> Level | None:
    """The level that a permission names; None for one that takes away. Raises ``ValueError``."""
    return None if text in _DENIALS else Level(str(text))


def rank(level: Level | None) -> int:
    """How much a level is; a denial is the least."""
    return 0 if level is None else 1 + list(Level).index(level)


def highest(levels: Iterable[Level | None]) -> Level | None:
    """The most of ``levels``; None where there is nothing, or only denials."""
    return max(levels, key=rank, default=None)
