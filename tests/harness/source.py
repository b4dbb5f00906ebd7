"""The project's own source files, for tests of their shape."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

PACKAGE: Final = Path(__file__).parents[2] / "workspace_authz"


def modules() -> Iterator[tuple[str, Path]]:
    """Each module of the package: its path below the package without suffix, and its file."""
    for file in sorted(PACKAGE.rglob("*.py")):
        yield file.relative_to(PACKAGE).with_suffix("").as_posix(), file


def room_of(module: str) -> str:
    """The package directly below ``workspace_authz`` that holds ``module``, or the module itself."""
    return module.partition("/")[0]
