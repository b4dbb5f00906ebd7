"""Numbers by which MLflow's REST contract knows users, roles and permissions.

MLflow has them from a database. Here a number follows from names, so that all replicas give the same one.
JavaScript reads integers up to 53 bits exactly (ECMA-262, ``Number.MAX_SAFE_INTEGER``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final, Protocol, TypeVar

from workspace_authz.errors import MissingError

_BITS: Final = 53


class Numbered(Protocol):
    """Something that has a number."""

    @property
    def number(self) -> int:
        """See :func:`number_of`."""


N = TypeVar("N", bound=Numbered)


def number_of(*names: str) -> int:
    """The number of what ``names`` say, in this order: from 1 to 2**53 - 1."""
    whole = "".join(f"{len(name)}:{name}" for name in names).encode("utf-8", "surrogatepass")
    return (int.from_bytes(hashlib.sha256(whole).digest()[:8], "big") >> (64 - _BITS)) or 1


def numbered(candidates: Iterable[N], number: int, *, what: str) -> N:
    """The one with ``number``; ``what`` names the kind in an error.

    Raises :class:`MissingError` for none, and for two: what is meant must never be guessed.
    """
    found = {id(each): each for each in candidates if each.number == number}
    if len(found) != 1:
        problem = "There is no such" if not found else "More than one has this number, so it names no"
        raise MissingError(f"{problem} {what}: {number}.")
    return next(iter(found.values()))
