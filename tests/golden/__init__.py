"""Texts that are committed and compared: a change of meaning is a visible diff.

``REFRESH_GOLDEN=1 pytest`` writes them again.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path

import pytest


def check(name: str, text: str, *, directory: Path = Path(__file__).parent) -> None:
    """Fail, with a diff, unless the golden file ``name`` holds ``text``; with REFRESH_GOLDEN=1 write it."""
    golden = directory / name
    if os.environ.get("REFRESH_GOLDEN") == "1":
        golden.write_text(text, encoding="utf-8")
        return
    committed = golden.read_text(encoding="utf-8") if golden.exists() else ""
    if committed != text:
        changes = difflib.unified_diff(
            committed.splitlines(), text.splitlines(), "committed", "now", lineterm="", n=0
        )
        pytest.fail(
            f"{golden} differs; if that is meant: REFRESH_GOLDEN=1\n" + "\n".join(changes), pytrace=False
        )
