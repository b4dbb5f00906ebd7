"""Configurations that lie ready in files, read at once and without ``kubernetes_asyncio``.

For the command line: importing ``kubernetes_asyncio`` takes longer than everything else that it does. Only
what can be read as it stands is read here: a pod's mounted files, and a kubeconfig with a token or where a
token is given anyway. For everything else, malformed files too, the answer is None and
:func:`~workspace_authz.kubernetes.connection.load_configuration` knows better.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

POD_FILES: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where Kubernetes mounts ``token``, ``ca.crt`` and ``namespace`` of a pod's service account."""

_CLUSTER: Final = {
    "server",
    "certificate-authority",
    "certificate-authority-data",
    "insecure-skip-tls-verify",
    "tls-server-name",
    "proxy-url",
}
_USER: Final = ({"token"}, {"tokenFile"})


@dataclass(frozen=True, slots=True)
class PlainConfiguration:
    """An :class:`~workspace_authz.kubernetes.transport.ApiConfiguration` without a client certificate."""

    host: str
    ssl_ca_cert: str | None = None
    verify_ssl: bool = True
    tls_server_name: str | None = None
    proxy: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    token: str = field(default="", repr=False)
    """Empty where the caller brings another."""
    namespace: str | None = None
    """That of the kubeconfig's current context, or of the pod."""

    async def get_api_key_with_prefix(self, identifier: str) -> str | None:
        """See :class:`~workspace_authz.kubernetes.transport.ApiConfiguration`."""
        return f"Bearer {self.token}" if self.token and identifier == "BearerToken" else None


def read_plain(
    kubeconfig: str | None, *, with_credential: bool, pod_files: Path = POD_FILES
) -> PlainConfiguration | None:
    """What ``load_configuration(kubeconfig)`` would find, or None where that takes more than reading a file.

    Without ``with_credential`` the user of the kubeconfig does not matter and is not read.
    """
    path = kubeconfig or os.environ.get("KUBECONFIG")
    try:
        if not path and os.environ.get("KUBERNETES_SERVICE_HOST"):
            return _from_pod(pod_files)
        return _from_file(Path(path) if path else Path.home() / ".kube" / "config", with_credential)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError):
        return None


def _from_pod(files: Path) -> PlainConfiguration:
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    return PlainConfiguration(
        host=f"https://{f'[{host}]' if ':' in host else host}:{port}",
        ssl_ca_cert=(files / "ca.crt").read_text(),
        token=(files / "token").read_text().strip(),
        namespace=pod_namespace(files),
    )


def pod_namespace(files: Path = POD_FILES) -> str | None:
    """The namespace of the pod that this process runs in, or None."""
    try:
        return (files / "namespace").read_text().strip() or None
    except OSError:
        return None


def _from_file(path: Path, with_credential: bool) -> PlainConfiguration | None:
    document = yaml.safe_load(path.read_text())
    context = _named(document["contexts"], document["current-context"])["context"]
    cluster = _named(document["clusters"], context["cluster"])["cluster"]
    user = _named(document["users"], context["user"])["user"] if with_credential else {}
    if set(cluster) - _CLUSTER or (with_credential and set(user) not in _USER):
        return None
    return PlainConfiguration(
        host=_text(cluster["server"]),
        ssl_ca_cert=_authority(cluster, path.parent),
        verify_ssl=not cluster.get("insecure-skip-tls-verify", False),
        tls_server_name=cluster.get("tls-server-name"),
        proxy=cluster.get("proxy-url"),
        token=_token(user, path.parent),
        namespace=context.get("namespace") or None,
    )


def _named(entries: list[Mapping[str, Any]], name: object) -> Mapping[str, Any]:
    (entry,) = (entry for entry in entries if entry["name"] == name)
    return entry


def _authority(cluster: Mapping[str, Any], folder: Path) -> str | None:
    if "certificate-authority-data" in cluster:
        text = base64.b64decode(cluster["certificate-authority-data"]).decode("ascii")
    elif "certificate-authority" in cluster:
        text = (folder / str(cluster["certificate-authority"])).read_text(encoding="ascii")
    else:
        return None
    return text[text.index("-----BEGIN ") :]


def _token(user: Mapping[str, Any], folder: Path) -> str:
    if "tokenFile" in user:
        return (folder / str(user["tokenFile"])).read_text().strip()
    return _text(user["token"]) if user else ""


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("not a text")
    return value
