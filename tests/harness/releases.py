"""The releases of MLflow that are supported. All but the usual one have an environment of their own."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

from tests.harness.processes import PROGRAMS, ROOT
from workspace_authz.catalog.model import Route

OLDEST: Final = "3.16"
USUAL: Final = "3.17"
NEWEST: Final = "3.18"


def programs_of(release: str) -> Path:
    """The programs of a release's environment, which is made when it is missing or stale."""
    if release == USUAL:
        return PROGRAMS
    subprocess.run([ROOT / "scripts" / "setup", f"mlflow-{release}"], check=True)
    return ROOT / f".venv-{release}" / "bin"


def release_of(programs: Path) -> str:
    """The opposite of :func:`programs_of`."""
    return USUAL if programs == PROGRAMS else programs.parent.name.removeprefix(".venv-")


def has(release: str, route: Route) -> bool:
    """Whether MLflow serves ``route`` in ``release``."""
    return _numbers(route.since or OLDEST) <= _numbers(release)


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(map(int, release.split(".")))
