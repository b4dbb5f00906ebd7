"""Which workspaces the request being served may see: from the pipeline to the workspace provider."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final

visible_workspaces: Final[ContextVar[frozenset[str] | None]] = ContextVar("visible_workspaces", default=None)
"""Set by the pipeline before MLflow lists workspaces. None: nobody decided; a guarded worker lists none."""
