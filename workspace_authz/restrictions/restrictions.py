"""What a request may not contain, whatever rights its caller has: the catalog's restrictions, looked for.

Evaluated after the rights were granted and before MLflow runs. What cannot be read is refused.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from workspace_authz.catalog.compile import Match
from workspace_authz.catalog.model import Identifier, Restriction
from workspace_authz.errors import ForbiddenError, MissingError
from workspace_authz.mlflow_adapter.reading.artifact_paths import check_file_name, experiment_in, listed_path
from workspace_authz.mlflow_adapter.reading.documents import read_document
from workspace_authz.mlflow_adapter.reading.reader import Objects, Reading
from workspace_authz.mlflow_adapter.reading.request import AccessRequest
from workspace_authz.restrictions.model_sources import check_origin, check_source
from workspace_authz.restrictions.trace_locations import SPANS_BYTES, check_document, check_spans
from workspace_authz.types import Resource

_SCOPES: Final = frozenset({"WORKSPACE", "ENDPOINT", "USER"})


@dataclass(frozen=True, slots=True)
class Restrictions:
    """The checks of one server."""

    artifact_root: str | None = None
    """MLflow's default artifact root (``--default-artifact-root``); None if it has none of its own."""
    objects: Objects | None = None
    """Finds the objects of a workspace; None where no MLflow is at hand."""

    async def check(self, match: Match, request: AccessRequest, *, workspace: str | None) -> None:
        """Raise :class:`RequestError` for the first restriction of the route that the request breaks.

        ``workspace`` is the request's, None on a server without workspaces.
        """
        for restriction in match.route.restrictions:
            match restriction:
                case Restriction.NO_TRACE_LOCATION:
                    check_document(await read_document(request))
                case Restriction.NO_SPAN_TRACE_LOCATION:
                    body = await request.body.read(SPANS_BYTES)
                    await asyncio.to_thread(check_spans, request, body)
                case Restriction.OWN_ARTIFACT:
                    await self._check_artifact(match.parameters["artifact_path"], workspace)
                case Restriction.OWN_ARTIFACT_LIST:
                    await self._check_artifact(listed_path(request), workspace)
                case Restriction.FILE_NAME:
                    check_file_name((await read_document(request)).get("path"))
                case Restriction.OWN_SOURCE:
                    await self._check_source(match, request, workspace)
                case Restriction.NO_GLOBAL_BUDGET:
                    await _check_budget(request)

    async def _check_artifact(self, path: str, workspace: str | None) -> None:
        """Check that the experiment of an artifact path is one of the workspace: MLflow looks for none."""
        experiment = experiment_in(path, workspace=workspace)
        if self.objects is None or workspace is None:
            return
        found = await self.objects.names(
            Resource.EXPERIMENTS, Identifier.EXPERIMENT_ID, [experiment], workspace=workspace
        )
        if not found:
            raise MissingError(f"The experiment of this artifact path is not in workspace '{workspace}'.")

    async def _check_source(self, match: Match, request: AccessRequest, workspace: str | None) -> None:
        document = await read_document(request)
        if "source" in document:
            check_source(document["source"], artifact_root=self.artifact_root, workspace=workspace)
        if self.objects is not None and workspace is not None:
            reading = Reading(self.objects, match.route, request=request, parameters=match.parameters)
            await check_origin(reading, self.objects, workspace=workspace)


async def _check_budget(request: AccessRequest) -> None:
    """A budget of scope GLOBAL limits every workspace; protobuf takes an enumeration by number, too."""
    document = await read_document(request)
    for field in ("target_scope", "targetScope"):
        if field in document and not (isinstance(document[field], str) and document[field] in _SCOPES):
            raise ForbiddenError(
                "A budget of this scope is refused: it would limit all workspaces. Set target_scope to "
                "WORKSPACE, ENDPOINT or USER."
            )
