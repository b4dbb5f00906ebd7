"""MLflow's artifact proxy. Every path lies in the recorded location of an experiment, or below ``skills``.

FastAPI serves upload and download and ignores ``--static-prefix`` (``artifact_router.py``). Flask serves the
same two below the prefix. A path without an experiment has no RBAC name, so it needs the broad right.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from workspace_authz.catalog.build import (
    all_of,
    at_path,
    experiments,
    path,
    query,
    restricted,
    right,
    rpc,
)
from workspace_authz.catalog.model import Guarded, Identifier, Mount, NameSource, Restriction, Route, Server
from workspace_authz.types import Resource, Verb

_ARTIFACTS: Final = "2.0/mlflow-artifacts/artifacts"
_ARTIFACT: Final = f"{_ARTIFACTS}/{{artifact_path:path}}"
_UPLOADS: Final = "2.0/mlflow-artifacts/mpu"


def _read(name: NameSource) -> Guarded:
    """The right on the experiment or on the skill in whose folder the path lies: one of the two, always.

    The content of skills is only read.
    """
    skill = replace(name, identifies=Identifier.SKILL_PATH)
    return all_of(experiments(Verb.GET, name), right(Verb.GET, Resource.SKILLS, skill, when_present=True))


_PATH: Final = path("artifact_path", Identifier.ARTIFACT_PATH)
_GET: Final = _read(_PATH)
_UPDATE: Final = experiments(Verb.UPDATE, _PATH)

_TRANSFER_ROUTES: Final[tuple[Route, ...]] = tuple(
    route
    for base in ("api", "ajax-api")
    for method, operation, rule in (("GET", "DownloadArtifact", _GET), ("PUT", "UploadArtifact", _UPDATE))
    for route in at_path(
        method, f"/{base}/{_ARTIFACT}", operation, rule, server=Server.FASTAPI, mount=Mount.BOTH
    )
)

_UPLOAD_ROUTES: Final[tuple[Route, ...]] = restricted(
    Restriction.FILE_NAME,
    (
        *rpc("POST", f"{_UPLOADS}/create/{{artifact_path:path}}", "CreateMultipartUpload", _UPDATE),
        *rpc("POST", f"{_UPLOADS}/complete/{{artifact_path:path}}", "CompleteMultipartUpload", _UPDATE),
        *rpc("POST", f"{_UPLOADS}/abort/{{artifact_path:path}}", "AbortMultipartUpload", _UPDATE),
    ),
)

_PATH_ROUTES: Final[tuple[Route, ...]] = (
    *_TRANSFER_ROUTES,
    *_UPLOAD_ROUTES,
    *rpc("DELETE", _ARTIFACT, "DeleteArtifact", _UPDATE),
    *rpc("GET", "2.0/mlflow-artifacts/presigned/{artifact_path:path}", "GetPresignedDownloadUrl", _GET),
)

ROUTES: Final[tuple[Route, ...]] = (
    *restricted(Restriction.OWN_ARTIFACT, _PATH_ROUTES),
    *restricted(
        Restriction.OWN_ARTIFACT_LIST,
        rpc(
            "GET",
            _ARTIFACTS,
            "ListArtifactsMlflowArtifacts",
            _read(query("path", Identifier.ARTIFACT_PATH)),
        ),
    ),
)
