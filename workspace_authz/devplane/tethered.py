"""Run a program that dies with its parent: ``python tethered.py PARENT_PID PROGRAM [ARGUMENT…]``.

Started as a script of its own, because between fork and exec of a process with threads no Python may
run (``preexec_fn``). Linux kills the program when the thread that started it ends; elsewhere there is
no such thing, and the program outlives a parent that was killed.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # prctl(2); outlives exec


def main() -> None:
    parent, program = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the request was made
            sys.exit(1)
    os.execv(program[0], program)  # noqa: S606  # that it is no shell is the point


if __name__ == "__main__":
    main()
