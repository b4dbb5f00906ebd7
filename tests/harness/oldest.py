"""The oldest MLflow that is supported, in an environment of its own (``requirements/mlflow-3.16.txt``)."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.harness.processes import ROOT

OLDEST = "3.16"


def oldest_programs() -> Path:
    """The programs of that environment, which is made when it is missing or stale."""
    subprocess.run([ROOT / "scripts" / "setup", f"mlflow-{OLDEST}"], check=True)
    return ROOT / f".venv-{OLDEST}" / "bin"
