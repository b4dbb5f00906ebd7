"""The documents as programs: their fenced blocks in order, what the comments above them say, and their links.

A comment stands in the line above a block:

- ``<!-- run by FILE -->``: a test of its own runs it,
- ``<!-- not run: REASON -->``: it cannot run here; the reason is one of :data:`REASONS`,
- ``<!-- in the background -->``: a server, which the blocks after it use,
- ``<!-- refused: TEXT -->``: it must fail, and print the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
README: Final = ROOT / "README.md"
COMMANDED: Final = (
    "README.md",
    "docs/install.md",
    "docs/image.md",
    "docs/clients.md",
    "docs/workloads.md",
    "docs/identities.md",
    "docs/sign-in.md",
    "docs/ui.md",
    "docs/forward-auth.md",
    "docs/permissions.md",
    "docs/keys.md",
    "docs/settings.md",
    "docs/operations.md",
    "docs/storage.md",
    "docs/namespaces.md",
    "docs/isolation.md",
    "docs/migration.md",
    "docs/comparison.md",
    "docs/benchmarks.md",
    "docs/architecture.md",
    "CONTRIBUTING.md",
)
"""Every document with commands, in the order in which they run."""
DOCUMENTS: Final = (*COMMANDED, "CHANGELOG.md")

RUN_BY: Final = "run by "
NOT_RUN: Final = "not run: "
BACKGROUND: Final = "in the background"
REFUSED: Final = "refused: "

REASONS: Final = frozenset(
    {
        "needs a container engine and a registry",
        "needs nodes that run the pod",
        "needs Prometheus' operator",
        "the whole test suite, or changes the work tree",
    }
)
"""Why a command of the documents is not run by the tests: nothing else counts as a reason."""

COMMANDS: Final = frozenset({"sh", "python"})
SAMPLES: Final = frozenset({"text", "json", "yaml", "mermaid"})

_FENCE: Final = re.compile(
    r"^(?:<!-- (?P<comment>[^\n]*) -->\n)?```(?P<language>\w*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
_LINK: Final = re.compile(r"\]\(([^()\s]+)\)")
_HEADING: Final = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_NOT_IN_ANCHORS: Final = re.compile(r"[^\w\- ]")
_TESTS: Final = re.compile(r"\[((?:`test_\w+`(?:, )?)+)\]\(\.\./(tests/[\w/]+\.py)\)")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block. ``line`` is that of its first line of code."""

    file: str
    line: int
    language: str
    code: str
    comment: str

    @property
    def place(self) -> str:
        """Where it stands, for people."""
        return f"{self.file}, line {self.line}"

    @property
    def runs(self) -> bool:
        """Whether the test of the documents runs it in its script."""
        return self.language in COMMANDS and (not self.comment or self.comment.startswith(REFUSED))


def blocks(text: str, *, file: str) -> Sequence[Block]:
    """Every fenced block of a Markdown text."""
    return list(_blocks(text, file))


def _blocks(text: str, file: str) -> Iterator[Block]:
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start("code")) + 1
        yield Block(file, line, match["language"], match["code"], match["comment"] or "")


def links(text: str) -> Sequence[str]:
    """The targets of all links outside of fenced blocks."""
    return _LINK.findall(_FENCE.sub("", text))


def named_tests(text: str) -> Sequence[tuple[str, str]]:
    """The file and the name of each test that a text links to, as ``[`test_name`](../tests/file.py)``."""
    return [(file, name) for names, file in _TESTS.findall(text) for name in re.findall(r"\w+", names)]


def is_there(file: str, name: str) -> bool:
    """Whether a file of the repository defines the test."""
    return (ROOT / file).is_file() and f"def {name}(" in (ROOT / file).read_text()


def anchors(text: str) -> frozenset[str]:
    """The anchors of the headings outside of fenced blocks, as GitHub makes them."""
    found: list[str] = []
    for heading in _HEADING.findall(_FENCE.sub("", text)):
        plain = _NOT_IN_ANCHORS.sub("", heading.strip().lower()).replace(" ", "-")
        again = found.count(plain)
        found.append(f"{plain}-{again}" if again else plain)
    return frozenset(found)


def script(wanted: Sequence[Block]) -> str:
    """A bash script that runs the blocks in order and stops, naming the place, where one fails."""
    parts = ["set -Eeuo pipefail", "trap 'echo \"failed: $place\" >&2' ERR"]
    for block in wanted:
        code = f"python - <<'PYTHON'\n{block.code}PYTHON\n" if block.language == "python" else block.code
        if block.comment.startswith(REFUSED):
            code = _refused(code, block.comment.removeprefix(REFUSED))
        parts += [f"place='{block.place}'", code]
    return "\n".join(parts)


def _refused(code: str, text: str) -> str:
    """The code must fail, and say ``text``."""
    return f'if said=$({{\n{code}}} 2>&1); then false; fi\ngrep -F -q -e "{text}" <<<"$said"\n'
