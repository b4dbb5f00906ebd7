"""README.md as a program: its fenced blocks, in order, with what the comments above them say.

The comments are ``<!-- run by FILE -->``, ``<!-- not run: REASON -->`` and ``<!-- in the background -->``
(a server, which the following blocks use).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"

RUN_BY = "run by "
NOT_RUN = "not run: "
BACKGROUND = "in the background"

COMMANDS = frozenset({"sh", "python"})
SAMPLES = frozenset({"text", "json"})

_FENCE = re.compile(
    r"^(?:<!-- (?P<comment>[^\n]*) -->\n)?```(?P<language>\w*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block."""

    line: int
    language: str
    code: str
    comment: str

    @property
    def runs(self) -> bool:
        """Whether the test of the README runs it."""
        return self.language in COMMANDS and not self.comment


def blocks(text: str) -> Sequence[Block]:
    """Every fenced block of a Markdown text."""
    return list(_blocks(text))


def _blocks(text: str) -> Iterator[Block]:
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start("code"))
        yield Block(line, match["language"], match["code"], match["comment"] or "")


def script(wanted: Sequence[Block]) -> str:
    """A bash script that runs the blocks in order and stops, naming the line, where one fails."""
    parts = ["set -Eeuo pipefail", "trap 'echo \"failed: README.md, line $line\" >&2' ERR"]
    for block in wanted:
        code = f"python - <<'PYTHON'\n{block.code}PYTHON\n" if block.language == "python" else block.code
        parts += [f"line={block.line}", code]
    return "\n".join(parts)
