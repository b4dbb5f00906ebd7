"""How results are printed."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any


def print_json(document: Any) -> None:
    """One indented JSON document on standard output."""
    json.dump(document, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


def print_lines(lines: Sequence[str]) -> None:
    """Text on standard output, one per line."""
    sys.stdout.writelines(f"{line}\n" for line in lines)


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of equal length as lines, their columns aligned to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def note(text: str) -> None:
    """A remark for the person at the terminal, apart from the result."""
    sys.stderr.write(f"note: {text}\n")
