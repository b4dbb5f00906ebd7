"""Where the client's token comes from, and which workspace is meant where nobody chose one.

The first that is there counts, and it alone: one that cannot be used is an error, never the next one's turn,
so nobody acts as somebody else by accident. What somebody made for MLflow comes before what is there anyway.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from workspace_authz.client.environment import SERVICE_ACCOUNT, TOKEN_FILE, ClientEnvironment, origin
from workspace_authz.errors import ConfigurationError
from workspace_authz.lazy import load

MOUNTED_FILE: Final = Path("/var/run/secrets/workspace-authz/token")
"""Where a pod mounts a token that was made for MLflow."""
POD_FILES: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where the kubelet mounts every pod's token and namespace."""

_NAMESPACE: Final = "namespace"
_LOGIN: Final = "workspace_authz.client.logins:token_of"
_CLUSTER: Final = "workspace_authz.client.cluster:ClusterTokens"


@dataclass(frozen=True, slots=True)
class Found:
    """A token, and what is known with it."""

    token: str = field(repr=False)
    source: str
    """Where it was found, in words."""
    workspace: str | None = None
    """The namespace that belongs to it."""


class ClusterFinder(Protocol):
    """:class:`~workspace_authz.client.cluster.ClusterTokens`, which is imported only where it is needed."""

    def find(self, environment: ClientEnvironment) -> Found:
        """The token that these variables mean. Raises :class:`ConfigurationError`."""

    def forget(self, token: str) -> None:
        """Ask anew the next time, if ``token`` is the one that is kept."""


@dataclass(frozen=True, slots=True)
class Places:
    """Files that are where they are for every pod; tests have others."""

    mounted: Path = MOUNTED_FILE
    pod: Path = POD_FILES


class Tokens:
    """Finds the token for a server. One for the whole process; threads may share it."""

    def __init__(self, environ: Mapping[str, str] = os.environ, *, places: Places | None = None) -> None:
        self._environ = environ
        self._places = places or Places()
        self._lock = threading.Lock()
        self._cluster: ClusterFinder | None = None

    def find(self, server: str) -> Found:
        """The token for ``server``, a URL. Files are read anew each time, so a rotated one counts at once.

        Raises :class:`ConfigurationError` with what to do where there is none, or where it cannot be used.
        """
        environment = ClientEnvironment.read(self._environ)
        if environment.service_account:
            return self._cluster_tokens().find(environment)
        if environment.token_file is not None:
            return self._from_file(environment.token_file, TOKEN_FILE)
        if self._places.mounted.exists():
            return self._from_file(self._places.mounted, "the mounted file")
        if (found := self._from_login(server, environment)) is not None:
            return found
        if not environment.kubeconfig and (self._places.pod / "token").exists():
            return self._from_file(self._places.pod / "token", "the pod's service account")
        if environment.kubeconfig or environment.in_pod or _home_kubeconfig().exists():
            return self._cluster_tokens().find(environment)
        raise ConfigurationError(
            f"There is no token for {origin(server)}: log in with `workspace-authz login`, or set KUBECONFIG "
            f"to a kubeconfig file; in a pod, mount a token for MLflow at {self._places.mounted}."
        )

    def rejected(self, token: str) -> None:
        """Note that the server did not accept ``token``: it is not taken from memory again."""
        with self._lock:
            if self._cluster is not None:
                self._cluster.forget(token)

    def _cluster_tokens(self) -> ClusterFinder:
        with self._lock:
            found = self._cluster = self._cluster or load(_CLUSTER)()
            return found

    def _from_login(self, server: str, environment: ClientEnvironment) -> Found | None:
        if not environment.logins.exists():
            return None
        login = load(_LOGIN)(environment.logins, origin(server))
        if login is None:
            return None
        return Found(login.id_token, f"the login at {login.issuer}", login.workspace or self._pod_namespace())

    def _from_file(self, file: Path, source: str) -> Found:
        try:
            token = checked(file.read_text(encoding="ascii").strip(), f"{source}, {file}")
        except (OSError, ValueError) as error:
            reason = (isinstance(error, OSError) and error.strerror) or type(error).__name__
            raise ConfigurationError(f"The token in {file} cannot be read: {reason}.") from None
        return Found(token, f"{source}, {file}", _text(file.with_name(_NAMESPACE)) or self._pod_namespace())

    def _pod_namespace(self) -> str | None:
        return _text(self._places.pod / _NAMESPACE)


def checked(token: str, source: str) -> str:
    """``token``, if it can be sent in a header. Raises :class:`ConfigurationError`."""
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigurationError(f"What {source} gives is no token.")
    return token


def account_name(text: str, namespace: str | None) -> tuple[str, str]:
    """Namespace and name of a service account. Raises :class:`ConfigurationError` where one is missing."""
    before, _, name = text.rpartition("/")
    before = before or namespace or ""
    if not before or not name or "/" in before:
        raise ConfigurationError(f"{SERVICE_ACCOUNT} is NAMESPACE/NAME, or NAME in the context's namespace.")
    return before, name


def _home_kubeconfig() -> Path:
    return Path.home() / ".kube" / "config"


def _text(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8").strip() or None
    except (OSError, ValueError):
        return None
