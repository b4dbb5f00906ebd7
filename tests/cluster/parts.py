"""What each program of the cluster is told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from workspace_authz.devplane.pki import Pki

NODE: Final = "node"
NODE_ADDRESS: Final = "10.98.0.1"
PODS: Final = "10.98.0.0/24"
SERVICES: Final = "10.97.0.0/24"
API_SERVICE: Final = "10.97.0.1"
"""The first address of the range is that of the Service `kubernetes`."""
API_PORT: Final = 6443
BRIDGE: Final = "cni0"
DOMAIN: Final = "cluster.local"
ISSUER: Final = f"https://kubernetes.default.svc.{DOMAIN}"
CONTAINERD: Final = "/run/containerd/containerd.sock"
PAUSE: Final = "localhost/storage:1"
"""Its sleep holds the namespaces of a pod."""

_CONTROLLERS: Final = (
    "clusterrole-aggregation-controller",
    "cronjob-controller",
    "deployment-controller",
    "disruption-controller",
    "endpointslice-controller",
    "garbage-collector-controller",
    "horizontal-pod-autoscaler-controller",
    "job-controller",
    "namespace-controller",
    "persistentvolume-binder-controller",
    "replicaset-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
)


def etcd() -> Sequence[str]:
    """A single etcd, on sockets in its directory."""
    client, peer = "unix://etcd.sock:0", "unix://etcd-peer.sock:0"
    return (
        "--data-dir=etcd",
        "--unsafe-no-fsync",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
    )


def apiserver(pki: Pki, *, tokens: Path) -> Sequence[str]:
    """kube-apiserver on the node's address, where pods reach it."""
    return (
        "--etcd-servers=unix://etcd.sock:0",
        f"--bind-address={NODE_ADDRESS}",
        f"--advertise-address={NODE_ADDRESS}",
        f"--secure-port={API_PORT}",
        f"--tls-cert-file={pki.serving_cert}",
        f"--tls-private-key-file={pki.serving_key}",
        f"--client-ca-file={pki.client_ca_cert}",
        f"--token-auth-file={tokens}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--service-account-issuer={ISSUER}",
        f"--api-audiences={ISSUER}",
        f"--service-account-signing-key-file={pki.service_account_key}",
        f"--service-account-key-file={pki.service_account_public_key}",
        f"--service-cluster-ip-range={SERVICES}",
        # For `kubectl logs`, `exec` and `port-forward`: this certificate is the kubelet's administrator.
        f"--kubelet-client-certificate={pki.admin_cert}",
        f"--kubelet-client-key={pki.admin_key}",
        "--kubelet-preferred-address-types=InternalIP",
        "--profiling=false",
    )


def controller_manager(pki: Pki, *, kubeconfig: Path) -> Sequence[str]:
    """kube-controller-manager with the controllers that make pods, and those that tenants notice."""
    return (
        f"--kubeconfig={kubeconfig}",
        f"--controllers={','.join(_CONTROLLERS)}",
        "--leader-elect=false",
        "--secure-port=0",
        f"--root-ca-file={pki.ca_cert}",
        f"--service-account-private-key-file={pki.service_account_key}",
    )


def kubelet(state: Path, *, kubeconfig: Path, config: Path) -> Sequence[str]:
    """The node's agent."""
    return (
        f"--kubeconfig={kubeconfig}",
        f"--config={config}",
        f"--root-dir={state / 'kubelet'}",
        f"--cert-dir={state / 'kubelet-certificates'}",
        f"--hostname-override={NODE}",
        f"--node-ip={NODE_ADDRESS}",
    )


def kubelet_config(state: Path, pki: Pki, *, cgroup: str) -> str:
    """Its configuration. It touches no cgroup but those below ``cgroup``."""
    config: dict[str, Any] = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki.client_ca_cert)},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{CONTAINERD}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroup,
        "cgroupsPerQOS": True,
        "enforceNodeAllocatable": [],
        "failCgroupV1": False,
        "failSwapOn": False,
        "clusterDNS": [NODE_ADDRESS],
        "clusterDomain": DOMAIN,
        "resolvConf": "",
        "podLogsDir": str(state / "pod-logs"),
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "maxPods": 60,
        # Tests wait for what the kubelet notices.
        "syncFrequency": "10s",
        "fileCheckFrequency": "0s",
        "httpCheckFrequency": "0s",
        "nodeStatusUpdateFrequency": "5s",
    }
    return yaml.safe_dump(config)


def containerd_config(state: Path) -> str:
    """containerd's, with its data in the state directory and its sockets in the namespace's own /run."""
    return f"""version = 2
root = "{state / "containerd"}"
state = "/run/containerd/state"
[grpc]
  address = "{CONTAINERD}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{state / "containerd-opt"}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{state / "cni"}"
"""


def network_config(state: Path) -> str:
    """A bridge for the pods of the node."""
    ipam = {
        "type": "host-local",
        "dataDir": str(state / "addresses"),
        "ranges": [[{"subnet": PODS, "gateway": NODE_ADDRESS}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {"type": "bridge", "bridge": BRIDGE, "isGateway": True, "ipam": ipam}
    return json.dumps({"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge]})
