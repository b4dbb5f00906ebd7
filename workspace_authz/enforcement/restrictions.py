"""What a request may not contain, whatever rights its caller has: the catalog's restrictions, looked for.

Evaluated after the rights were granted and before MLflow runs. What cannot be read is refused.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from workspace_authz.catalog.compile import Match
from workspace_authz.catalog.model import Restriction
from workspace_authz.enforcement.artifact_paths import check_file_name, experiment_in, listed_path
from workspace_authz.enforcement.documents import read_document
from workspace_authz.enforcement.extraction import Objects, Reading
from workspace_authz.enforcement.model_sources import check_origin, check_source
from workspace_authz.enforcement.request import AccessRequest
from workspace_authz.enforcement.trace_locations import SPANS_BYTES, check_document, check_spans
from workspace_authz.errors import ForbiddenError

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
                    experiment_in(match.parameters["artifact_path"], workspace=workspace)
                case Restriction.OWN_ARTIFACT_LIST:
                    experiment_in(listed_path(request), workspace=workspace)
                case Restriction.FILE_NAME:
                    check_file_name((await read_document(request)).get("path"))
                case Restriction.OWN_SOURCE:
                    await self._check_source(match, request, workspace)
                case Restriction.NO_GLOBAL_BUDGET:
                    await _check_budget(request)

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
