"""Who the request being served is from: from the guard to MLflow's own hooks, also in worker threads."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final

from workspace_authz.types import UserInfo

current_user: Final[ContextVar[UserInfo | None]] = ContextVar("current_user", default=None)
"""Set by the guard before MLflow runs. None: nobody was identified, or no request is being served."""
