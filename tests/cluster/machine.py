"""The cluster as tests and ``make cluster`` see it, from outside of its namespaces."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.cluster import inside
from tests.harness.processes import Running, running
from tests.manifests.kube import Kubectl
from workspace_authz.devplane import assets, tethered
from workspace_authz.errors import ConfigurationError

ROOT: Final = Path(__file__).parents[2]
_START_SECONDS: Final = 400.0
_CGROUP: Final = "workspace-authz-"
_CGROUP_SECONDS: Final = 20.0
_PROGRAMS: Final = ("containerd", "runc", "ctr", "ip", "unshare", "nsenter", "mount")
_NAMESPACES: Final = ("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster that runs."""

    state: Path
    process: Running
    kubectl: Kubectl
    kernel: Mapping[str, str]
    """The machine's parameters before it started."""

    def inside(self, *command: str) -> str:
        """The output of a command in the cluster's namespaces."""
        return subprocess.run(
            [*enter(self.process.process.pid), *command], check=True, capture_output=True, text=True
        ).stdout

    def add_image(self, archive: Path) -> None:
        """Let the node have an image."""
        self.inside("ctr", "-n", "k8s.io", "images", "import", str(archive))


def why_not() -> str | None:
    """What this machine lacks; None when pods can run."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "pods need Linux and root"
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if not Path("/usr/lib/cni/bridge").exists():
        missing.append("containernetworking-plugins")
    if missing:
        return f"not installed: {', '.join(missing)}"
    try:
        for name in ("kubelet", assets.ETCD, assets.APISERVER, assets.CONTROLLER_MANAGER, assets.KUBECTL):
            assets.find_binary(name)
    except ConfigurationError as error:
        return str(error)
    return _forbidden()


def _forbidden() -> str | None:
    """What the kernel, or whatever contains this machine, does not allow."""
    trial = "mount -t tmpfs t /mnt && mkdir /mnt/a /mnt/b /mnt/c /mnt/d && ip link add t0 type bridge"
    trial += " && mount -t overlay -o lowerdir=/mnt/a,upperdir=/mnt/b,workdir=/mnt/c o /mnt/d"
    done = subprocess.run([*_NAMESPACES, "sh", "-c", trial], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return f"namespaces, bridges or overlays are forbidden here: {done.stderr.strip()}"
    for hierarchy in inside.cgroup_hierarchies():
        try:
            probe = Path(tempfile.mkdtemp(prefix="workspace-authz.", dir=hierarchy))
        except OSError as error:
            return f"cgroups cannot be made here: {error}"
        probe.rmdir()
    return None


@contextmanager
def running_cluster(state: Path, *, images: Sequence[Path] = ()) -> Iterator[Cluster]:
    """A cluster whose node has ``images``, for as long as the block lasts. Nothing of it stays."""
    state.mkdir(parents=True, exist_ok=True)
    remove_cgroups_of_the_dead()
    kernel, cgroup = kernel_parameters(), f"/{_CGROUP}{os.getpid()}"
    program = [sys.executable, "-m", "tests.cluster.inside", str(state), cgroup, *map(str, images)]
    first = shutil.which(_NAMESPACES[0]) or _NAMESPACES[0]
    tether = [sys.executable, tethered.__file__, str(os.getpid()), first]
    command = [*tether, *_NAMESPACES[1:], *program]
    try:
        with running(command, log=state / "cluster.log") as process:
            process.wait_until(lambda: inside.READY in process.output.splitlines(), seconds=_START_SECONDS)
            yield Cluster(state, process, _kubectl(state, process.process.pid), kernel)
    finally:
        _remove_cgroups(cgroup.lstrip("/"))


def kernel_parameters() -> dict[str, str]:
    """What a kubelet sets for the whole machine."""
    return {name: Path("/proc/sys", name).read_text().strip() for name in inside.SYSCTLS}


def remove_cgroups_of_the_dead() -> None:
    """Of clusters whose starter was killed; their processes ended with it."""
    for hierarchy in inside.cgroup_hierarchies():
        for found in hierarchy.glob(f"{_CGROUP}*"):
            if not Path("/proc", found.name.removeprefix(_CGROUP)).exists():
                _remove_cgroups(found.name)


def _kubectl(state: Path, pid: int) -> Kubectl:
    """kubectl in the cluster's network, as a program that needs no more words."""
    program, kubeconfig = state / "kubectl", state / inside.ADMIN_KUBECONFIG
    words = " ".join([*enter(pid, mount=False), str(assets.find_binary(assets.KUBECTL))])
    program.write_text(f'#!/bin/sh\nexec env KUBECONFIG={kubeconfig} {words} "$@"\n')
    program.chmod(0o755)
    return Kubectl(program, kubeconfig)


def enter(pid: int, *, mount: bool = True) -> Sequence[str]:
    """The command that runs another one in the namespaces which the process ``pid`` (unshare) made."""
    first = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0]
    return ("nsenter", f"--target={first}", "--net", *(("--mount", "--pid") if mount else ()))


def _remove_cgroups(name: str) -> None:
    """Empty ones of processes that the kernel has ended, or is about to."""
    deadline = time.monotonic() + _CGROUP_SECONDS
    for hierarchy in inside.cgroup_hierarchies():
        while (hierarchy / name).exists() and time.monotonic() < deadline:
            for directory, _, _ in os.walk(hierarchy / name, topdown=False):
                with suppress(OSError):
                    Path(directory).rmdir()
