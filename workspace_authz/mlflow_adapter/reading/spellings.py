"""Under which names MLflow finds one field, and when two keys may be one key.

There is one rule for each, and every reader and writer of requests uses it.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Final

_IGNORED: Final = {
    **dict.fromkeys((*range(9), *range(14, 32), 127)),
    **dict(zip(map(ord, "\u00f8\u00d8\u0142\u0141\u0111\u0110\u0127\u0126"), "oolLdDhH", strict=True)),
}
"""What such a comparison ignores and NFKD keeps: control characters, and strokes through letters. Source: the
Default Unicode Collation Element Table (UTS #10), on which MySQL's ``utf8mb4_0900_ai_ci`` is built."""

LONGEST_KEY: Final = 256
"""Characters. MLflow stores no longer key of a tag or of metadata (``mlflow.utils.validation``: 250)."""


@lru_cache(maxsize=4096)
def json_name(field: str) -> str:
    """The lowerCamelCase name of a protobuf field (``ToJsonName`` of protobuf's ``descriptor.cc``).

    An underscore goes, and the letter behind it becomes a capital: ``run__id`` is ``runId``, ``x_ID`` is
    ``xID``, ``trace_id_`` is ``traceId``. Fields are names of the catalog, so the cache is bounded by it.
    """
    written: list[str] = []
    capital = False
    for letter in field:
        if letter == "_":
            capital = True
            continue
        written.append(letter.upper() if capital and "a" <= letter <= "z" else letter)
        capital = False
    return "".join(written)


def spellings(field: str) -> tuple[str, ...]:
    """The names under which protobuf's JSON parser takes ``field``."""
    camel = json_name(field)
    return (field,) if camel == field else (field, camel)


def collated(text: str) -> str:
    """``text`` without accents, case and blanks at its ends.

    Some databases compare so (MySQL's ``ai_ci`` collations): keys that are alike here may be one key there.
    A text that is too long to be a key is not changed: normalization takes time that grows with the square
    of a run of combining marks. Blanks at the ends do not count for the length: MySQL cuts them off.
    """
    text = text.strip()
    if len(text) > LONGEST_KEY:
        return text
    letters = unicodedata.normalize("NFKD", text).translate(_IGNORED)
    return letters.encode("ascii", "ignore").decode().strip().casefold()


def begins_with_key(sent: str, prefix: str) -> bool:
    """Whether a database may take the key ``sent`` for one of MLflow's that begins with ``prefix``."""
    return collated(sent).startswith(prefix.casefold())


def same_key(sent: str, key: str) -> bool:
    """Whether a database may take the key ``sent`` for ``key``, which is one of MLflow's."""
    return collated(sent) == key.casefold()
