"""Kubeconfig files for a dev plane. They hold everything inline, so that a copy works anywhere, too."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from pathlib import Path

import yaml

from workspace_authz.devplane.engine import Endpoint


def token_kubeconfig(endpoint: Endpoint, token: str, *, namespace: str = "default") -> str:
    """A kubeconfig that authenticates by bearer token."""
    return _kubeconfig(endpoint, {"token": token}, namespace=namespace)


def certificate_kubeconfig(endpoint: Endpoint, *, cert: Path, key: Path) -> str:
    """A kubeconfig that authenticates by client certificate."""
    user = {"client-certificate-data": _encoded(cert), "client-key-data": _encoded(key)}
    return _kubeconfig(endpoint, user, namespace="default")


def write_private(path: Path, content: str) -> None:
    """Replace ``path`` by a file that only its owner can read, in one step. Raises ``OSError``."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(content)
    new.replace(path)


def _kubeconfig(endpoint: Endpoint, user: Mapping[str, str], *, namespace: str) -> str:
    name = "devplane"
    cluster = {"server": endpoint.url, "certificate-authority-data": _encoded(endpoint.ca_file)}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": dict(user)}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": namespace}}],
        "current-context": name,
    }
    return yaml.safe_dump(config, sort_keys=False)


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode("ascii")
