"""A clock of its own for a process and all that it starts, by libfaketime: https://github.com/wolfcw/libfaketime.

Skips the test (in CI fails it) when it is not installed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.harness.missing import missing


@dataclass(frozen=True, slots=True)
class FakeClock:
    """Goes as the machine's own, some seconds ahead of it or behind."""

    file: Path
    environment: Mapping[str, str]
    """For the process."""

    def jump(self, seconds: int) -> None:
        """From now on be so far ahead of the machine's. The process sees it within a second."""
        new = self.file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.replace(self.file)


def fake_clock(state: Path, *, monotonic: bool) -> FakeClock:
    """A clock that has not jumped yet. Not ``monotonic``: only the time of day jumps, as when it is set."""
    file = state / "clock"
    environment = {
        "LD_PRELOAD": str(_library()),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_CACHE_DURATION": "1",
        **({} if monotonic else {"FAKETIME_DONT_FAKE_MONOTONIC": "1"}),
    }
    clock = FakeClock(file, environment)
    clock.jump(0)
    return clock


def _library() -> Path:
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        reason = "libfaketime is not installed: apt-get install faketime"
        missing(reason)
    return found[0]
