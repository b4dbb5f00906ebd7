"""Whether the API server answers at all, also while nobody asks it anything.

A watch on a connection that has died looks like a quiet one for more than a minute; a question to
``/version``, which every authenticated caller may ask, tells within seconds.
"""

from __future__ import annotations

import logging
from typing import Final

import aiohttp
from kubernetes_asyncio.config import ConfigException

from workspace_authz.aio.clock import Clock
from workspace_authz.kubernetes.transport import Connection, describe_failure

_log = logging.getLogger(__name__)

_PERIOD_SECONDS: Final = 5.0
_AGAIN_SECONDS: Final = 1.0
_FAILURES: Final = 2
"""In a row; a single one may be a connection that an API server closed as it was being replaced."""


class Pulse:
    """Asks every five seconds, and sooner after a failure. Run :meth:`run` in a supervised task.

    ``timeout`` is how long an answer may take, in seconds.
    """

    def __init__(self, connection: Connection, *, clock: Clock, timeout: float = 3.0) -> None:
        self._connection = connection
        self._clock = clock
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._failures = 0
        self._problem: str | None = None

    @property
    def problem(self) -> str | None:
        """Why the API server counts as away, as a sentence; None while it answers."""
        return self._problem

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            await self.beat()
            await self._clock.sleep(_AGAIN_SECONDS if self._failures else _PERIOD_SECONDS)

    async def beat(self) -> None:
        """Ask once. Any answer below 500 will do: who is not allowed to ask is answered, too."""
        try:
            async with self._connection.request("GET", "/version", timeout=self._timeout) as response:
                failure = f"HTTP {response.status}" if response.status >= 500 else None
        except (aiohttp.ClientError, TimeoutError, OSError, ConfigException) as error:
            failure = describe_failure(error)
        if failure is None:
            self._failures, self._problem = 0, None
            return
        self._failures += 1
        if self._failures >= _FAILURES:
            if self._problem is None:
                _log.warning("the Kubernetes API server does not answer: %s", failure)
            self._problem = f"The Kubernetes API server does not answer: {failure}."
