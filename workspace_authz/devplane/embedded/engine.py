"""The engine *embedded*: a small Kubernetes API in this process, in memory, up in a second."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from workspace_authz.devplane.embedded.api import Api, Parts
from workspace_authz.devplane.embedded.authentication import Authenticator, read_static_tokens
from workspace_authz.devplane.embedded.defaults import install_defaults
from workspace_authz.devplane.embedded.rbac import SUPERUSERS, RbacAuthorizer
from workspace_authz.devplane.embedded.registry import Registry
from workspace_authz.devplane.embedded.resources import Resources
from workspace_authz.devplane.embedded.reviews import Reviewer
from workspace_authz.devplane.embedded.store import Store
from workspace_authz.devplane.embedded.tokenrequests import TokenRequests
from workspace_authz.devplane.embedded.tokens import ServiceAccountTokens
from workspace_authz.devplane.engine import Endpoint, EngineOptions
from workspace_authz.devplane.pki import Pki, create_pki
from workspace_authz.errors import ConfigurationError
from workspace_authz.types import UserInfo

_log = logging.getLogger(__name__)

_VERSIONS_PER_SECOND = 1000
_IDLE_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Tuning:
    """What tests turn."""

    history: int = 1000
    """Events kept for each resource; a watch that is further behind gets 410."""
    bookmark_seconds: float = 10.0
    clock: Callable[[], float] = time.time
    """Seconds since the epoch: ages, and the life of tokens."""


class EmbeddedEngine:
    """Serves on loopback. For laptops and tests: everything is forgotten when it stops."""

    name = "embedded"

    def __init__(self, options: EngineOptions, *, tuning: Tuning | None = None) -> None:
        self._options = options
        self._tuning = tuning or Tuning()
        self._store: Store | None = None
        self._runner: web.ServerRunner | None = None
        self._namespaces: asyncio.Task[None] | None = None

    async def start(self) -> Endpoint:
        """Make or find the keys, fill in the defaults, and listen.

        Raises :class:`~workspace_authz.errors.ConfigurationError`.
        """
        if self._options.authentication_config is not None:
            raise ConfigurationError("only the engine kube-apiserver takes --authentication-config")
        static = read_static_tokens(self._options.users) if self._options.users else {}
        try:
            pki = await asyncio.to_thread(create_pki, self._options.state / "pki")
            token = _admin_token(self._options.state / "admin.token")
        except OSError as error:
            raise ConfigurationError(f"The state directory cannot be used: {error}") from error
        admin = UserInfo("admin", "devplane-admin", (SUPERUSERS,))
        # Above everything an earlier run may have handed out, so that old watches are told to list again.
        first_version = int(time.time()) * _VERSIONS_PER_SECOND
        store = self._store = Store(history=self._tuning.history, first_version=first_version)
        registry = Registry(store, clock=self._tuning.clock)
        install_defaults(registry)
        api = self._assemble(store, registry, pki=pki, static={**static, token: admin})
        port = await self._listen(api, pki)
        self._namespaces = asyncio.create_task(_finish_namespaces(registry))
        _log.warning("The embedded Kubernetes API on port %d is for laptops and tests only.", port)
        return Endpoint(url=f"https://127.0.0.1:{port}", ca_file=pki.ca_cert, admin_token=token)

    async def wait(self) -> None:
        """Wait until :meth:`stop`; raises what ended the engine before."""
        if self._namespaces is not None:
            await asyncio.shield(self._namespaces)

    async def stop(self) -> None:
        """End every watch, close every connection, forget everything."""
        if self._store is not None:
            self._store.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        if self._namespaces is not None:
            await asyncio.wait([self._namespaces])

    def _assemble(self, store: Store, registry: Registry, *, pki: Pki, static: Mapping[str, UserInfo]) -> Api:
        clock = self._tuning.clock
        tokens = ServiceAccountTokens(pki.service_account_key, store, clock=clock)
        authenticator = Authenticator(static=static, service_accounts=tokens)
        authorizer = RbacAuthorizer(store)
        parts = Parts(
            store=store,
            authenticator=authenticator,
            authorizer=authorizer,
            resources=Resources(registry, authorizer),
            reviewer=Reviewer(authenticator=authenticator, authorizer=authorizer, clock=clock),
            token_requests=TokenRequests(
                registry, tokens, longest_seconds=self._options.longest_token_seconds, clock=clock
            ),
        )
        return Api(parts, bookmark_seconds=self._tuning.bookmark_seconds)

    async def _listen(self, api: Api, pki: Pki) -> int:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(pki.client_ca_cert))
        context.load_cert_chain(pki.serving_cert, pki.serving_key)
        context.verify_mode = ssl.CERT_OPTIONAL
        context.set_alpn_protocols(["http/1.1"])
        server = web.Server(api.handle, handler_cancellation=True, access_log=None, keepalive_timeout=300.0)
        self._runner = web.ServerRunner(server, shutdown_timeout=1.0)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, "127.0.0.1", self._options.port, ssl_context=context).start()
        except OSError as error:
            await self.stop()
            raise ConfigurationError(f"Cannot listen on port {self._options.port}: {error}") from error
        return int(self._runner.addresses[0][1])


async def _finish_namespaces(registry: Registry) -> None:
    """Empty and remove deleted namespaces until the store is closed."""
    store = registry.store
    while not store.closed:
        registry.finish_namespaces()
        await store.wait(store.version, seconds=_IDLE_SECONDS)


def _admin_token(path: Path) -> str:
    """The administrator's token, the same whenever the engine starts on this state directory."""
    if path.exists():
        return path.read_text(encoding="ascii")
    token = secrets.token_hex(32)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(token)
    return token
