"""Output of results."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any


def print_json(document: Any) -> None:
    """Print ``document`` as indented JSON on standard output."""
    json.dump(document, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


def print_lines(lines: Sequence[str]) -> None:
    """Print each text on a line of its own on standard output."""
    sys.stdout.writelines(f"{line}\n" for line in lines)


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows as lines with columns aligned to the left. All rows must have the same length."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def note(text: str) -> None:
    """Print a remark on standard error, apart from the result."""
    sys.stderr.write(f"note: {text}\n")
