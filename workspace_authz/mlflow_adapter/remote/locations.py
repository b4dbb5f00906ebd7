"""Which experiments the artifacts at a place belong to, by the locations that MLflow's REST API tells.

The locations of a workspace are kept in memory. Each look-up adds the experiments that were made since.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from workspace_authz.errors import UnavailableError
from workspace_authz.mlflow_adapter.reading.places import Place
from workspace_authz.mlflow_adapter.remote.client import NO_ANSWER, MlflowApi
from workspace_authz.mlflow_adapter.store.owners import owners_among, recorded_place

LIST_SECONDS: Final = 10.0
"""How long the list of a workspace is used before all of it is read again."""
_MISSED_SECONDS: Final = 1.0
"""The same after a place was found in no experiment: of two experiments, the later may be stored first."""
PAGE: Final = 1000
"""Experiments in one answer."""
MOST_PAGES: Final = 100
"""A workspace with more experiments has no artifacts at this door."""
_MOST_WORKSPACES: Final = 1000
_SEARCH: Final = "/api/2.0/mlflow/experiments/search"


@dataclass(slots=True)
class _Known:
    """The experiments of one workspace."""

    read_at: float
    newest: int = -1
    places: dict[str, Place | None] = field(default_factory=dict)


class RemoteLocations:
    """Finds the experiments that own places."""

    def __init__(self, api: MlflowApi, monotonic: Callable[[], float]) -> None:
        self._api = api
        self._monotonic = monotonic
        self._known: dict[str, _Known] = {}

    async def owners(self, place: Place, *, workspace: str, header: str | None) -> frozenset[str]:
        """The ids of the experiments of ``workspace`` whose artifacts a reader of ``place`` can reach.

        ``header`` is the workspace as it is sent to MLflow. Raises :class:`UnavailableError`.
        """
        for seconds in (LIST_SECONDS, _MISSED_SECONDS):
            known = await self._read(workspace, header, seconds=seconds)
            found = owners_among(place, known.places)
            if found:
                return found
        return frozenset()

    async def _read(self, workspace: str, header: str | None, *, seconds: float) -> _Known:
        now = self._monotonic()
        known = self._known.get(workspace)
        if known is None or now - known.read_at >= seconds:
            known = _Known(now)
        await self._add(known, workspace=workspace, header=header)
        if len(self._known) >= _MOST_WORKSPACES:
            self._known.clear()
        self._known[workspace] = known
        return known

    async def _add(self, known: _Known, *, workspace: str, header: str | None) -> None:
        """Add what is newer than the newest. The newest ones come first."""
        page, found = "", dict[int, Place | None]()
        for _ in range(MOST_PAGES):
            document = await self._page(page, header)
            for experiment in document.get("experiments") or ():
                place = recorded_place(experiment.get("artifact_location"), workspace)
                found[int(experiment["experiment_id"])] = place
            page = document.get("next_page_token") or ""
            if not page or min(found, default=0) <= known.newest:
                known.places |= {str(number): place for number, place in found.items()}
                known.newest = max(found, default=known.newest)
                return
        raise UnavailableError(NO_ANSWER)

    async def _page(self, page: str, header: str | None) -> Mapping[str, Any]:
        question = {
            "max_results": PAGE,
            "order_by": ["experiment_id DESC"],
            "view_type": "ALL",
            **({"page_token": page} if page else {}),
        }
        return (await self._api.ask("POST", _SEARCH, body=question, workspace=header)).document()
