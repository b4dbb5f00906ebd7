"""Tags that tell the server where a trace's data lie: it opens whatever place they name, as itself.

MLflow writes them; its SDK sends none (``mlflow.utils.mlflow_tags.IMMUTABLE_TAGS``, 3.17.2).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from workspace_authz.errors import ForbiddenError
from workspace_authz.mlflow_adapter.reading.documents import texts
from workspace_authz.mlflow_adapter.reading.spellings import collated

RESERVED: Final = ("mlflow.artifactLocation", "mlflow.trace.spansLocation", "mlflow.trace.archiveLocation")

_COLLATED: Final = frozenset(map(collated, RESERVED))


def check_document(document: Any) -> None:
    """Raise :class:`ForbiddenError` where a reserved key stands as a key or as a text of its own."""
    _refuse_reserved(texts(document))


def check_trace_tags(tags: Iterable[str]) -> None:
    """Raise :class:`ForbiddenError` where MLflow would make a reserved tag of a span's attributes."""
    _refuse_reserved(tags)


def _refuse_reserved(keys: Iterable[str]) -> None:
    for key in keys:
        if collated(key) in _COLLATED:
            raise ForbiddenError(
                f"Only MLflow itself sets the trace tags {', '.join(RESERVED)}: "
                "the server would read from there."
            )
