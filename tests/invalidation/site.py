"""A control plane with rights that come and go, two ways to it, and how it is started again."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from bench.soak.cases import Step, Switch, switches
from bench.soak.ledger import Change, Ledger
from tests.harness.plane import User
from tests.harness.processes import free_port
from tests.invalidation.administrators import Administrator
from tests.invalidation.way import Way, way_to
from tests.scenarios.withdrawn import ending_token
from workspace_authz.devplane.api import Api, connect
from workspace_authz.devplane.embedded import EmbeddedEngine
from workspace_authz.devplane.engine import Endpoint, Engine, EngineOptions
from workspace_authz.devplane.kubeconfig import token_kubeconfig

LABEL: Final = "generations"
KINDS: Final = (*switches(""), "label")
"""Of the rights."""
TOKENS: Final = 4
"""Users of each right. Who asks for the first time makes the server ask."""
WORKERS: Final = 2
_LEAVES_SECONDS: Final = 2
"""After which a token expires."""


@dataclass(slots=True)
class Right:
    """To search in one namespace: how it is given and taken, its history, and whose it is."""

    namespace: str
    switch: Switch
    tokens: tuple[str, ...] = field(repr=False)
    ledger: Ledger = field(default_factory=lambda: Ledger(time.monotonic))
    late: float = 0.0
    """Seconds for which the API server itself, or what it says of a token, is behind."""

    @property
    def granted(self) -> bool:
        return self.ledger.present.allowed


@dataclass(slots=True)
class Site:
    """All of it. ``accounts_late``: seconds for which the API server accepts tokens of deleted accounts."""

    state: Path
    endpoint: Endpoint
    engine: Engine
    api: Api
    change: Administrator
    ways: tuple[Way, ...]
    rights: Mapping[str, Right]
    users: Mapping[str, User] = field(repr=False)
    """Those in the users file, by their tokens."""
    accounts_late: float
    remade: Callable[[], Engine]
    _ended: int = 0

    def kubeconfig(self, way: Way) -> Path:
        """For a worker whose way this is."""
        file = self.state / f"{way.url.rpartition(':')[2]}.kubeconfig"
        file.write_text(token_kubeconfig(replace(self.endpoint, url=way.url), self.endpoint.admin_token))
        return file

    async def turn(self, right: Right) -> None:
        """Give the right, or take it away."""
        on = not right.granted
        right.ledger.begin(allowed=on)
        await right.switch.turn(self.api, on=on, run=self.change)
        right.ledger.answered()

    async def prepare(self) -> None:
        """What is there before any right is."""
        for right in self.rights.values():
            labels = {} if right.switch.kind == "label" else {LABEL: "yes"}
            await self._namespace(right.namespace, labels)
            for step in right.switch.prepared:
                await step.run(self.api)

    @property
    def forgetful(self) -> bool:
        """Whether the API server loses everything when it ends."""
        return self.engine.name == EmbeddedEngine.name

    async def restart(self) -> None:
        """End the API server and start it again at the same address."""
        await self.engine.stop()
        self.engine = self.remade()
        await self.engine.start()
        if self.forgetful:
            await self.prepare()

    async def ending(self, how: str) -> Right:
        """A new right of an account, that is ended by ``how`` and never comes back."""
        self._ended += 1
        namespace = f"end-{self._ended}"
        await self._namespace(namespace, {LABEL: "yes"})
        path = f"/api/v1/namespaces/{namespace}"
        await Step("POST", f"{path}/serviceaccounts", {"metadata": {"name": "leaver"}}).run(self.api)
        binding = switches(namespace)["RoleBinding"]
        for step in (*binding.prepared, binding.grant):
            await step.run(self.api)
        made = await self.api.post(f"{path}/serviceaccounts/leaver/token", {"spec": {}})
        token = str(made.body["status"]["token"])
        ledger = Ledger(time.monotonic, [Change(True, -math.inf, -math.inf)])
        late = self.accounts_late if how == "account" else 0.0
        if how == "token":
            token, end = ending_token(self.state, token, seconds=_LEAVES_SECONDS)
            moment = time.monotonic() + end - time.time()
            # By the API server's clock as its answers tell it, in whole seconds.
            ledger.changes.append(Change(False, moment - 1, moment + 1))
        ends = Step("DELETE", f"{path}/serviceaccounts/leaver" if how == "account" else path)
        return Right(namespace, replace(binding, kind=how, revoke=ends), (token,), ledger, late)

    async def _namespace(self, name: str, labels: Mapping[str, str]) -> None:
        await Step("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}}).run(self.api)


def _label(namespace: str) -> Switch:
    """The namespace becomes a workspace, and is none."""
    binding = switches(namespace)["RoleBinding"]

    def labelled(value: str | None) -> Step:
        return Step("PATCH", f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": {LABEL: value}}})

    return Switch("label", labelled("yes"), labelled(None), (*binding.prepared, binding.grant))


def _rights() -> tuple[list[User], dict[str, Right]]:
    """One of each kind, and everybody who holds one of them or not."""
    everybody, rights = [], {}
    for number, kind in enumerate(KINDS):
        namespace = f"right-{number}"
        # Those whom the switches of the soak give the right to.
        groups = (f"system:serviceaccounts:{namespace}",)
        users = [User(f"{namespace}-{each}", groups) for each in range(TOKENS)]
        switch = _label(namespace) if kind == "label" else switches(namespace)[kind]
        rights[kind] = Right(namespace, switch, tuple(user.token for user in users))
        everybody += users
    return everybody, rights


@asynccontextmanager
async def site_of(
    make: Callable[[EngineOptions], Engine],
    state: Path,
    *,
    administrator: Callable[[Endpoint, Api], Administrator],
    accounts_late: float,
) -> AsyncIterator[Site]:
    """A site on a new engine, for as long as the block lasts."""
    users, rights = _rights()
    users_file = state / "users.csv"
    await asyncio.to_thread(users_file.write_text, "".join(user.line for user in users))
    options = EngineOptions(state=state / "plane", port=free_port(), users=users_file)
    async with AsyncExitStack() as stack:
        engine = make(options)
        stack.push_async_callback(engine.stop)
        endpoint = await engine.start()
        api = await stack.enter_async_context(
            connect(endpoint.url, ca_file=endpoint.ca_file, token=endpoint.admin_token)
        )
        pki = endpoint.ca_file.parent
        ways = tuple([await stack.enter_async_context(way_to(endpoint.url, pki)) for _ in range(WORKERS)])
        site = Site(
            options.state,
            endpoint,
            engine,
            api,
            administrator(endpoint, api),
            ways,
            rights,
            {user.token: user for user in users},
            accounts_late,
            remade=lambda: make(options),
        )
        stack.push_async_callback(lambda: site.engine.stop())
        await site.prepare()
        yield site
