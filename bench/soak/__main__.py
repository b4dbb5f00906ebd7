"""``python -m bench.soak``: 200 clients, servers with four workers, RBAC that keeps changing; two minutes.

Each client knows at every moment what it may do; at half-time a real API server is frozen for a while. Ends
non-zero when something was allowed or refused too late, failed or hung, or when memory goes on growing.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench.report import machine
from bench.soak.administrator import administrator
from bench.soak.clients import Bounds
from bench.soak.outage import running_in
from bench.soak.report import tell
from bench.soak.run import Load, Outcome, Servers, soak
from bench.testbed import Testbed

_DEADLINE_SECONDS = 9.0
"""After which the server itself gives up."""


def main() -> None:
    """Run it and tell."""
    given = _arguments()
    load = Load(
        bounds=Bounds(stale=given.hard, answer=_DEADLINE_SECONDS + given.slack),
        seconds=given.seconds,
        clients=given.clients,
        teams=given.teams,
        pause=given.pause,
        quiet=given.quiet,
        gap=given.gap,
        growth=given.growth,
        seed=given.seed,
        freeze=given.freeze,
    )
    print(f"{machine()}, {given.engine}; {given.clients} clients for {given.seconds:g} s, seed {given.seed}")
    print(f"{given.replicas} × mlflow server with {given.workers} workers", flush=True)
    with tempfile.TemporaryDirectory(prefix="soak-") as directory, ExitStack() as stack:
        testbed = Testbed(stack, Path(directory), given.engine)
        outcome = asyncio.run(_run(testbed, load, replicas=given.replicas, workers=given.workers))
    tell(outcome, target=given.bound)
    sys.exit(1 if outcome.tally.violated else 0)


async def _run(testbed: Testbed, load: Load, *, replicas: int, workers: int) -> Outcome:
    servers = [await asyncio.to_thread(testbed.guarded, workers=workers) for _ in range(replicas)]
    urls, processes = zip(*((server.url, server.process.pid) for server in servers), strict=True)
    kubeconfig = Path(testbed.plane["admin_kubeconfig"])
    async with administrator(kubeconfig) as api:
        frozen = running_in(kubeconfig.parent.resolve())
        return await soak(api, Servers(urls, processes, control_plane=frozen), load)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--engine", default="kube-apiserver", choices=["kube-apiserver", "embedded"])
    parser.add_argument("--seconds", type=float, default=120.0, help="how long")
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--workers", type=int, default=4, help="of each server")
    parser.add_argument("--replicas", type=int, default=1, help="servers, each with a database of its own")
    parser.add_argument("--teams", type=int, default=4, help="namespaces for each kind of change")
    parser.add_argument("--pause", type=float, default=0.5, help="of a client, in seconds")
    parser.add_argument("--quiet", type=float, default=6.0, help="seconds between two waves of changes")
    parser.add_argument("--gap", type=float, default=0.1, help="seconds between two changes of a wave")
    parser.add_argument("--bound", type=float, default=0.25, help="the target for changes, in seconds")
    parser.add_argument("--hard", type=float, default=5.0, help="seconds after which an answer is a failure")
    parser.add_argument("--slack", type=float, default=6.0, help="seconds beyond the server's own deadline")
    parser.add_argument(
        "--growth", type=float, default=64.0, help="MiB that memory may grow in the second half"
    )
    parser.add_argument("--freeze", type=float, default=5.0, help="seconds without an API server; 0 for none")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
