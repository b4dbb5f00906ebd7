"""``devplane``: the command itself; every other test uses one that it started."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.planes import Plane
from workspace_authz.roles.generate import cluster_roles


def test_it_holds_the_shipped_cluster_roles(run: Run, plane: Plane) -> None:
    found = {
        row["check"]: row
        for row in run("check", "--no-routes", "-o", "json", "--kubeconfig", plane.admin).json()
    }
    assert found["roles"]["level"] == "ok"
    assert all(role["metadata"]["name"] in found["roles"]["what"] for role in cluster_roles())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--state"),
        (("--state", "x", "--engine", "other"), "invalid choice: 'other'"),
        (("--state", "x", "surplus"), "too many arguments"),
    ],
)
def test_wrong_options(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("devplane", *arguments)
    assert (result.status, result.out) == (2, "")
    assert said in result.err
    assert list(tmp_path.iterdir()) == []
