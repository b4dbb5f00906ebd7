"""The command lines of the real control plane. All three processes run in the state directory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from workspace_authz.devplane.pki import Pki

ISSUER = "https://kubernetes.default.svc.cluster.local"
"""Issuer and only accepted audience of service-account tokens: the default of a kubeadm cluster."""

CONTROLLER_MANAGER_KUBECONFIG = "controller-manager.kubeconfig"

_CONTROLLERS = (
    "clusterrole-aggregation-controller",
    "namespace-controller",
    "serviceaccount-controller",
    "root-ca-certificate-publisher-controller",
)
# A Unix socket in the state directory instead of a port: etcd asks nobody for a credential, and whoever
# can read it reads every Secret. etcd wants the form host:port even so.
_ETCD_URL, _ETCD_PEER_URL = "unix://etcd.sock:0", "unix://etcd-peer.sock:0"


def etcd() -> Sequence[str]:
    """A single etcd."""
    return (
        "--data-dir=etcd",
        "--unsafe-no-fsync",  # what it holds need not survive a power failure
        f"--listen-client-urls={_ETCD_URL}",
        f"--advertise-client-urls={_ETCD_URL}",
        f"--listen-peer-urls={_ETCD_PEER_URL}",
    )


def apiserver(
    pki: Pki,
    *,
    tokens: Path,
    port: int,
    share_port: bool,
    longest_token_seconds: int,
    authentication_config: Path | None = None,
) -> Sequence[str]:
    """kube-apiserver on loopback, RBAC its only authorizer.

    ``share_port`` lets it bind ``port`` although a socket of ours that never listens reserves it.
    ``longest_token_seconds``: a service account's token that is asked for longer is shortened to it.
    ``authentication_config`` names the issuers whose tokens it accepts beside its own.
    """
    issuers = (f"--authentication-config={authentication_config}",) if authentication_config else ()
    return (
        f"--etcd-servers={_ETCD_URL}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--permit-port-sharing={'true' if share_port else 'false'}",
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",  # no Service leads here, and loopback would be refused
        f"--tls-cert-file={pki.serving_cert}",
        f"--tls-private-key-file={pki.serving_key}",
        f"--client-ca-file={pki.client_ca_cert}",
        f"--token-auth-file={tokens}",
        "--authorization-mode=RBAC",
        f"--service-account-issuer={ISSUER}",
        f"--api-audiences={ISSUER}",
        f"--service-account-signing-key-file={pki.service_account_key}",
        f"--service-account-max-token-expiration={longest_token_seconds}s",
        f"--service-account-key-file={pki.service_account_public_key}",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--profiling=false",
        *issuers,
    )


def controller_manager(pki: Pki) -> Sequence[str]:
    """kube-controller-manager with the controllers that a tenant notices, and no port of its own."""
    return (
        f"--kubeconfig={CONTROLLER_MANAGER_KUBECONFIG}",
        f"--controllers={','.join(_CONTROLLERS)}",
        "--leader-elect=false",
        "--secure-port=0",
        f"--root-ca-file={pki.ca_cert}",
        f"--service-account-private-key-file={pki.service_account_key}",
    )
