"""Tests on the real control plane may be skipped on a laptop, never in CI."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.devplane.real import require_binaries


@pytest.fixture
def no_binaries(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setenv("WORKSPACE_AUTHZ_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    return monkeypatch


def test_without_binaries_a_laptop_skips_and_says_why(no_binaries: pytest.MonkeyPatch) -> None:
    no_binaries.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="make kube"):
        require_binaries()


def test_without_binaries_ci_fails(no_binaries: pytest.MonkeyPatch) -> None:
    no_binaries.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="make kube"):
        require_binaries()
