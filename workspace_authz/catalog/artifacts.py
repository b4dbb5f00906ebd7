"""MLflow's artifact proxy. Every path lies in the recorded location of an experiment.

FastAPI serves upload and download and ignores ``--static-prefix`` (``artifact_router.py``). Flask serves the
same two below the prefix. A path without an experiment has no RBAC name, so it needs the broad right.
"""

from __future__ import annotations

from typing import Final

from workspace_authz.catalog.build import at_path, experiments, path, query, restricted, rpc
from workspace_authz.catalog.model import Identifier, Mount, Restriction, Route, Server
from workspace_authz.types import Verb

_ARTIFACTS: Final = "2.0/mlflow-artifacts/artifacts"
_ARTIFACT: Final = f"{_ARTIFACTS}/{{artifact_path:path}}"
_UPLOADS: Final = "2.0/mlflow-artifacts/mpu"
_GET: Final = experiments(Verb.GET, path("artifact_path", Identifier.ARTIFACT_PATH))
_UPDATE: Final = experiments(Verb.UPDATE, path("artifact_path", Identifier.ARTIFACT_PATH))

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
            experiments(Verb.GET, query("path", Identifier.ARTIFACT_PATH)),
        ),
    ),
)
