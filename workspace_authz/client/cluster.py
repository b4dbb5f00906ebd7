"""A token by a kubeconfig: one that the API server makes for MLflow, else the kubeconfig's own.

A service account's token for MLflow comes by TokenRequest, which there is for service accounts only. A
person's own token is sent as it is. See
https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote

import aiohttp

from workspace_authz.client.environment import SERVICE_ACCOUNT, ClientEnvironment
from workspace_authz.client.sources import Found, account_name, checked
from workspace_authz.errors import ConfigurationError
from workspace_authz.kubernetes.configuration import ApiConfiguration, load_configuration
from workspace_authz.kubernetes.connection import describe_failure, server_connection
from workspace_authz.kubernetes.credentials import unverified_claims
from workspace_authz.kubernetes.http import HttpAnswer, OversizedError

T = TypeVar("T")

TOKEN_SECONDS: Final = 3600
"""The lifetime that is asked for, in seconds."""
_KEPT_SECONDS: Final = 60.0
"""How long a token is used that does not say when it expires."""
_KEPT_SHARE: Final = 0.8
"""Of a token's remaining lifetime, as the kubelet renews it."""
_ASK_SECONDS: Final = 9.0
_ACCOUNT: Final = "system:serviceaccount:"


@dataclass(frozen=True, slots=True)
class _Kept:
    key: object
    found: Found = field(repr=False)
    until: float


class ClusterTokens:
    """Tokens by the kubeconfig of this process. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: _Kept | None = None

    def find(self, environment: ClientEnvironment) -> Found:
        """The token that these variables mean; kept until shortly before it expires.

        Raises :class:`ConfigurationError` where none can be had.
        """
        key = (environment, _changed(environment))
        with self._lock:
            kept = self._kept
            if kept is not None and kept.key == key and time.time() < kept.until:
                return kept.found
            found = _in_a_loop(_found(environment))
            self._kept = _Kept(key, found, _until(found.token))
            return found

    def forget(self, token: str) -> None:
        """Ask anew the next time, if ``token`` is the one that is kept."""
        with self._lock:
            if self._kept is not None and self._kept.found.token == token:
                self._kept = None


def _in_a_loop(work: Coroutine[Any, Any, T]) -> T:
    """The result of ``work``. In a thread, because the caller may be in an event loop, as in a notebook."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(asyncio.run, work).result()


def _changed(environment: ClientEnvironment) -> tuple[float, ...]:
    """When the kubeconfig was last written: another context may be the current one since."""
    files = (
        environment.kubeconfig.split(os.pathsep)
        if environment.kubeconfig
        else [Path.home() / ".kube" / "config"]
    )
    return tuple(path.stat().st_mtime for path in map(Path, files) if path.exists())


def _until(token: str) -> float:
    expires = unverified_claims(token).get("exp")
    now = time.time()
    if isinstance(expires, int | float):
        return now + max(0.0, float(expires) - now) * _KEPT_SHARE
    return now + _KEPT_SECONDS


async def _found(environment: ClientEnvironment) -> Found:
    configuration = await load_configuration()
    workspace = configuration.namespace
    if environment.service_account:
        namespace, name = account_name(environment.service_account, workspace)
        token = await _requested(configuration, environment.audience, account=(namespace, name))
        return Found(token, f"the service account {name} in the namespace {namespace}", namespace)
    own = await _own_token(configuration)
    token = await _narrowed(configuration, own, audience=environment.audience)
    return Found(token, "the kubeconfig", workspace)


async def _own_token(configuration: ApiConfiguration) -> str:
    auth = await configuration.credential.current()
    if configuration.impersonation is not None:
        raise ConfigurationError(
            f"The kubeconfig acts as {configuration.impersonation.user!r}, which MLflow cannot: "
            f"choose another context, or set {SERVICE_ACCOUNT} to a service account that may use MLflow."
        )
    if not auth.token:
        raise ConfigurationError(
            "The kubeconfig's user has no token, and MLflow takes no client certificates: set "
            f"{SERVICE_ACCOUNT} to a service account that may use MLflow, or use `workspace-authz login`."
        )
    return checked(auth.token, "the kubeconfig")


async def _narrowed(configuration: ApiConfiguration, own: str, *, audience: str) -> str:
    """A token for MLflow only in the place of a service account's own, where it may make one for itself."""
    claims = unverified_claims(own)
    subject, audiences = str(claims.get("sub", "")), claims.get("aud")
    namespace, _, name = subject.removeprefix(_ACCOUNT).partition(":")
    if not audience or not subject.startswith(_ACCOUNT) or not name or audience in (audiences or ()):
        return own
    answer = await _ask(configuration, audience, account=(namespace, name))
    return _token_in(answer) if answer.status == 201 else own


async def _requested(configuration: ApiConfiguration, audience: str, *, account: tuple[str, str]) -> str:
    answer = await _ask(configuration, audience, account=account)
    if answer.status == 201:
        return _token_in(answer)
    namespace, name = account
    remedy = {
        401: "the API server does not accept the kubeconfig's credential; log in to the cluster",
        403: "you may not: an administrator of the namespace grants the verb create on serviceaccounts/token",
        404: "there is no such service account",
    }.get(answer.status, f"the API server answered {answer.status}")
    raise ConfigurationError(
        f"No token for the service account {name} in the namespace {namespace} can be had: {remedy}."
    )


async def _ask(configuration: ApiConfiguration, audience: str, *, account: tuple[str, str]) -> HttpAnswer:
    namespace, name = (quote(part, safe="") for part in account)
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"audiences": [audience] if audience else [], "expirationSeconds": TOKEN_SECONDS},
    }
    connection = server_connection(configuration, limit=1)
    try:
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        return await connection.post(path, request, token=None, timeout=_ASK_SECONDS)
    except (aiohttp.ClientError, TimeoutError, OversizedError) as error:
        raise ConfigurationError(
            f"The Kubernetes API server {connection.host} gives no token: {describe_failure(error)}."
        ) from error
    finally:
        await connection.close()


def _token_in(answer: HttpAnswer) -> str:
    try:
        return checked(str(json.loads(answer.body)["status"]["token"]), "the API server")
    except (ValueError, KeyError, TypeError):
        raise ConfigurationError("The Kubernetes API server's answer holds no token.") from None
