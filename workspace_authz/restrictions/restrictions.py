"""What a request must not contain, whatever rights its caller has: the catalog's restrictions.

They are checked after the rights and before MLflow runs. What cannot be read is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from workspace_authz.catalog.model import Guarded, Restriction
from workspace_authz.errors import ForbiddenError, MissingError
from workspace_authz.mlflow_adapter.reading.artifact_paths import (
    check_file_name,
    check_upstream_path,
    listed_path,
)
from workspace_authz.mlflow_adapter.reading.documents import texts
from workspace_authz.mlflow_adapter.reading.places import place_at_path
from workspace_authz.mlflow_adapter.reading.reader import RequestReader
from workspace_authz.mlflow_adapter.reading.spellings import begins_with_key, spellings
from workspace_authz.mlflow_adapter.store.protocol import ObjectStore
from workspace_authz.restrictions.combining_marks import check_marks
from workspace_authz.restrictions.gateway_traces import check_tags, check_trace
from workspace_authz.restrictions.model_sources import NONE_SHARED, Allowed, check_origin, check_source
from workspace_authz.restrictions.searches import check_search
from workspace_authz.restrictions.shared_sources import SharedSources
from workspace_authz.restrictions.trace_locations import check_document, check_trace_tags
from workspace_authz.types import Resource
from workspace_authz.workspaces.root_watcher import ArtifactRoots

_SCOPES: Final = frozenset({"WORKSPACE", "ENDPOINT", "USER"})
_TARGET_SCOPE: Final = "target_scope"
_SCHEDULE: Final = "mlflow.issueDetection.schedule"
"""The beginning of the tags by which MLflow's server starts jobs (``genai.discovery.schedule``, 3.18.0)."""
_EXPERIMENT_ID: Final = re.compile("[0-9]{1,19}")


@dataclass(frozen=True, slots=True)
class Restrictions:
    """The checks of one server."""

    artifact_root: str | None = None
    """MLflow's default artifact root (``--default-artifact-root``); None if it has none of its own."""
    shared: SharedSources = NONE_SHARED
    """Where every workspace may register models from."""
    store: ObjectStore | None = None
    """Finds the objects of a workspace; None where no MLflow is at hand."""
    roots: ArtifactRoots | None = None
    """The artifact roots that namespaces choose; None where they choose none."""

    async def check(
        self, reader: RequestReader, *, workspace: str | None, sources: str | None = None
    ) -> None:
        """Raise :class:`RequestError` for the first restriction of the route that the request breaks.

        On every route, text that is normalized may have no long runs of combining marks, and a search may
        ask for so much only.

        ``workspace`` is the request's; None on a server without workspaces. ``sources`` is what its namespace
        leaves of the shared places; None leaves all.
        """
        await check_marks(reader)
        await check_search(reader)
        for restriction in reader.match.route.restrictions:
            await self._check(restriction, reader, workspace=workspace, sources=sources)

    async def _check(
        self, restriction: Restriction, reader: RequestReader, *, workspace: str | None, sources: str | None
    ) -> None:
        match restriction:
            case Restriction.NO_TRACE_LOCATION:
                check_document(await reader.document())
            case Restriction.NO_SPAN_TRACE_LOCATION:
                check_trace_tags(await reader.trace_tags())
            case Restriction.OWN_ARTIFACT:
                path = reader.match.parameters["artifact_path"]
                await self._check_artifact(path, reader, workspace=workspace)
            case Restriction.OWN_ARTIFACT_LIST:
                await self._check_artifact(listed_path(reader.request), reader, workspace=workspace)
            case Restriction.FILE_NAME:
                check_file_name((await reader.document()).get("path"))
            case Restriction.OWN_SOURCE:
                allowed = Allowed(self.artifact_root, self.shared, narrowed_to=sources)
                await self._check_source(reader, workspace, allowed=allowed)
            case Restriction.UPSTREAM_PATH:
                check_upstream_path(reader.match.parameters["path"])
            case Restriction.NO_GLOBAL_BUDGET:
                await _check_budget(reader)
            case Restriction.ARTIFACT_ROOT:
                if self.roots is not None and workspace is not None:
                    await self.roots.check(workspace)
            case Restriction.NO_SCHEDULE_TAG:
                _check_schedule(await reader.document())
            case Restriction.NO_GATEWAY_TAG:
                await check_tags(reader)
            case Restriction.NO_GATEWAY_TRACE:
                await check_trace(reader, self.store, workspace=workspace)

    async def _check_artifact(self, path: str, reader: RequestReader, *, workspace: str | None) -> None:
        """Check that an artifact path lies in an experiment of the workspace: MLflow looks for none."""
        place = place_at_path(path, workspace=workspace)
        if place.of_skills:
            await self._check_skill(place.skill, reader, workspace=workspace)
            return
        if self.store is None or await self.store.experiments_at(place, workspace=workspace or ""):
            return
        whose = "this server" if workspace is None else f"workspace '{workspace}'"
        if place.segments and _EXPERIMENT_ID.fullmatch(place.segments[0]):
            raise MissingError(f"The experiment of this artifact path is not in {whose}.")
        raise ForbiddenError(
            f"This artifact path lies in no experiment of {whose}: it must begin with the recorded artifact "
            "location of one."
        )

    async def _check_skill(self, name: str | None, reader: RequestReader, *, workspace: str | None) -> None:
        """Check that the content of a skill is of one that exists, and is only read."""
        policy = reader.match.route.policy
        if not (isinstance(policy, Guarded) and policy.reads):
            raise ForbiddenError("The content of a skill cannot be changed: register a new version of it.")
        if name is None:
            raise ForbiddenError("This artifact path holds several skills: name one of them.")
        if self.store is not None and not await self.store.named(
            Resource.SKILLS, [name], workspace=workspace or ""
        ):
            whose = "this server" if workspace is None else f"workspace '{workspace}'"
            raise MissingError(f"There is no skill '{name}' in {whose}.")

    async def _check_source(self, reader: RequestReader, workspace: str | None, *, allowed: Allowed) -> None:
        document = await reader.document()
        if "source" in document:
            await check_source(
                document["source"],
                allowed=allowed,
                workspace=workspace,
                store=self.store if reader.has_mlflow else None,
            )
        if self.store is not None and reader.has_mlflow and workspace is not None:
            await check_origin(reader, self.store, workspace=workspace)


def _check_schedule(document: Any) -> None:
    """A schedule starts jobs without a request, with a secret of its author's choice."""
    if any(begins_with_key(text, _SCHEDULE) for text in texts(document)):
        raise ForbiddenError(
            f"Tags that begin with {_SCHEDULE} are refused: they would start jobs on the MLflow server, and "
            "jobs have no identity yet with which they could be allowed."
        )


async def _check_budget(reader: RequestReader) -> None:
    """A budget of scope GLOBAL limits every workspace; protobuf takes an enumeration by number, too."""
    document = await reader.document()
    for field in spellings(_TARGET_SCOPE):
        if field in document and not (isinstance(document[field], str) and document[field] in _SCOPES):
            raise ForbiddenError(
                "A budget of this scope is refused: it would limit all workspaces. Set target_scope to "
                "WORKSPACE, ENDPOINT or USER."
            )
