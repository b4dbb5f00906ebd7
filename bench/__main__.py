"""``python -m bench [part …]``: the cost and the speed of the guard, as ratios within one run.

Every part prints Markdown tables. Servers have one worker, SQLite and local artifacts, and run on the same
machine as their clients.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench import (
    cold,
    cpu,
    flood,
    guard,
    history,
    interference,
    invalidation,
    memory,
    people,
    search,
    startup,
    warm,
    workspaces,
)
from bench.options import Options
from bench.report import machine
from bench.testbed import Testbed

PARTS = {
    "warm": warm.run,
    "cpu": cpu.run,
    "guard": guard.run,
    "history": history.run,
    "cold": cold.run,
    "workspaces": workspaces.run,
    "search": search.run,
    "interference": interference.run,
    "startup": startup.run,
    "memory": memory.run,
    "people": people.run,
    "invalidation": invalidation.run,
    "flood": flood.run,
}


def main() -> None:
    """Run the parts that the command line names, or all but the longest."""
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
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # runs the cleanup of everything that was started
    options = Options(
        engine=given.engine,
        rounds=given.rounds,
        seconds=given.seconds,
        clients=tuple(given.clients),
        namespaces=given.namespaces,
    )
    print(f"{machine()}, {options.engine}; {options.rounds} rounds of {options.seconds:g} s")
    for name in given.part or [name for name in PARTS if name != "flood"]:  # it takes long
        with tempfile.TemporaryDirectory(prefix="bench-") as directory, ExitStack() as stack:
            PARTS[name](Testbed(stack, Path(directory), options.engine), options)


if __name__ == "__main__":
    main()
