"""What a recipe is: the request that calls one of MLflow's operations on live objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.scenarios.studio import Studio


@dataclass(frozen=True, slots=True)
class Call:
    """One request. Where the method and path come from is the catalog's business."""

    path: Mapping[str, str] = field(default_factory=dict)
    """Values of the path's parameters."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Of MLflow's message: in the query of a GET, else in a JSON body."""
    query: Mapping[str, Any] = field(default_factory=dict)
    """For handlers that read the query whatever the method."""
    json: object = None
    """A body that is no message, whatever the method."""
    body: bytes | None = None
    """A body that is no JSON."""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to call one operation, and what of its row in the catalog the call brings into play."""

    make: Callable[[Studio], Call]
    absent: frozenset[str] = frozenset()
    """Fields, or kinds of identifiers, on which a requirement depends and which this call leaves out."""
    answers: frozenset[int] = frozenset({200})
    """MLflow's own status: 200, or what it documents for a server like the test's."""
    why: str = ""
    """Why the answer is none of success."""


def recipe(
    make: Callable[[Studio], Call], *, absent: str = "", answers: tuple[int, ...] = (200,), why: str = ""
) -> Recipe:
    """A recipe; ``absent`` holds names separated by blanks."""
    return Recipe(make, frozenset(absent.split()), frozenset(answers), why)
