"""What users of other platforms have: each capability has its answer in docs/install.md, and its test."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

import pytest

from tests.docs.markdown import ROOT, is_there, named_tests

HEADING = "## What your platform does today"
CAPABILITIES = {
    *(f"P{number}" for number in range(1, 38)),  # prokube
    *(f"B{number}" for number in range(1, 28)),  # buun-stack
    *(f"R{number}" for number in range(1, 25)),  # Red Hat OpenShift AI
}
_BY_COMMAND_LINE = re.compile(r"not yet\b[^|]*`[^`]+`", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table."""

    capabilities: tuple[str, ...]
    here: str
    shown: str

    @property
    def problem(self) -> str:
        """Why the row answers nothing; empty when all is well."""
        tests = named_tests(self.shown)
        if gone := [test for test in tests if not is_there(*test)]:
            return f"no such test: {gone}"
        if not tests and not _BY_COMMAND_LINE.search(self.here):
            return "neither a test nor 'not yet' with a command"
        return ""


def rows(text: str) -> list[Row]:
    """The rows of the table, without its head."""
    section = text.partition(HEADING)[2].partition("\n## ")[0]
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section.splitlines()
        if line.startswith("|")
    ]
    return [Row(tuple(re.findall(r"\w+", first)), here, shown) for first, _, here, shown in cells[2:]]


ROWS = rows((ROOT / "docs" / "install.md").read_text())


def test_every_capability_has_its_answer_once() -> None:
    given = Counter(name for row in ROWS for name in row.capabilities)
    assert set(given) == CAPABILITIES
    assert {name: count for name, count in given.items() if count > 1} == {}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "-".join(row.capabilities))
def test_an_answer_has_its_test_or_says_not_yet(row: Row) -> None:
    assert row.problem == ""


@pytest.mark.parametrize(
    ("here", "shown", "well"),
    [
        (
            "so it is",
            "[`test_every_capability_has_its_answer_once`](../tests/docs/test_capabilities.py)",
            True,
        ),
        ("so it is", "[`test_that_is_not_there`](../tests/docs/test_capabilities.py)", False),
        ("so it is", "tests/docs/test_capabilities.py", False),
        ("so it is", "", False),
        ("not yet", "", False),
        ("not yet: `kubectl apply -f more.yaml` does it", "", True),
    ],
)
def test_a_row_with_neither_is_noticed(here: str, shown: str, well: bool) -> None:
    (row,) = rows(
        f"{HEADING}\n\n| | there | here | shown by |\n|---|---|---|---|\n| P1 | x | {here} | {shown} |\n"
    )
    assert (row.problem == "") is well
