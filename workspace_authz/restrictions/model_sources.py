"""Where a model version may come from: the runs, models and experiments of its workspace, and shared places.

MLflow (``handlers._create_model_version``) ties ``runs:``, ``models:`` and ``mlflow-artifacts:`` sources and
local paths to a run or model of the workspace, but takes any object store's address as it is, and later opens
it with the server's own credentials.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from workspace_authz.catalog.build import body
from workspace_authz.catalog.model import Identifier
from workspace_authz.errors import BadRequestError, ForbiddenError
from workspace_authz.mlflow_adapter.reading.places import HTTP, PROXIED, Place, place_of, scheme_of
from workspace_authz.mlflow_adapter.reading.reader import Values
from workspace_authz.mlflow_adapter.reading.references import artifact_place, is_place, references
from workspace_authz.mlflow_adapter.store.protocol import ObjectStore
from workspace_authz.restrictions.shared_sources import SharedSources
from workspace_authz.types import Resource
from workspace_authz.workspaces.namespace import SOURCES_ANNOTATION

_RUN: Final = body("run_id", Identifier.RUN_ID)
_MODEL: Final = body("model_id", Identifier.LOGGED_MODEL_ID)
_SOURCE: Final = body("source", Identifier.MODEL_SOURCE_URI)
_DEFAULT: Final = "default"
_OWN: Final = (
    "The source of a model version must be a run, a model or an artifact of its own workspace: "
    "runs:/…, models:/… or a place in one of its experiments."
)
NONE_SHARED: Final = SharedSources()


@dataclass(frozen=True, slots=True)
class Allowed:
    """Where the source of a model version may lie, apart from the experiments of its workspace."""

    artifact_root: str | None = None
    """The server's default artifact root."""
    shared: SharedSources = NONE_SHARED
    """What the operator allows."""
    narrowed_to: str | None = None
    """What the annotation of the namespace leaves of it; None leaves all."""


async def check_source(
    source: object, *, allowed: Allowed, workspace: str | None, store: ObjectStore | None
) -> None:
    """Check a model version's ``source``: files must lie in an experiment of the workspace, or be shared.

    ``workspace`` is None on a server without workspaces; ``store`` is None where no MLflow is at hand. Raises
    :class:`BadRequestError` or :class:`ForbiddenError`.
    """
    if not isinstance(source, str):
        raise BadRequestError("The source of a model version must be a text.")
    place = artifact_place(source, identifier=_SOURCE.identifies, workspace=workspace)
    if place is None or allowed.shared.narrowed(allowed.narrowed_to).hold(source):
        return
    owned = store is not None and bool(await store.experiments_at(place, workspace=workspace or ""))
    if store is not None and not owned:
        raise _elsewhere(allowed)
    scheme = scheme_of(source)
    if scheme == PROXIED or (scheme in HTTP and _same_server(source, allowed.artifact_root)):
        return
    # Without workspaces a client may choose the location of an experiment: there it proves nothing.
    recorded = owned and workspace is not None and scheme not in HTTP
    root = allowed.artifact_root
    if not recorded and not (root and _within(place, root=root, workspace=workspace)):
        raise _elsewhere(allowed)


async def check_origin(values: Values, store: ObjectStore, *, workspace: str) -> None:
    """Check that the run and the logged model from which a version comes are of ``workspace``.

    MLflow 3.17 compares ``runs:`` and ``models:`` sources with the ids beside them, 3.16 with nothing, and
    neither looks for what they name before it is read. Raises :class:`ForbiddenError`.
    """
    wanted = [
        (source.identifies, value)
        for source in (_RUN, _MODEL)
        for value in await values.values(source, complete=False)
    ]
    for uri in await values.values(_SOURCE, complete=False):
        if not is_place(uri):
            wanted += references(uri, resource=Resource.EXPERIMENTS, identifier=_SOURCE.identifies)
    for identifier, key in wanted:
        if not await store.names(
            [key], resource=Resource.EXPERIMENTS, identifier=identifier, workspace=workspace
        ):
            raise ForbiddenError(_OWN)


def _same_server(source: str, root: str | None) -> bool:
    """Whether both are artifacts of one MLflow server, by HTTP."""
    return bool(root) and (urlsplit(source)[:2] == urlsplit(root)[:2])


def _within(place: Place, *, root: str, workspace: str | None) -> bool:
    """Whether ``place`` lies in the part of ``root`` that MLflow gives to the workspace."""
    outer = place_of(root, workspace=workspace)
    if not place.lies_in(outer):
        return False
    inner = place.segments[len(outer.segments) :]
    if workspace not in (None, _DEFAULT):
        return inner[:2] == ("workspaces", workspace) and len(inner) > 2
    # The workspace "default" keeps MLflow's old layout, beside the folder "workspaces".
    return bool(inner) and re.fullmatch("[0-9]+", inner[0]) is not None


def _elsewhere(allowed: Allowed) -> ForbiddenError:
    """Says where a model can be registered from, or who can allow more."""
    shared = allowed.shared.narrowed(allowed.narrowed_to)
    if shared.prefixes:
        more = f" Beside these, it may lie below {shared}."
    elif allowed.shared.prefixes:
        more = f" The annotation {SOURCES_ANNOTATION} of the namespace allows no other place."
    else:
        more = ""
    return ForbiddenError(
        f"{_OWN}{more} Log the model to a run first, or ask an administrator of the server to allow its "
        "place with WORKSPACE_AUTHZ_MODEL_SOURCES."
    )
