"""Where the API server is, and the server's own credential, found by ``kubernetes_asyncio``.

The connections themselves are made by :mod:`workspace_authz.kubernetes.transport`.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import aiohttp
import yaml
from kubernetes_asyncio.client import Configuration
from kubernetes_asyncio.config import (
    ConfigException,
    list_kube_config_contexts,
    load_incluster_config,
    load_kube_config,
)
from kubernetes_asyncio.config.incluster_config import SERVICE_TOKEN_FILENAME
from kubernetes_asyncio.config.kube_config import KubeConfigMerger

from workspace_authz.errors import ConfigurationError
from workspace_authz.kubernetes.token_file import TokenFile
from workspace_authz.kubernetes.transport import Connection, caller_connection, server_connection

# What kubernetes_asyncio raises for a file that is no kubeconfig, or a plugin or OpenID server that fails.
_UNUSABLE = (
    ConfigException,
    OSError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
    yaml.YAMLError,
    aiohttp.ClientError,
)


async def load_configuration(kubeconfig: str | None = None) -> Configuration:
    """Find the API server: an explicit file, ``$KUBECONFIG``, the pod's service account, ``~/.kube/config``.

    Raises :class:`ConfigurationError` when none of them is usable.
    """
    configuration = Configuration()
    path = kubeconfig or os.environ.get("KUBECONFIG")
    try:
        if not path and os.environ.get("KUBERNETES_SERVICE_HOST"):
            load_incluster_config(client_configuration=configuration, try_refresh_token=False)
            token: Path | None = Path(SERVICE_TOKEN_FILENAME)
        else:
            file = Path(path) if path else Path.home() / ".kube" / "config"
            if not path and not file.exists():
                raise ConfigurationError(
                    "No Kubernetes API server is configured: "
                    "run in a pod, or set KUBECONFIG to a kubeconfig file."
                )
            await load_kube_config(
                config_file=str(file), client_configuration=configuration, persist_config=False
            )
            token = _token_file(str(file))
    except _UNUSABLE as error:
        raise ConfigurationError(
            f"The Kubernetes configuration cannot be used: {_described(error)}"
        ) from error
    if token is not None:
        configuration.refresh_api_key_hook = TokenFile(token, monotonic=time.monotonic).refresh
    return configuration


def _token_file(kubeconfig: str) -> Path | None:
    """Where the token of the current context's user is, if it is in a file: it is replaced there, and
    kubernetes_asyncio reads it once (client-go every minute, as we do)."""
    config = KubeConfigMerger(kubeconfig).config
    context = config["contexts"].get_with_name(config["current-context"])["context"]
    user = config["users"].get_with_name(context["user"])["user"]
    if "token" in user or "tokenFile" not in user:
        return None
    return Path(user.path or kubeconfig).parent / str(user["tokenFile"])


def current_namespace(kubeconfig: str | None = None) -> str | None:
    """The namespace of the current context of the same kubeconfig files, or None."""
    path = kubeconfig or os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    try:
        _, current = list_kube_config_contexts(path)
        return str(current["context"].get("namespace") or "") or None
    except (*_UNUSABLE, KeyError):
        return None


def _described(error: BaseException) -> str:
    """Why, in one line, without what kubernetes_asyncio quotes of the file: an entry with its tokens."""
    if isinstance(error, ConfigException):
        return " ".join(str(error).partition("{")[0].split())
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return f"it is malformed ({type(error).__name__})"


__all__ = [
    "Connection",
    "caller_connection",
    "current_namespace",
    "load_configuration",
    "server_connection",
]
