"""A clause of ours before a caller's filter, and the proof that MLflow reads it so.

MLflow's stores take a filter for a list of comparisons that must all hold. So a filter whose first comparison
is ours can find nothing that ours does not, whatever follows it. That it is the first, and exactly ours, is
not argued from the text: MLflow's own parser is asked for each request.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from mlflow.exceptions import MlflowException
from sqlparse.lexer import tokenize
from sqlparse.tokens import Comparison, Keyword

from workspace_authz.catalog.listing import Clause
from workspace_authz.errors import BadRequestError
from workspace_authz.mlflow_adapter.compat import optional_module
from workspace_authz.mlflow_adapter.relied_on import SEARCH_PARSERS

search_utils = optional_module("mlflow.utils.search_utils")

MOST_VALUES: Final = 300
"""In one clause. MLflow's parser takes 25 ms for that many and refuses more than about 5000."""

MOST_TOKENS: Final = 20_000
"""Of one filter. sqlparse groups 10,000 at most (0.6.1, ``MAX_GROUPING_TOKENS``)."""
_COMPARING: Final = frozenset({"IN", "IS"})
"""Keywords that compare; the others are operators for sqlparse."""


def clause_first(operation: str, clause: Clause, *, values: Collection[str], theirs: str) -> str | None:
    """``theirs`` with ``clause`` over ``values`` before it; None where this MLflow does not understand that.

    Raises :class:`BadRequestError` for a filter that MLflow would refuse, or read otherwise behind a clause.
    """
    if not 0 < len(values) <= MOST_VALUES:
        return None
    parser: Any = getattr(search_utils, SEARCH_PARSERS[operation], None)
    if not hasattr(parser, "parse_search_filter"):  # the answer is filtered instead
        return None
    ours = f"{clause.key} IN ({','.join(map(_quoted, values))})"
    expected = {
        "type": "attribute",
        "key": clause.key,
        "comparator": "IN",
        "value": tuple(values),
    }
    if not theirs.strip():
        return ours if _parsed(parser, ours) == [expected] else None
    both = f"{ours} AND {theirs}"
    read = _parsed(parser, both)
    try:
        alone = parser.parse_search_filter(theirs)
    except MlflowException as error:
        raise BadRequestError(error.message) from error
    if read == [expected, *alone]:
        return both
    if _parsed(parser, ours) != [expected]:
        return None
    raise BadRequestError("This filter cannot be joined to another one; write it as comparisons with AND.")


def any_large_filter(texts: Collection[str], *, comparisons: int) -> bool:
    """Whether one of ``texts`` has more comparisons than that, or more tokens than MLflow's parser takes."""
    return any(_is_large(text, comparisons) for text in texts)


def _is_large(text: str, comparisons: int) -> bool:
    """Takes tokens from MLflow's own lexer until it knows."""
    found = 0
    for number, (kind, value) in enumerate(tokenize(text)):  # type: ignore[no-untyped-call]
        is_comparison = kind in Comparison or (kind in Keyword and value.upper() in _COMPARING)
        found += is_comparison
        if found > comparisons or number > MOST_TOKENS:
            return True
    return False


def _parsed(parser: Any, text: str) -> object:
    try:
        return parser.parse_search_filter(text)
    except MlflowException:
        return None


def _quoted(value: str) -> str:
    """A literal that is one token for MLflow's SQL parser, and whose value is read as Python reads it."""
    escaped = "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in "-_./") else f"\\U{ord(letter):08x}"
        for letter in value
    )
    return f"'{escaped}'"
