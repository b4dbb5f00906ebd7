"""Credentials from a plugin: a command that prints them, as EKS, GKE, AKS and OpenID Connect logins have.

The protocol is https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
(``client.authentication.k8s.io/v1`` and ``v1beta1``).
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from workspace_authz.aio.clock import Clock, SystemClock
from workspace_authz.kubernetes.own_credential import (
    ClientAuth,
    ClientCertificate,
    CredentialError,
    checked_token,
)

_log = logging.getLogger(__name__)

API_VERSIONS: Final = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
_KIND: Final = "ExecCredential"
_EXEC_INFO: Final = "KUBERNETES_EXEC_INFO"

_SECONDS: Final = 60.0
"""The longest that a plugin may take,"""
_INTERACTIVE_SECONDS: Final = 300.0
"""where somebody must log in by a browser."""
_RENEW_BEFORE_SECONDS: Final = 60.0
"""A credential is renewed so long before it expires; a short-lived one after 80 % of its time."""
_PAUSE_SECONDS: Final = 5.0
"""The least time between two runs of a plugin while there is a credential that has not expired."""
_KILLED_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class ExecSpec:
    """The ``exec`` entry of a kubeconfig's user."""

    api_version: str
    command: str
    arguments: tuple[str, ...] = field(default=(), repr=False)
    environment: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    install_hint: str = ""
    interactive_mode: str = "IfAvailable"
    cluster: Mapping[str, Any] | None = field(default=None, repr=False)
    """What the plugin is told about the cluster, where it wants that (``provideClusterInfo``)."""

    @property
    def name(self) -> str:
        """The command without its directory."""
        return Path(self.command).name


class ExecPlugin:
    """An :class:`~workspace_authz.kubernetes.own_credential.OwnCredential` that a command prints.

    The command runs when a credential is first needed, before the last one expires, and after a 401.
    ``certificate`` is shown where the command prints none.
    """

    def __init__(
        self,
        spec: ExecSpec,
        *,
        certificate: ClientCertificate | None = None,
        clock: Clock | None = None,
        seconds: float = _SECONDS,
    ) -> None:
        self._spec = spec
        self._certificate = certificate
        self._clock = clock or SystemClock()
        self._seconds = seconds
        self._lock = asyncio.Lock()
        self._auth: ClientAuth | None = None
        self._expires: float | None = None
        self._renew_at: float | None = None
        """Both in seconds since the epoch; None: the command did not say."""
        self._last_run = 0.0
        """On the monotonic clock."""

    async def current(self) -> ClientAuth:
        """See :class:`~workspace_authz.kubernetes.own_credential.OwnCredential`."""
        auth = self._auth
        if auth is not None and not self._due():
            return auth
        async with self._lock:
            if self._auth is None:
                return await self._run()
            return await self._renewed_in_time(self._auth) if self._due() else self._auth

    async def renewed(self, rejected: ClientAuth) -> ClientAuth:
        """See :class:`~workspace_authz.kubernetes.own_credential.OwnCredential`."""
        async with self._lock:
            if self._auth is None or (self._auth == rejected and not self._ran_lately()):
                return await self._run()
            return self._auth

    def _due(self) -> bool:
        return self._renew_at is not None and self._clock.time() >= self._renew_at

    def _ran_lately(self) -> bool:
        return self._clock.monotonic() - self._last_run < _PAUSE_SECONDS

    async def _renewed_in_time(self, last: ClientAuth) -> ClientAuth:
        """Run the command; if it fails, ``last`` counts until it expires."""
        expired = self._expires is not None and self._clock.time() >= self._expires
        if not expired and self._ran_lately():
            return last
        try:
            return await self._run()
        except CredentialError as error:
            if expired:
                raise
            _log.warning("%s The last credential is used until it expires.", error)
            return last

    async def _run(self) -> ClientAuth:
        self._last_run = self._clock.monotonic()
        output = await _output(self._spec, seconds=self._seconds)
        try:
            auth, expires = _parsed(output, self._spec.api_version)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, CredentialError):
            raise _failed(self._spec, f"did not print a usable {_KIND}") from None
        if auth.certificate is None:
            auth = replace(auth, certificate=self._certificate)
        if auth.certificate is not None:
            await asyncio.to_thread(auth.certificate.check)
        now = self._clock.time()
        self._auth, self._expires = auth, expires
        self._renew_at = (
            None if expires is None else expires - min(_RENEW_BEFORE_SECONDS, (expires - now) / 5)
        )
        return auth


async def _output(spec: ExecSpec, *, seconds: float) -> bytes:
    """What the command prints. Its standard error is ours, as with kubectl."""
    interactive = spec.interactive_mode != "Never" and sys.stdin is not None and sys.stdin.isatty()
    if spec.interactive_mode == "Always" and not interactive:
        raise _failed(spec, "needs a terminal")
    try:
        process = await asyncio.create_subprocess_exec(
            spec.command,
            *spec.arguments,
            env={
                **os.environ,
                **dict(spec.environment),
                _EXEC_INFO: _exec_info(spec, interactive=interactive),
            },
            stdin=None if interactive else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=not interactive,
        )
    except (OSError, ValueError) as error:
        why = (isinstance(error, OSError) and error.strerror) or type(error).__name__
        raise _failed(spec, f"cannot be run: {why}", hint=spec.install_hint) from None
    try:
        async with asyncio.timeout(max(seconds, _INTERACTIVE_SECONDS) if interactive else seconds):
            output, _ = await process.communicate()
    except TimeoutError:
        raise _failed(spec, f"did not end within {seconds:g} seconds") from None
    finally:
        if process.returncode is None:
            await _kill(process, group=not interactive)
    if process.returncode:
        raise _failed(spec, f"ended with status {process.returncode}")
    return output


async def _kill(process: asyncio.subprocess.Process, *, group: bool) -> None:
    """End the command, and what it started where that is a group of its own."""
    with suppress(ProcessLookupError, PermissionError):
        if group:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    with suppress(TimeoutError):
        async with asyncio.timeout(_KILLED_SECONDS):
            await process.wait()


def _exec_info(spec: ExecSpec, *, interactive: bool) -> str:
    told: dict[str, Any] = {"interactive": interactive}
    if spec.cluster is not None:
        told["cluster"] = dict(spec.cluster)
    return json.dumps({"kind": _KIND, "apiVersion": spec.api_version, "spec": told})


def _parsed(output: bytes, api_version: str) -> tuple[ClientAuth, float | None]:
    """The credential and when it expires, in seconds since the epoch."""
    document = json.loads(output)
    if document["kind"] != _KIND or document["apiVersion"] != api_version:
        raise ValueError("another kind")
    status = document["status"]
    token = status.get("token") or ""
    pair = (status.get("clientCertificateData") or "", status.get("clientKeyData") or "")
    if any(pair) and not all(pair):
        raise ValueError("a certificate without a key, or a key without a certificate")
    if not token and not any(pair):
        raise ValueError("no credential")
    certificate = ClientCertificate(*(text.encode() for text in pair)) if any(pair) else None
    return ClientAuth(checked_token(token), certificate), _expiry(status.get("expirationTimestamp"))


def _expiry(value: object) -> float | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError("no time")
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    return moment.timestamp()


def _failed(spec: ExecSpec, why: str, *, hint: str = "") -> CredentialError:
    told = f" {' '.join(hint.split())}" if hint else ""
    return CredentialError(f"The credential plugin {spec.name} of the kubeconfig {why}.{told}")
