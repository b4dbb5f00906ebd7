"""A service account's files are where MLflow looks for them, or MLflow is told where they are."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow.tracking.request_auth import kubernetes_request_auth_provider as provider

from workspace_authz.apps.demo import pod
from workspace_authz.apps.demo.steps.serving import use_account_files

# Stands for the person's process: reads the token as MLflow would, or from where it is told.
READER = """
import sys
from pathlib import Path
from workspace_authz.apps.demo.pod import ACCOUNT_FILES
directory = Path(sys.argv[2]) if sys.argv[1:2] == ["--account-files"] else ACCOUNT_FILES
print((directory / "token").read_text(), (directory / "namespace").read_text())
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    directory = tmp_path / "pod"
    directory.mkdir()
    (directory / "token").write_text("trainer's token")
    (directory / "namespace").write_text("team-a")
    return directory


def test_they_are_those_that_mlflow_reads() -> None:
    assert provider._SERVICE_ACCOUNT_TOKEN_PATH == pod.ACCOUNT_FILES / "token"
    assert provider._SERVICE_ACCOUNT_NAMESPACE_PATH == pod.ACCOUNT_FILES / "namespace"


def test_the_persons_process_finds_them_and_nobody_else(files: Path, tmp_path: Path) -> None:
    (tmp_path / "reader.py").write_text(READER)
    before = pod.ACCOUNT_FILES.exists()

    done = subprocess.run(
        [sys.executable, "-m", "workspace_authz.apps.demo.pod", str(files), "reader"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "trainer's token team-a\n"
    assert pod.ACCOUNT_FILES.exists() == before


def test_where_the_kernel_forbids_mounts_the_process_is_told(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def forbidden(flags: int) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    commands: list[list[str]] = []
    monkeypatch.setattr(pod, "_unshare", forbidden)
    monkeypatch.setattr(os, "execv", lambda program, command: commands.append(command))
    monkeypatch.setattr(sys, "argv", ["pod", str(files), "reader"])

    pod.main()

    assert commands == [[sys.executable, "-m", "reader", "--account-files", str(files)]]
    assert "cannot be mounted: [Errno 1] Operation not permitted" in capsys.readouterr().err


def test_mlflow_takes_the_files_from_where_it_is_told(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_SERVICE_ACCOUNT_TOKEN_PATH", "_SERVICE_ACCOUNT_NAMESPACE_PATH"):
        monkeypatch.setattr(provider, name, getattr(provider, name))  # so that it is put back

    use_account_files(files)

    assert provider._get_token() == "Bearer trainer's token"
    assert provider._get_namespace() == "team-a"
