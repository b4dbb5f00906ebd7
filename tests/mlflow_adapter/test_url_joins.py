"""How MLflow's SDK joins a tracking URI that ends in a workspace with the addresses of artifacts."""

from __future__ import annotations

from urllib.parse import quote, unquote, urlsplit

import pytest
from mlflow.store.artifact.mlflow_artifacts_repo import MlflowArtifactsRepository

from workspace_authz.workspaces.in_url import UrlWorkspace, workspace_in_url

ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"


def joined(artifact_uri: str, tracking_uri: str, *, static_prefix: str = "") -> UrlWorkspace | None:
    """What this server finds in the URL that the SDK makes, each file name as the SDK sends it."""
    raw_path = quote(urlsplit(MlflowArtifactsRepository.resolve_uri(artifact_uri, tracking_uri)).path)
    return workspace_in_url(unquote(raw_path), raw_path.encode(), static_prefix=static_prefix)


@pytest.mark.parametrize("end", ["", "/"])
@pytest.mark.parametrize("prefix", ["", "/mlflow"])
@pytest.mark.parametrize(
    "path",
    [
        "workspaces/team-a/1/run/artifacts",
        "workspaces/team-a/1/models/m-1/artifacts/a b",
        "1/run/artifacts",
        "prod/mlflow/1/run/artifacts",
    ],
)
@pytest.mark.parametrize("scheme", ["mlflow-artifacts:/", "mlflow-artifacts://mlflow.example.com/"])
def test_the_workspace_stays_where_it_is_found(scheme: str, path: str, prefix: str, end: str) -> None:
    found = joined(
        scheme + path, f"https://mlflow.example.com{prefix}/workspaces/team-a{end}", static_prefix=prefix
    )
    assert found is not None
    assert (found.name, found.path) == ("team-a", f"{prefix}{ARTIFACTS}/{path}")


@pytest.mark.parametrize("root", ["mlflow-artifacts:/", f"mlflow-artifacts:{ARTIFACTS}"])
def test_the_root_of_all_artifacts_loses_it(root: str) -> None:
    """MLflow joins the root without the tracking URI's path. The guard refuses to list it anyway."""
    assert joined(root, "https://mlflow.example.com/workspaces/team-a") is None
