"""``python -m bench [part …]``: what the guard costs and how fast it is, as ratios within one run.

Every part prints Markdown tables. Servers have one worker, SQLite and local artifacts, on the same machine
as their clients.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench import alone, cold, cpu, flood, invalidation, memory, others, search, startup, warm, workspaces
from bench.options import Options
from bench.report import machine
from bench.stage import Stage

PARTS = {
    "warm": warm.run,
    "cpu": cpu.run,
    "alone": alone.run,
    "cold": cold.run,
    "workspaces": workspaces.run,
    "search": search.run,
    "others": others.run,
    "startup": startup.run,
    "memory": memory.run,
    "invalidation": invalidation.run,
    "flood": flood.run,
}


def main() -> None:
    """Run the parts of the command line, or all."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument(
        "part", nargs="*", choices=[*PARTS, []], default=[], metavar="part", help=", ".join(PARTS)
    )
    parser.add_argument("--engine", default="kube-apiserver", choices=["kube-apiserver", "embedded"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each burst")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--namespaces", type=int, default=1000, help="in lists of workspaces")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started ends with this process
    options = Options(given.engine, given.rounds, given.seconds, tuple(given.clients), given.namespaces)
    print(f"{machine()}, {options.engine}; {options.rounds} rounds of {options.seconds:g} s")
    for name in given.part or [name for name in PARTS if name != "flood"]:  # which takes long
        with tempfile.TemporaryDirectory(prefix="bench-") as directory, ExitStack() as stack:
            PARTS[name](Stage(stack, Path(directory), options.engine), options)


if __name__ == "__main__":
    main()
