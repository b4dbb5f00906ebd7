"""The first process of the cluster's namespaces: ``python -m tests.cluster.inside STATE CGROUP IMAGE…``.

It mounts, makes the network, starts the programs, and says ``ready`` in a line of its own. When it ends, the
kernel ends everything in its namespaces.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

from tests.cluster import parts, standins
from workspace_authz.devplane import assets
from workspace_authz.devplane.engine import Endpoint
from workspace_authz.devplane.kubeconfig import token_kubeconfig, write_private
from workspace_authz.devplane.pki import Pki, create_pki, issue_serving_certificate

READY: Final = "ready"
ADMIN_KUBECONFIG: Final = "admin.kubeconfig"
KUBELET_KUBECONFIG: Final = "kubelet.kubeconfig"
_START_SECONDS: Final = 180.0
_POLL_SECONDS: Final = 0.2
SYSCTLS: Final = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
"""Of the whole machine. The kubelet sets them, here in files that only these namespaces see."""


@dataclass(slots=True)
class Node:
    """The programs that were started, and where."""

    state: Path
    programs: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, arguments: Sequence[str]) -> None:
        """Run a program of Debian's or of ``scripts/kube``; its log is named after it."""
        found = shutil.which(name) or str(assets.find_binary(name))
        with (self.state / f"{name}.log").open("ab") as log:
            self.programs[name] = subprocess.Popen(
                [found, *arguments], cwd=self.state, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def wait(self, ready: Callable[[], bool], what: str) -> None:
        """Until ``ready``; the process ends with the reason when a program has ended, or after minutes."""
        deadline = time.monotonic() + _START_SECONDS
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                sys.exit(f"{what} was not ready after {_START_SECONDS:.0f} s; logs are in {self.state}")
            time.sleep(_POLL_SECONDS)

    def check(self) -> None:
        """End when one of the programs did."""
        for name, program in self.programs.items():
            if program.poll() is not None:
                log = (self.state / f"{name}.log").read_text(errors="replace")
                sys.exit(f"{name} ended with status {program.returncode}: {log[-2000:]}")

    def reap(self) -> None:
        """Collect what was left to the first process: the parents of containers, when they end."""
        own = {program.pid for program in self.programs.values()}
        with suppress(ChildProcessError):
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is not None and ended.si_pid not in own:
                os.waitpid(ended.si_pid, 0)


def main() -> None:
    """Start everything, and stay until SIGTERM."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    state, cgroup, images = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    node = Node(state)
    _mount(state)
    _network()
    _cgroups(cgroup)
    pki, token = _control_plane(node)
    _containers(node, images)
    _kubelet(node, pki, cgroup=cgroup)
    api = standins.Api(f"https://{parts.NODE_ADDRESS}:{parts.API_PORT}", ca_file=pki.ca_cert, token=token)
    threading.Thread(target=standins.run, args=(api,), daemon=True).start()
    node.wait(lambda: api.node_is_ready(parts.NODE), "the node")
    print(READY, flush=True)
    while True:
        node.check()
        node.reap()
        time.sleep(_POLL_SECONDS)


def _mount(state: Path) -> None:
    """Hide the machine's own containerd and kubelet, and its settings."""
    values = {name: Path("/proc/sys", name).read_text() for name in SYSCTLS}
    for directory in ("/run", "/var/log", "/var/lib"):
        _run("mount", "-t", "tmpfs", "tmpfs", directory)
    for name, value in values.items():
        copy = state / "sysctls" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(value)
        _run("mount", "--bind", str(copy), f"/proc/sys/{name}")


def _network() -> None:
    """A bridge, whose address is the node's. Nothing leads out."""
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "link", "add", parts.BRIDGE, "type", "bridge")
    _run("ip", "address", "add", f"{parts.NODE_ADDRESS}/24", "dev", parts.BRIDGE)
    _run("ip", "link", "set", parts.BRIDGE, "up")
    _run("ip", "route", "add", "default", "dev", parts.BRIDGE)


def _cgroups(name: str) -> None:
    """The kubelet wants its root to be there in every hierarchy; an empty cpuset would take no process."""
    for hierarchy in cgroup_hierarchies():
        own = hierarchy / name.lstrip("/")
        own.mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):
            if hierarchy.name == "cpuset":
                (own / setting).write_text((hierarchy / setting).read_text())


def cgroup_hierarchies() -> Sequence[Path]:
    """All of version 1, or the only one of version 2."""
    top = Path("/sys/fs/cgroup")
    if (top / "cgroup.controllers").exists():
        return [top]
    return [path for path in sorted(top.iterdir()) if path.is_dir() and not path.is_symlink()]


def _control_plane(node: Node) -> tuple[Pki, str]:
    """etcd, API server and controllers; the administrator's token."""
    addresses = (IPv4Address(parts.NODE_ADDRESS), IPv4Address(parts.API_SERVICE))
    pki = create_pki(node.state / "pki")
    pki = issue_serving_certificate(pki, node.state, addresses=addresses)
    admin, agent = secrets.token_hex(24), secrets.token_hex(24)
    tokens = node.state / "tokens.csv"
    lines = (
        f'{admin},admin,admin,"system:masters"',
        f'{agent},system:node:{parts.NODE},{parts.NODE},"system:nodes"',
    )
    write_private(tokens, "\n".join(lines) + "\n")
    url = f"https://{parts.NODE_ADDRESS}:{parts.API_PORT}"
    for file, token in ((ADMIN_KUBECONFIG, admin), (KUBELET_KUBECONFIG, agent)):
        endpoint = Endpoint(url=url, ca_file=pki.ca_cert, admin_token=admin)
        write_private(node.state / file, token_kubeconfig(endpoint, token))
    node.start(assets.ETCD, parts.etcd())
    node.start(assets.APISERVER, parts.apiserver(pki, tokens=tokens))
    api = standins.Api(url, ca_file=pki.ca_cert, token=admin)
    node.wait(api.is_ready, "the API server")
    kubeconfig = node.state / ADMIN_KUBECONFIG
    node.start(assets.CONTROLLER_MANAGER, parts.controller_manager(pki, kubeconfig=kubeconfig))
    return pki, admin


def _containers(node: Node, images: Sequence[str]) -> None:
    """containerd, and every image that is to be there."""
    (node.state / "cni").mkdir()
    (node.state / "cni" / "10-pods.conflist").write_text(parts.network_config(node.state))
    config = node.state / "containerd.toml"
    config.write_text(parts.containerd_config(node.state))
    node.start("containerd", ("--config", str(config)))
    node.wait(lambda: _quietly("ctr", "version"), "containerd")
    for image in images:
        _run("ctr", "-n", "k8s.io", "images", "import", image)


def _kubelet(node: Node, pki: Pki, *, cgroup: str) -> None:
    config = node.state / "kubelet.yaml"
    config.write_text(parts.kubelet_config(node.state, pki, cgroup=cgroup))
    kubeconfig = node.state / KUBELET_KUBECONFIG
    node.start("kubelet", parts.kubelet(node.state, kubeconfig=kubeconfig, config=config))


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: {done.stderr.strip()}")


def _quietly(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    main()
