"""The artifact folder of a workspace: found below the root only, and emptied without touching a neighbour."""

from __future__ import annotations

from pathlib import Path

import pytest

from workspace_authz.errors import ConfigurationError
from workspace_authz.mlflow_adapter.store.artifact_folders import StoredFolder, workspace_folder


def put(root: Path, path: str) -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("content")
    return file


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_folder_is_emptied_and_removed(tmp_path: Path, scheme: str) -> None:
    """Given files of two workspaces and of the default one, then only the one's own go."""
    for path in ("1/a.txt", "1/deep/b.txt", ".artifact.uploading.x"):
        put(tmp_path, f"workspaces/team-a/{path}")
    kept = [put(tmp_path, path) for path in ("workspaces/team-ab/2/c.txt", "0/d.txt")]
    folder = workspace_folder(f"{scheme}{tmp_path}", "team-a")
    assert folder.entries() == [".artifact.uploading.x", "1"]
    for entry in folder.entries():
        folder.delete(entry)
    folder.close()
    assert not (tmp_path / "workspaces" / "team-a").exists()
    assert all(file.read_text() for file in kept)


def test_without_a_folder_there_is_nothing_to_do(tmp_path: Path) -> None:
    folder = workspace_folder(str(tmp_path), "team-a")
    assert folder.entries() == []
    folder.close()


def test_what_a_link_leads_to_stays(tmp_path: Path) -> None:
    kept = put(tmp_path, "elsewhere/important.txt")
    inside = put(tmp_path, "root/workspaces/team-a/1/a.txt").parent.parent
    (inside / "link").symlink_to(kept.parent)
    folder = workspace_folder(str(tmp_path / "root"), "team-a")
    for entry in folder.entries():
        folder.delete(entry)
    assert kept.exists()
    assert list(inside.iterdir()) == []


@pytest.mark.parametrize("linked", ["workspaces", "workspaces/team-a"])
def test_a_folder_that_lies_elsewhere_is_refused(tmp_path: Path, linked: str) -> None:
    put(tmp_path, "elsewhere/team-a/1/important.txt")
    link = tmp_path / "root" / linked
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match="left alone"):
        workspace_folder(str(tmp_path / "root"), "team-a")


@pytest.mark.parametrize(
    "name", ["..", ".", "", "a/b", "team-a/", "TEAM", "default", "team_a", "-a", "a" * 64]
)
def test_a_name_that_is_no_namespaces_has_no_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError):
        workspace_folder(str(tmp_path), name)


@pytest.mark.parametrize("root", ["mlflow-artifacts:/", "https://mlflow.example.com", "http://x/api"])
def test_a_server_is_no_place_of_artifacts(root: str) -> None:
    with pytest.raises(ConfigurationError, match="not the server"):
        workspace_folder(root, "team-a")


def test_an_object_store_is_asked_for_the_same_folder() -> None:
    assert workspace_folder("s3://bucket/root/", "team-a") == StoredFolder(
        "s3://bucket/root/workspaces/team-a"
    )
