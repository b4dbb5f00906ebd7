"""Whether the MLflow behind the proxy is the release that requests are judged for."""

from __future__ import annotations

import logging
import re
from importlib import metadata
from typing import Final

from workspace_authz.aio.clock import Clock
from workspace_authz.errors import UnavailableError
from workspace_authz.mlflow_adapter.remote.client import MlflowApi

_PERIOD_SECONDS: Final = 5.0
_AGAIN_SECONDS: Final = 1.0
_FAILURES: Final = 3
"""In a row; fewer may be a restart."""
_SERVER_INFO: Final = "/api/3.0/mlflow/server-info"
_NO_ANSWER: Final = "MLflow does not answer at WORKSPACE_AUTHZ_MLFLOW_URL."

_log = logging.getLogger(__name__)


class ReleaseProbe:
    """Asks MLflow every five seconds, and sooner after a failure. Run :meth:`run` in a supervised task.

    Another release may have other routes, and read requests in another way: nothing is judged for it. Patch
    releases do not differ so.
    """

    def __init__(
        self, api: MlflowApi, *, workspaces: bool, clock: Clock, installed: str = metadata.version("mlflow")
    ) -> None:
        self._api = api
        self._workspaces = workspaces
        self._clock = clock
        self._installed = installed
        self._failures = 0
        self._problem: str | None = "MLflow has not been asked yet for its release."

    @property
    def problem(self) -> str | None:
        """Why nothing can be judged, as a sentence; None while all is well."""
        return self._problem

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            await self.beat()
            await self._clock.sleep(_AGAIN_SECONDS if self._problem or self._failures else _PERIOD_SECONDS)

    async def beat(self) -> None:
        """Ask once."""
        try:
            problem = await self._ask()
            self._failures = 0
        except UnavailableError:
            self._failures += 1
            if self._failures < _FAILURES and self._problem is None:
                return
            problem = _NO_ANSWER
        if problem and problem != self._problem:
            _log.warning("%s", problem)
        self._problem = problem

    async def _ask(self) -> str | None:
        answer = await self._api.ask("GET", "/version")
        release = answer.content[:64].decode("ascii", "replace").strip() if answer.status == 200 else ""
        if not re.match(r"\d+\.\d+", release):
            raise UnavailableError(_NO_ANSWER)
        if _minor(release) != _minor(self._installed):
            return (
                f"MLflow's release is {release}, and this server judges requests for {self._installed}: "
                "install the same release of mlflow here."
            )
        info = (await self._api.ask("GET", _SERVER_INFO)).document()
        if bool(info.get("workspaces_enabled")) == self._workspaces:
            return None
        if self._workspaces:
            return "MLflow runs without workspaces: set WORKSPACE_AUTHZ_NAMESPACE."
        return "MLflow runs with workspaces: unset WORKSPACE_AUTHZ_NAMESPACE."


def _minor(release: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\d+", release)[:2])
