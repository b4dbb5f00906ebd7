"""``workspace-authz login`` as a process, and somebody who does what it says."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.harness.processes import ROOT, clean_environment, script

_SECONDS: Final = 120.0


def log_in(*arguments: str, follow: Sequence[Callable[[str], None]], environment: Mapping[str, str]) -> str:
    """Run the command; each of ``follow`` gets a line that it says. Returns what it printed at its end.

    No browser is opened. Raises ``AssertionError`` when the login fails.
    """
    command: list[str | Path] = [script("workspace-authz"), "login", *arguments]
    variables = {**clean_environment(), **environment, "BROWSER": "true", "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=variables
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        stop = threading.Timer(_SECONDS, process.kill)
        stop.start()
        try:
            for each in follow:
                each(process.stderr.readline().strip())
            printed, errors = process.stdout.read(), process.stderr.read()
        except BaseException:
            process.kill()
            raise
        finally:
            stop.cancel()
    assert process.returncode == 0, errors
    return printed
