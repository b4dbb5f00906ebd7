"""The memory of a worker's copy of the cluster: 10,000 namespaces and 20,000 RoleBindings.

``python -m bench.memory URL`` measures it in a process of its own. It prints the MiB of resident memory that
watching the cluster adds to the imports and the connection, and the seconds until the lists are complete.
"""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import time
from pathlib import Path

from bench.large_cluster import NAMESPACES, ROLE_BINDINGS_EACH, large_cluster_api
from bench.options import Options
from bench.report import head, row, spread
from bench.testbed import Testbed
from workspace_authz.aio.clock import SystemClock
from workspace_authz.authorizer.generations import Generations
from workspace_authz.authorizer.rbac.index import RbacIndex
from workspace_authz.authorizer.rbac.watcher import RbacWatcher
from workspace_authz.kubernetes.configuration import ApiConfiguration
from workspace_authz.kubernetes.connection import server_connection
from workspace_authz.workspaces.directory import Directory
from workspace_authz.workspaces.policy import NamespacePolicy


def run(testbed: Testbed, options: Options) -> None:
    """Print a table."""
    with large_cluster_api() as url:
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
        NAMESPACES * ROLE_BINDINGS_EACH,
        spread(mebibytes, digits=1),
        spread(seconds),
    )


async def _follow(url: str) -> None:
    connection = server_connection(ApiConfiguration(url))
    generations, clock = Generations(time.monotonic), SystemClock()
    directory = Directory(connection, NamespacePolicy(), clock=clock)
    watcher = RbacWatcher(connection, generations=generations, index=RbacIndex(), clock=clock)
    before, begun = _resident(), time.perf_counter()
    tasks = [asyncio.create_task(directory.run()), asyncio.create_task(watcher.run())]
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
