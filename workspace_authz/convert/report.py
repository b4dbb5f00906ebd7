"""What became of each row, for people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from workspace_authz.convert.source import Row

_MOST_ROWS: Final = 20
"""Rows of one reason that are listed; the rest is counted, unless all are wanted."""


class Fate(StrEnum):
    """What became of a row. In rising order of concern."""

    WRITTEN = "written"
    ABOUT = "written, approximately"
    OUT = "not written"
    MORE = "gives more than before"


HEADINGS: Final[Mapping[Fate, str]] = {
    Fate.MORE: "SOMEBODY MAY DO MORE THAN BEFORE",
    Fate.OUT: "NOT WRITTEN",
    Fate.ABOUT: "WRITTEN, BUT NOT QUITE THE SAME",
    Fate.WRITTEN: "WRITTEN",
}
_ORDER: Final = list(Fate)


@dataclass(slots=True)
class Report:
    """Collects what became of each row: a row may have several remarks, and the gravest counts."""

    remarks: dict[Fate, dict[str, dict[Row, None]]] = field(default_factory=dict)
    fates: dict[Row, Fate] = field(default_factory=dict)

    def note(self, row: Row, fate: Fate, *, why: str) -> None:
        """``row`` has this fate, because of ``why``."""
        self.remarks.setdefault(fate, {}).setdefault(why, {})[row] = None
        before = self.fates.get(row, Fate.WRITTEN)
        self.fates[row] = max(before, fate, key=_ORDER.index)

    def written(self, row: Row) -> None:
        """``row`` is in the objects as it was."""
        self.fates.setdefault(row, Fate.WRITTEN)

    def text(self, *, remarks: Iterable[str], every_row: bool = False) -> Sequence[str]:
        """The whole report, a line each."""
        counts: dict[Fate, int] = defaultdict(int)
        for fate in self.fates.values():
            counts[fate] += 1
        total = ", ".join(f"{counts[fate]} {fate}" for fate in Fate)
        text = [f"{len(self.fates)} rows: {total}."]
        for fate in (Fate.MORE, Fate.OUT, Fate.ABOUT):
            if fate in self.remarks:
                text += ["", HEADINGS[fate], *_grouped(self.remarks[fate], every_row=every_row)]
        return [*text, "", "TO KNOW", *(f"- {remark}" for remark in remarks)]


def _printable(text: str) -> str:
    """Names are others': they must not make further lines, or move a terminal's cursor."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def _grouped(reasons: Mapping[str, Mapping[Row, None]], *, every_row: bool) -> Iterable[str]:
    for why, rows in reasons.items():
        yield f"- {why}"
        shown = list(rows) if every_row or len(rows) <= _MOST_ROWS else list(rows)[: _MOST_ROWS - 1]
        for row in shown:
            yield f"    {row.table} {row.key}: {_printable(row.words)}"
        if len(shown) < len(rows):
            yield f"    and {len(rows) - len(shown)} more; --every-row names them"
