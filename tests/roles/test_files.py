"""Generated files: what is in them, and that stale ones are noticed."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from workspace_authz.roles.__main__ import main
from workspace_authz.roles.files import rbac_files, stale
from workspace_authz.roles.generate import cluster_roles

ROOT = Path(__file__).parents[2]


def written(root: Path) -> Path:
    """A repository in which nothing is stale."""
    (root / "rbac").mkdir()
    assert main(["--root", str(root)]) == 0
    return root


def test_committed_roles_are_fresh() -> None:
    assert stale(ROOT, rbac_files()) == []


def test_kustomization_names_every_role() -> None:
    files = rbac_files()
    named = yaml.safe_load(files["rbac/kustomization.yaml"])["resources"]
    assert {f"rbac/{name}" for name in named} == {*files} - {"rbac/kustomization.yaml"}
    assert [yaml.safe_load(files[f"rbac/{name}"]) for name in named] == cluster_roles()


def test_writing_makes_everything_fresh(tmp_path: Path) -> None:
    root = written(tmp_path)
    assert main(["--check", "--root", str(root)]) == 0
    assert {str(file.relative_to(root)) for file in root.glob("rbac/*")} == rbac_files().keys()


@pytest.mark.parametrize("path", ["rbac/mlflow-edit.yaml", "rbac/kustomization.yaml"])
def test_check_names_a_stale_file_and_leaves_it_alone(
    path: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path) / path
    changed = file.read_text().replace("mlflow", "mlflower")
    file.write_text(changed)
    assert main(["--check", "--root", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"stale: {path} (make refresh)\n"
    assert file.read_text() == changed


def test_a_role_that_is_no_longer_generated_is_stale_and_removed(tmp_path: Path) -> None:
    stray = written(tmp_path) / "rbac" / "mlflow-old.yaml"
    stray.write_text("kind: ClusterRole\n")
    assert main(["--check", "--root", str(tmp_path)]) == 1
    assert main(["--root", str(tmp_path)]) == 0
    assert not stray.exists()
