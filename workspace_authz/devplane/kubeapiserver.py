"""The engine *kube-apiserver*: a real API server with etcd and the controllers that tenants notice.

Without its controller manager an API server neither aggregates ClusterRoles, nor makes a namespace's
``default`` service account, nor finishes deleting a namespace (seen on 1.36.3). Everything lives below
the state directory; starting again there finds the same cluster.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import aiohttp

from workspace_authz.devplane import assets, flags
from workspace_authz.devplane.api import Api, connect, until
from workspace_authz.devplane.engine import Endpoint, EngineOptions
from workspace_authz.devplane.kubeconfig import token_kubeconfig, write_private
from workspace_authz.devplane.pki import Pki, create_pki
from workspace_authz.devplane.process import Child, EngineDiedError, spawn
from workspace_authz.errors import ConfigurationError

_START_SECONDS = 180.0


class KubeApiserverEngine:
    """Runs etcd, kube-apiserver and kube-controller-manager as processes of ours."""

    name = "kube-apiserver"

    def __init__(self, options: EngineOptions) -> None:
        self._options = options
        self._state = options.state.absolute()
        self._children: list[Child] = []
        self._reserved: socket.socket | None = None
        self._stopped = asyncio.Event()

    async def start(self) -> Endpoint:
        """Start all three processes, and return when bootstrap roles and controllers have done their work."""
        programs = [
            assets.find_binary(name) for name in (assets.ETCD, assets.APISERVER, assets.CONTROLLER_MANAGER)
        ]
        users = self._users()
        self._state.mkdir(parents=True, exist_ok=True, mode=0o700)
        pki = await asyncio.to_thread(create_pki, self._state / "pki")
        port, admin_token = self._reserve_port(), _admin_token(self._state / "admin.token")
        endpoint = Endpoint(url=f"https://127.0.0.1:{port}", ca_file=pki.ca_cert, admin_token=admin_token)
        tokens = self._state / "tokens.csv"
        write_private(tokens, f'{admin_token},admin,devplane-admin,"system:masters"\n{users}')
        write_private(
            self._state / flags.CONTROLLER_MANAGER_KUBECONFIG, token_kubeconfig(endpoint, admin_token)
        )
        arguments = self._arguments(pki, tokens=tokens, port=port)
        try:
            for program, given in zip(programs, arguments, strict=True):
                self._children.append(await spawn(program, given, directory=self._state))
            await self._until_ready(endpoint)
        except BaseException:
            await self.stop()
            raise
        return endpoint

    async def wait(self) -> None:
        """Return when stopped; raise :class:`EngineDiedError` when a process ends before that."""
        ends = [asyncio.create_task(child.died()) for child in self._children]
        stopped = asyncio.create_task(self._stopped.wait())
        try:
            await asyncio.wait([*ends, stopped], return_when=asyncio.FIRST_COMPLETED)
            if not self._stopped.is_set():
                raise next(end.result() for end in ends if end.done())
        finally:
            for task in (*ends, stopped):
                task.cancel()

    async def stop(self) -> None:
        """End the processes, those that depend on others first."""
        self._stopped.set()
        while self._children:
            await self._children[-1].stop()
            self._children.pop()
        if self._reserved is not None:
            self._reserved.close()
            self._reserved = None

    def _arguments(self, pki: Pki, *, tokens: Path, port: int) -> Sequence[Sequence[str]]:
        """Of etcd, the API server and the controllers."""
        issuers = self._options.authentication_config
        return (
            flags.etcd(),
            flags.apiserver(
                pki,
                tokens=tokens,
                port=port,
                share_port=self._reserved is not None,
                longest_token_seconds=self._options.longest_token_seconds,
                authentication_config=issuers.absolute() if issuers else None,
            ),
            flags.controller_manager(pki),
        )

    def _reserve_port(self) -> int:
        """The port asked for; or a free one, kept from others by a socket that never listens."""
        if self._options.port:
            return self._options.port
        self._reserved = socket.socket()
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._reserved.bind(("127.0.0.1", 0))
        return int(self._reserved.getsockname()[1])

    def _users(self) -> str:
        if self._options.users is None:
            return ""
        try:
            return self._options.users.read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"cannot read the users file: {error}") from None

    async def _until_ready(self, endpoint: Endpoint) -> None:
        death = asyncio.create_task(self.wait())
        ready = asyncio.create_task(_ready(endpoint))
        try:
            async with asyncio.timeout(_START_SECONDS):
                await asyncio.wait([death, ready], return_when=asyncio.FIRST_COMPLETED)
            if death.done():
                await death
            await ready
        except TimeoutError:
            raise ConfigurationError(
                f"kube-apiserver was not ready after {_START_SECONDS:.0f} s; its logs are in {self._state}"
            ) from None
        except EngineDiedError as error:
            raise ConfigurationError(f"kube-apiserver did not start: {error}") from error
        finally:
            death.cancel()
            ready.cancel()


def _admin_token(file: Path) -> str:
    """The administrator's token, the same at every start in this state directory."""
    if not file.exists():
        write_private(file, secrets.token_hex(32))
    return file.read_text(encoding="utf-8")


async def _ready(endpoint: Endpoint) -> None:
    async with connect(endpoint.url, ca_file=endpoint.ca_file, token=endpoint.admin_token) as api:
        await until(partial(_is_ready, api))


async def _is_ready(api: Api) -> bool:
    """Whether the server is up with its bootstrap roles, and each controller has visibly worked."""
    try:
        if not (await api.get("/readyz")).ok:
            return False
        role = await api.get("/apis/rbac.authorization.k8s.io/v1/clusterroles/admin")
        account = await api.get("/api/v1/namespaces/default/serviceaccounts/default")
        return bool(role.body.get("rules")) and account.ok
    except (aiohttp.ClientError, TimeoutError):
        return False
