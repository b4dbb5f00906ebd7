"""Where the API server is, how to verify it, and the process's own credential.

Looked for in this order: an explicit kubeconfig, ``$KUBECONFIG``, the pod's service account,
``~/.kube/config``.
"""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from workspace_authz.errors import ConfigurationError
from workspace_authz.kubernetes.exec_plugin import API_VERSIONS, ExecPlugin, ExecSpec
from workspace_authz.kubernetes.kubeconfig import CurrentContext, Fields, read_context, unusable
from workspace_authz.kubernetes.own_credential import (
    ClientCertificate,
    FileCredential,
    Impersonation,
    OwnCredential,
    Pem,
)
from workspace_authz.kubernetes.proxies import proxy_for

POD_FILES: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where Kubernetes mounts ``token``, ``ca.crt`` and ``namespace`` of a pod's service account."""
_EXEC_EXTENSION: Final = "client.authentication.k8s.io/exec"
_INTERACTIVE_MODES: Final = ("Never", "IfAvailable", "Always")


@dataclass(frozen=True, slots=True)
class ApiConfiguration:
    """One API server, and who we are to it."""

    host: str
    """Its URL."""
    ca_file: str | None = None
    """A PEM file with the CAs to verify it with; it is read again when a certificate is refused."""
    ca_data: str | None = field(default=None, repr=False)
    """The same as PEM; comes before the file. Without both the machine's CAs count."""
    verify: bool = True
    """False: any certificate will do."""
    server_name: str | None = None
    """The name in its certificate, where that is not the URL's."""
    proxy: str | None = field(default=None, repr=False)
    """The URL of the proxy before it. It may hold a password."""
    namespace: str | None = None
    """That of the current context, or of the pod."""
    credential: OwnCredential = field(default_factory=FileCredential, repr=False, compare=False)
    impersonation: Impersonation | None = None
    """As whom the own credential acts, where it is somebody else."""


async def load_configuration(
    kubeconfig: str | None = None, *, with_credential: bool = True, pod_files: Path = POD_FILES
) -> ApiConfiguration:
    """Find the API server. A credential plugin is run once, so that one that fails is noticed here.

    Without ``with_credential`` the user of a kubeconfig does not matter and is not read. Raises
    :class:`ConfigurationError` when nothing is found or what is found cannot be used.
    """
    configuration = await asyncio.to_thread(
        _read, kubeconfig, with_credential=with_credential, pod_files=pod_files
    )
    if with_credential:
        await configuration.credential.current()
    return configuration


def pod_namespace(files: Path = POD_FILES) -> str | None:
    """The namespace of the pod that this process runs in, or None."""
    try:
        return (files / "namespace").read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


def _read(kubeconfig: str | None, *, with_credential: bool, pod_files: Path) -> ApiConfiguration:
    path = kubeconfig or os.environ.get("KUBECONFIG")
    if path:
        files = [Path(part) for part in path.split(os.pathsep) if part]
        return _from_context(read_context(files), with_credential=with_credential)
    if os.environ.get("KUBERNETES_SERVICE_HOST"):
        return _from_pod(pod_files)
    home = Path.home() / ".kube" / "config"
    if not home.exists():
        raise ConfigurationError(
            "No Kubernetes API server is configured: run in a pod, or set KUBECONFIG to a kubeconfig file."
        )
    return _from_context(read_context([home]), with_credential=with_credential)


def _from_pod(files: Path) -> ApiConfiguration:
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ.get("KUBERNETES_SERVICE_PORT") or "443"
    url = f"https://{f'[{host}]' if ':' in host else host}:{port}"
    return ApiConfiguration(
        host=url,
        ca_file=str(files / "ca.crt"),
        proxy=proxy_for(url, configured=None, environ=os.environ),
        namespace=pod_namespace(files),
        credential=FileCredential(token_file=files / "token"),
    )


def _from_context(context: CurrentContext, *, with_credential: bool) -> ApiConfiguration:
    cluster, user = context.cluster, context.user
    url, data, file = cluster.text("server"), cluster.data("certificate-authority-data"), None
    if not _is_url(url):
        raise unusable("the server of its cluster is not a URL with http or https")
    if data is None:
        file = cluster.path("certificate-authority")
    return ApiConfiguration(
        host=url,
        ca_file=str(file) if file else None,
        ca_data=data.decode("ascii", "replace") if data else None,
        verify=not cluster.flag("insecure-skip-tls-verify"),
        server_name=cluster.text("tls-server-name") or None,
        proxy=proxy_for(url, configured=cluster.text("proxy-url"), environ=os.environ),
        namespace=context.namespace or None,
        credential=_credential(user, cluster) if with_credential else FileCredential(),
        impersonation=_impersonation(user) if with_credential else None,
    )


def _is_url(value: str) -> bool:
    try:
        parsed = urlsplit(value)
        return parsed.scheme in ("http", "https") and bool(parsed.hostname) and parsed.port != 0
    except ValueError:
        return False


def _credential(user: Fields, cluster: Fields) -> OwnCredential:
    certificate = _certificate(user)
    token, token_file = user.text("token"), user.path("tokenFile")
    if token or token_file:
        return FileCredential(token, token_file=token_file, certificate=certificate)
    if user.fields("auth-provider") is not None:
        raise unusable(
            "its user has an auth-provider, which client-go gave up for exec plugins; "
            "use the provider's plugin, such as kubelogin, gke-gcloud-auth-plugin or kubectl oidc-login"
        )
    if (plugin := user.fields("exec")) is not None:
        return ExecPlugin(_exec_spec(plugin, cluster), certificate=_loaded(certificate))
    return FileCredential(certificate=certificate)


def _certificate(user: Fields) -> tuple[Pem, Pem] | None:
    certificate = user.data("client-certificate-data") or user.path("client-certificate")
    key = user.data("client-key-data") or user.path("client-key")
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise unusable("its user has a client certificate without a key, or a key without a certificate")
    return certificate, key


def _loaded(certificate: tuple[Pem, Pem] | None) -> ClientCertificate | None:
    if certificate is None:
        return None
    try:
        pems = [part if isinstance(part, bytes) else part.read_bytes() for part in certificate]
    except OSError as error:
        raise unusable(f"{error.strerror or type(error).__name__}: {error.filename}") from None
    return ClientCertificate(*pems)


def _exec_spec(plugin: Fields, cluster: Fields) -> ExecSpec:
    version, command = plugin.text("apiVersion"), plugin.text("command")
    mode = plugin.text("interactiveMode") or "IfAvailable"
    if version not in API_VERSIONS:
        raise unusable(f"the apiVersion of its exec plugin is none of {', '.join(API_VERSIONS)}")
    if not command:
        raise unusable("its exec plugin has no command")
    if mode not in _INTERACTIVE_MODES:
        raise unusable(f"the interactiveMode of its exec plugin is none of {', '.join(_INTERACTIVE_MODES)}")
    # As client-go: a bare name is looked for in PATH, any other path begins beside the kubeconfig.
    beside = os.sep in command and not os.path.isabs(command)
    entries = [Fields(entry) for entry in plugin.list("env") if isinstance(entry, dict)]
    return ExecSpec(
        api_version=version,
        command=str(plugin.folder / command) if beside else command,
        arguments=plugin.texts("args"),
        environment=tuple((entry.text("name"), entry.text("value")) for entry in entries),
        install_hint=plugin.text("installHint"),
        interactive_mode=mode,
        cluster=_cluster_info(cluster) if plugin.flag("provideClusterInfo") else None,
    )


def _cluster_info(cluster: Fields) -> Mapping[str, Any]:
    """``spec.cluster`` of an ExecCredential, and so a kubeconfig's cluster with its CA inline."""
    info: dict[str, Any] = {"server": cluster.text("server")}
    for name in ("tls-server-name", "proxy-url"):
        if cluster.text(name):
            info[name] = cluster.text(name)
    if cluster.flag("insecure-skip-tls-verify"):
        info["insecure-skip-tls-verify"] = True
    authority, file = cluster.data("certificate-authority-data"), cluster.path("certificate-authority")
    if authority is None and file is not None:
        try:
            authority = file.read_bytes()
        except OSError as error:
            raise unusable(f"{error.strerror or type(error).__name__}: {file}") from None
    if authority:
        info["certificate-authority-data"] = base64.b64encode(authority).decode("ascii")
    for extension in cluster.list("extensions"):
        if isinstance(extension, dict) and extension.get("name") == _EXEC_EXTENSION:
            info["config"] = extension.get("extension")
    return info


def _impersonation(user: Fields) -> Impersonation | None:
    extra = user.fields("as-user-extra") or Fields()
    groups, uid, name = user.texts("as-groups"), user.text("as-uid"), user.text("as")
    if not (name or groups or uid or extra.values):
        return None
    return Impersonation(
        name, groups, uid=uid, extra=tuple((str(key), extra.texts(key)) for key in extra.values)
    )
