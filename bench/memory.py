"""What a worker's copy of the cluster takes: 10,000 namespaces and 20,000 bindings, in a process of its own.

``python -m bench.memory URL`` is that process. It prints the MiB of resident memory that following the
cluster adds to what the imports and the connection take.
"""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import time
from pathlib import Path

from bench.crowd import BINDINGS_EACH, NAMESPACES, crowded_api
from bench.options import Options
from bench.report import head, row, spread
from bench.stage import Stage
from workspace_authz.aio.clock import SystemClock
from workspace_authz.authorizer.generations import Generations
from workspace_authz.authorizer.rbac.index import RbacIndex
from workspace_authz.authorizer.rbac.watcher import RbacWatcher
from workspace_authz.kubernetes.configuration import ApiConfiguration
from workspace_authz.kubernetes.connection import server_connection
from workspace_authz.workspaces.directory import Directory
from workspace_authz.workspaces.policy import NamespacePolicy


def run(stage: Stage, options: Options) -> None:
    """Print a table."""
    with crowded_api() as url:
        command = (sys.executable, "-m", "bench.memory", url)
        found = [
            [float(word) for word in subprocess.check_output(command, text=True).split()]
            for _ in range(options.rounds)
        ]
    head("memory", "namespaces", "bindings", "MiB per worker", "seconds until followed")
    mebibytes, seconds = zip(*found, strict=True)
    row(
        "directory and RBAC",
        NAMESPACES,
        NAMESPACES * BINDINGS_EACH,
        spread(mebibytes, digits=1),
        spread(seconds),
    )


async def _follow(url: str) -> None:
    connection = server_connection(ApiConfiguration(url))
    generations, clock = Generations(time.monotonic), SystemClock()
    directory = Directory(connection, NamespacePolicy(), clock=clock)
    follower = RbacWatcher(connection, generations=generations, index=RbacIndex(), clock=clock)
    before, begun = _resident(), time.perf_counter()
    tasks = [asyncio.create_task(directory.run()), asyncio.create_task(follower.run())]
    await directory.wait_synced()
    while generations.followed_since is None:  # noqa: ASYNC110 - nothing in the product waits for it
        await asyncio.sleep(0.01)
    taken = time.perf_counter() - begun
    gc.collect()
    print(_resident() - before, taken)
    assert len(directory.names()) == NAMESPACES
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await connection.close()


def _resident() -> float:
    """MiB (``/proc``, Linux)."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


if __name__ == "__main__":
    asyncio.run(_follow(sys.argv[1]))
