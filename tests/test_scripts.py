"""What the scripts ask of the machine is asked of the machine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

SCRIPTS = sorted(
    path
    for folder in ("scripts", "image")
    for path in (Path(__file__).resolve().parents[1] / folder).iterdir()
    if path.is_file() and path.read_text().startswith(("#!/bin/bash", "#!/usr/bin/env bash", "#!/bin/sh"))
)
FUNCTION = re.compile(r"^(\w+)\(\) ", re.MULTILINE)
COMMENT = re.compile(r"#.*")
ASKED = re.compile(r"command -v ([^>&|;)\n]+)")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_no_function_of_its_own_is_taken_for_a_program(script: Path) -> None:
    """``command -v`` finds functions too, and is content with one of several names."""
    text = COMMENT.sub("", script.read_text())
    asked = [names.split() for names in ASKED.findall(text)]
    assert [names for names in asked if len(names) > 1] == []
    assert {name for (name,) in asked} & set(FUNCTION.findall(text)) == set()
