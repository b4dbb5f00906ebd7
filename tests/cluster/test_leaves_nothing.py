"""Whatever ends a cluster, the machine is as it was: processes, mounts, network, cgroups, kernel."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster import inside, machine
from tests.cluster.machine import Cluster
from tests.harness.processes import ROOT, clean_environment

_SECONDS = 400.0


def left(of: str) -> list[str]:
    """Mounts and processes that name this."""
    mounts = [line for line in Path("/proc/mounts").read_text().splitlines() if of in line]
    processes = [str(file.parent) for file in Path("/proc").glob("[0-9]*/cmdline") if of in _read(file)]
    return [*mounts, *processes]


def interfaces() -> list[str]:
    """Of the machine itself."""
    return sorted(os.listdir("/sys/class/net"))


def _read(file: Path) -> str:
    try:
        return file.read_bytes().decode(errors="replace")
    except OSError:
        return ""


def cgroups(pid: int) -> list[Path]:
    """Those that the cluster of this process made."""
    found = (hierarchy / f"workspace-authz-{pid}" for hierarchy in inside.cgroup_hierarchies())
    return [path for path in found if path.exists()]


def until(look: Callable[[], bool], *, what: str) -> None:
    """Wait for it."""
    deadline = time.monotonic() + _SECONDS
    while not look():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


@contextmanager
def cluster_by_hand(log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """``python -m tests.cluster`` without images, once it is ready."""
    environment = {**clean_environment(), "CLUSTER_IMAGES": "", "TMPDIR": str(log.parent)}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.cluster"], cwd=ROOT, env=environment, stdout=output, stderr=output
        )
    try:
        until(
            lambda: b"kubectl:" in log.read_bytes() or process.poll() is not None, what="it never got ready"
        )
        assert process.poll() is None, log.read_text()
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def directory() -> Iterator[Path]:
    """A short path: the kubelet's sockets lie below it."""
    with tempfile.TemporaryDirectory(prefix="by-hand-", ignore_cleanup_errors=True) as made:
        yield Path(made)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_of_a_cluster_that_was_ended(
    cluster: Cluster, directory: Path, how: signal.Signals
) -> None:
    before = machine.kernel_parameters(), interfaces()
    with cluster_by_hand(directory / "log") as process:
        made = cgroups(process.pid)
        process.send_signal(how)
        process.wait()
        until(lambda: not left(str(directory)), what=f"left: {left(str(directory))}")

        if how is signal.SIGKILL:  # nobody was left to do it; the next cluster does
            machine.remove_cgroups_of_the_dead()
        assert made
        assert cgroups(process.pid) == []
        assert (machine.kernel_parameters(), interfaces()) == before


def test_the_kubelet_sets_nothing_for_the_whole_machine(cluster: Cluster) -> None:
    seen = {name: cluster.inside("cat", f"/proc/sys/{name}").strip() for name in cluster.kernel}

    assert (seen["vm/overcommit_memory"], seen["kernel/panic"]) == ("1", "10")
    assert machine.kernel_parameters() == cluster.kernel
