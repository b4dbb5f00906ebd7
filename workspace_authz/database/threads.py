"""Threads for work on MLflow's database, apart from those of MLflow's own handlers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from workspace_authz.errors import MisconfiguredError, UnavailableError

_DATABASE_SECONDS: Final = 8.0
_NO_DATABASE: Final = "MLflow's database gave no answer; try again."

_log = logging.getLogger(__name__)

T = TypeVar("T")


class DatabaseThreads:
    """A pool of its own: a database that hangs must not take the threads of others.

    ``engine`` opens the database when it is first needed. It may block, and gives None where MLflow keeps its
    data in files. ``purpose`` is a word for the log. :meth:`close` it at the end.
    """

    def __init__(self, engine: Callable[[], Engine | None], purpose: str, *, threads: int = 4) -> None:
        self._find_engine = engine
        self._purpose = purpose
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=purpose)

    def close(self) -> None:
        """End the threads, without waiting for a database that hangs."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def ask(self, work: Callable[[], T], *, seconds: float = _DATABASE_SECONDS) -> T:
        """Run ``work`` in a thread.

        Raises :class:`UnavailableError` when the database does not answer within ``seconds``.
        """
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except (SQLAlchemyError, TimeoutError) as error:
            _log.warning("MLflow's database gave no answer about %s: %s", self._purpose, type(error).__name__)
            raise UnavailableError(_NO_DATABASE) from error

    def engine(self) -> Engine:
        """The database, for work in a thread. Raises :class:`MisconfiguredError` where there is none."""
        engine = self._find_engine()
        if engine is None:
            raise MisconfiguredError(f"For {self._purpose}, MLflow's backend store must be an SQL database.")
        return engine

    def engine_if_any(self) -> Engine | None:
        """As :meth:`engine`; None where there is none."""
        return self._find_engine()
