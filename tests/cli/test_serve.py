"""What stops ``workspace-authz serve`` before it serves; tests/scenarios runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from workspace_authz.cli.main import main

URL = ("WORKSPACE_AUTHZ_MLFLOW_URL", "http://mlflow.mlflow.svc:5000")
ADDRESSES = "WORKSPACE_AUTHZ_FORWARD_AUTH_ADDRESSES"
SECRET = "WORKSPACE_AUTHZ_FORWARD_AUTH_SECRET_FILE"


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ((), "WORKSPACE_AUTHZ_MLFLOW_URL must be"),
        ((("WORKSPACE_AUTHZ_MLFLOW_URL", "mlflow:5000"),), "WORKSPACE_AUTHZ_MLFLOW_URL must be"),
        ((("WORKSPACE_AUTHZ_MLFLOW_URL", "http://user:word@mlflow"),), "WORKSPACE_AUTHZ_MLFLOW_URL must be"),
        ((URL,), "No proxy could prove"),
        ((URL, (ADDRESSES, "10.0.0.0/33")), "no address or network"),
        ((URL, (SECRET, "/no/such/file")), f"{SECRET} cannot be read"),
    ],
)
def test_a_setting_that_is_wrong_stops_it_in_one_sentence(
    variables: tuple[tuple[str, str], ...],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in variables:
        monkeypatch.setenv(name, value)
    assert main(["serve"]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert "word" not in error.replace("WORKSPACE", "")


def test_a_short_secret_stops_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "secret"
    file.write_text("short\n")
    monkeypatch.setenv(*URL)
    monkeypatch.setenv(SECRET, str(file))
    assert main(["serve"]) == 2
    assert f"{SECRET} must hold" in capsys.readouterr().err


def test_it_needs_a_worker(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--workers", "0"]) == 2
    assert "--workers" in capsys.readouterr().err
