"""The threads in which MLflow's handlers run, and the shares of callers and workspaces in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from anyio import to_thread

from workspace_authz.aio.fair_share import FairShare, Shares
from workspace_authz.settings.settings import Settings

LEFT_TO_PUBLIC_ROUTES: Final = 5
"""One of so many threads is not shared out."""


def fair_share(settings: Settings) -> FairShare:
    """The shares of one worker."""
    threads = settings.handler_threads
    return FairShare(
        Shares(
            total=threads - threads // LEFT_TO_PUBLIC_ROUTES,
            caller=settings.caller_requests,
            workspace=settings.workspace_requests,
            waiting=settings.waiting_requests,
            waiting_seconds=settings.waiting_seconds,
        )
    )


@dataclass(frozen=True, slots=True)
class HandlerThreads:
    """The pool that anyio keeps for an event loop; Starlette and FastAPI run handlers in it."""

    share: FairShare

    @property
    def busy(self) -> int:
        """Threads that run something now."""
        return int(to_thread.current_default_thread_limiter().borrowed_tokens)

    @property
    def full(self) -> bool:
        """Whether the next request waits, whoever sends it."""
        return self.share.running >= self.share.shares.total

    def notes(self) -> Sequence[str]:
        """What an operator should know: a pool that is full makes requests wait."""
        share = self.share
        if not self.full:
            return ()
        return (
            f"All {share.running} shared threads of MLflow's handlers are in use and "
            f"{share.waiting} requests wait.",
        )


def handler_threads(settings: Settings) -> HandlerThreads:
    """Give the pool its size. To be called in the event loop that serves."""
    to_thread.current_default_thread_limiter().total_tokens = settings.handler_threads
    return HandlerThreads(fair_share(settings))
