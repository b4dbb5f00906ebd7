"""What MLflow's hooks learn about the request that is being served, also in worker threads.

A door sets these before MLflow runs. Nothing here imports MLflow.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final, Protocol

from workspace_authz.types import UserInfo

UNREAD_SECONDS: Final = 60.0
"""How long a client may take none of an answer of Flask's. Then the connection is closed."""

current_user: Final[ContextVar[UserInfo | None]] = ContextVar("current_user", default=None)
"""The caller. None: nobody was identified, or no request is being served."""

visible_workspaces: Final[ContextVar[frozenset[str] | None]] = ContextVar("visible_workspaces", default=None)
"""The workspaces that a list may show. None: nobody decided, and a guarded worker lists none."""


@dataclass(frozen=True, slots=True)
class SelfCall:
    """One request of MLflow to itself: a POST."""

    path: str
    """Below the root path, with the static prefix; not encoded."""
    document: object = field(repr=False)
    """The body, as JSON."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Further headers."""
    skips_guardrails: bool = False


@dataclass(frozen=True, slots=True)
class SelfAnswer:
    """The answer to a :class:`SelfCall`."""

    status: int
    content_type: str
    body: bytes = field(repr=False)


class SelfCalls(Protocol):
    """The right to call this server in the name of the caller whose gateway call is being served."""

    @property
    def workspace(self) -> str | None:
        """The workspace that was checked; None on a server without workspaces."""

    async def ask(self, call: SelfCall, *, seconds: float) -> SelfAnswer:
        """The answer. Raises :class:`RequestError` when the guard refuses, and ``TimeoutError``."""

    def ask_from_thread(self, call: SelfCall, *, seconds: float) -> SelfAnswer:
        """As :meth:`ask`, for a worker thread of the call that is being served."""


self_calls: Final[ContextVar[SelfCalls | None]] = ContextVar("self_calls", default=None)
"""Set while MLflow serves a gateway call, for its guardrails.

None within a self-call: a self-call starts no other, so a guardrail cannot call itself without end.
"""
