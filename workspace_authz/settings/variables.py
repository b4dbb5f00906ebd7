"""The names of the variables from which settings are read, and lists in their values."""

from __future__ import annotations

from typing import Final

from pydantic import AliasChoices

PREFIX: Final = "WORKSPACE_AUTHZ_"


def names(field: str, other: str) -> AliasChoices:
    """Our variable for ``field``, and the ``other`` product's variable of the same meaning."""
    return AliasChoices(PREFIX + field.upper(), other)


def listed(value: str | None) -> tuple[str, ...]:
    """The entries of a comma-separated value, in their order."""
    return tuple(filter(None, map(str.strip, (value or "").split(","))))
