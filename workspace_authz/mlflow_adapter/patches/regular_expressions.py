"""Regular expressions of a search take linear time on SQLite (MLflow 3.16.1, 3.17.2 and 3.18.0).

``mlflow.store.db.utils.create_sqlalchemy_engine`` gives SQLite Python's ``re`` for ``RLIKE``. It backtracks
and holds the interpreter's lock. Without this patch one search for ``(a|a)+$`` stands a worker still for
good, and whoever may read can send it. RE2 needs a time that is linear in the text, and bounds the memory of
a pattern. The other databases have engines of their own.
"""

from __future__ import annotations

import re
import sqlite3
from functools import lru_cache
from typing import Any, Final

import re2
from mlflow.exceptions import MlflowException
from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.pool import Pool

_REPLACED: Final = "workspace-authz: regexp"
_PATTERN_BYTES: Final = 2**20
"""Memory for one pattern, once compiled."""
_RAISED: Final = "user-defined function raised exception"
"""All that SQLite tells of an exception in a function (``sqlite3.OperationalError``)."""
_UNSUPPORTED: Final = (
    "This regular expression is not supported: it is too large, or has a back-reference or look-around, "
    "which RE2 does not know."
)


def apply() -> None:
    """Replace the function in every connection to SQLite, when it is first used."""
    if not event.contains(Pool, "checkout", _replace):
        event.listen(Pool, "checkout", _replace)
        event.listen(Engine, "handle_error", _tell)


def _replace(connection: object, record: Any, _: object) -> None:
    if isinstance(connection, sqlite3.Connection) and _REPLACED not in record.info:
        connection.create_function("regexp", 2, matches)
        record.info[_REPLACED] = True


def _tell(context: ExceptionContext) -> None:
    """Make MLflow answer 400. Without this it takes the error for a database that is not there (503).

    Raises ``MlflowException``, which MLflow passes on.
    """
    regexp = " REGEXP " in (context.statement or "").upper()
    if regexp and str(context.original_exception) == _RAISED:
        raise MlflowException.invalid_parameter_value(_UNSUPPORTED)


def matches(pattern: str | None, text: str | None) -> bool:
    """Whether ``text`` holds ``pattern``. As MLflow's function, False for a pattern that is none.

    Raises ``ValueError`` for one that RE2 does not know, which ends the search.
    """
    if pattern is None or text is None:
        return False
    compiled = _compiled(pattern)
    return compiled is not None and compiled.search(text) is not None


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> Any | None:
    options = re2.Options()
    options.never_capture, options.log_errors, options.max_mem = True, False, _PATTERN_BYTES
    try:
        return re2.compile(pattern, options)
    except re2.error:
        if _is_wrong(pattern):
            return None
        raise ValueError("This regular expression is not supported.") from None


def _is_wrong(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return True
    return False
