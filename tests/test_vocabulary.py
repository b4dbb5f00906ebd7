"""Names are the field's terms: words of the project's own past occur in no identifier.

A word counts where it is a whole word of an identifier (``worker_seat``, ``emptySeats``) or of a module's
name. ``python -m tests.test_vocabulary`` prints what is left in the rooms that are not clean yet.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator, Mapping
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

NOT_CLEAN: Final = frozenset(
    {
        *("apps", "authorizer", "cli", "devplane", "doors", "identity", "kubernetes", "mlflow_adapter"),
        *("pipeline", "workspaces"),
    }
)
"""Rooms that are not checked yet."""

ALLOWED: Final[Mapping[str, str]] = {
    "*:settling_seconds": "a public setting",
    "*:lines": "lines of a text",
    "*:print_lines": "lines of a text",
    "*:CONTENT_TYPE_PLAIN_0_0_4": "prometheus_client's",
    "*:splitlines": "Python's",
    "*:writelines": "Python's",
}
"""``module:identifier``, or ``*`` for every module, and the reason."""


def uses(module: str, file: Path) -> Iterator[str]:
    """Every use of a banned word, as ``module:identifier``."""
    found = {token.string for token in _tokens(file) if token.type == tokenize.NAME}
    for identifier in sorted({*found, *module.split("/")}):
        if BANNED.intersection(words(identifier)):
            use = f"{module}:{identifier}"
            if not {use, f"*:{identifier}"} & ALLOWED.keys():
                yield use


def words(identifier: str) -> list[str]:
    """The words of a name in snake case or camel case, in lower case."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", identifier)]


def _tokens(file: Path) -> Iterator[tokenize.TokenInfo]:
    return tokenize.generate_tokens(io.StringIO(file.read_text()).readline)


def test_words_of_an_identifier() -> None:
    assert words("_emptySeats_of_HTTPServer2") == ["empty", "seats", "of", "http", "server"]


@pytest.mark.parametrize("room", sorted({room_of(module) for module, _ in modules()} - NOT_CLEAN))
def test_identifiers_are_the_fields_terms(room: str) -> None:
    found = [use for module, file in modules() if room_of(module) == room for use in uses(module, file)]
    assert found == []


def test_every_exception_is_needed() -> None:
    identifiers = {token.string for _, file in modules() for token in _tokens(file)}
    assert sorted(key for key in ALLOWED if key.partition(":")[2] not in identifiers) == []


if __name__ == "__main__":
    for each, path in modules():
        for use in uses(each, path):
            print(use)
