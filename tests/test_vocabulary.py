"""Names are the field's terms: words of the project's own past occur in no identifier.

A word counts where it is a whole word of an identifier (``worker_seat``, ``emptySeats``) or of a module's
name. The exceptions name their reason.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

import pytest

from tests.harness.source import modules, room_of

BANNED: Final = frozenset(
    re.findall(
        r"\w+",
        """
        ahead belonging belongings binding bindings blueprint calm cell cells census coherence coherent
        coverage crew early foresight foundation held joined lane lanes lean lines memory ownership patience
        patiently plain plainly posts presence pulse rest sealing seat seats settle settled settles settling
        spending stranger strangers stripping trail
        """,
    )
)

_RBAC: Final = frozenset({"binding", "bindings"})


@dataclass(frozen=True, slots=True)
class Allowed:
    """Words that modules may use. ``modules`` is a glob pattern."""

    modules: str
    words: frozenset[str]
    reason: str


ALLOWED_WORDS: Final = (
    Allowed("apps/demo/*", _RBAC, "RBAC's RoleBindings"),
    Allowed("authorizer/rbac/*", _RBAC, "RBAC's RoleBindings"),
    Allowed("cli/checks/*", _RBAC, "RBAC's RoleBindings"),
    Allowed("cli/grants/*", _RBAC, "RBAC's RoleBindings"),
    Allowed("devplane/*", _RBAC, "RBAC's RoleBindings"),
    Allowed("doors/people/*", _RBAC, "RBAC's RoleBindings"),
    Allowed("grants/*", _RBAC, "RBAC's RoleBindings"),
)

ALLOWED_IDENTIFIERS: Final[Mapping[str, str]] = {
    "*:settling_seconds": "a public setting",
    "*:_TAIL_LINES": "lines of a text",
    "*:_lines": "lines of a text",
    "*:lines": "lines of a text",
    "*:print_lines": "lines of a text",
    "*:CONTENT_TYPE_PLAIN_0_0_4": "prometheus_client's",
}
"""``module:identifier``, or ``*`` for every module, and the reason."""


def uses(module: str, file: Path) -> Iterator[tuple[str, frozenset[str]]]:
    """Every identifier that has a banned word, with those words."""
    found = {token.string for token in _tokens(file) if token.type == tokenize.NAME}
    for identifier in sorted({*found, *module.split("/")}):
        if banned := BANNED.intersection(words(identifier)):
            yield identifier, banned


def is_allowed(module: str, identifier: str, *, banned: frozenset[str]) -> bool:
    """Whether an exception allows this use of banned words."""
    if {f"{module}:{identifier}", f"*:{identifier}"} & ALLOWED_IDENTIFIERS.keys():
        return True
    return any(fnmatchcase(module, each.modules) and banned <= each.words for each in ALLOWED_WORDS)


def words(identifier: str) -> list[str]:
    """The words of a name in snake case or camel case, in lower case."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", identifier)]


def _tokens(file: Path) -> Iterator[tokenize.TokenInfo]:
    return tokenize.generate_tokens(io.StringIO(file.read_text()).readline)


def test_words_of_an_identifier() -> None:
    assert words("_emptySeats_of_HTTPServer2") == ["empty", "seats", "of", "http", "server"]


@pytest.mark.parametrize("room", sorted({room_of(module) for module, _ in modules()}))
def test_identifiers_are_the_fields_terms(room: str) -> None:
    found = [
        f"{module}:{identifier}"
        for module, file in modules()
        if room_of(module) == room
        for identifier, banned in uses(module, file)
        if not is_allowed(module, identifier, banned=banned)
    ]
    assert found == []


def test_every_exception_is_needed() -> None:
    found = [(module, *use) for module, file in modules() for use in uses(module, file)]
    used = {key for module, identifier, _ in found for key in (f"{module}:{identifier}", f"*:{identifier}")}
    assert sorted(ALLOWED_IDENTIFIERS.keys() - used) == []
    for each in ALLOWED_WORDS:
        assert any(fnmatchcase(module, each.modules) and banned & each.words for module, _, banned in found)
