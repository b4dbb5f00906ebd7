"""A running engine, clients of it, and the store pieces without HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from workspace_authz.devplane.api import Api, connect
from workspace_authz.devplane.embedded import EmbeddedEngine, Tuning
from workspace_authz.devplane.embedded.registry import Registry
from workspace_authz.devplane.embedded.store import Store
from workspace_authz.devplane.engine import Endpoint, EngineOptions

USERS = 'alice-token,alice,alice-uid,"team-a,devs"\nbob-token,bob,bob-uid\n'
START = 1_800_000_000.0


class Clock:
    """Seconds since the epoch, moved by hand."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True, slots=True)
class Running:
    """An engine that serves, asked as the administrator unless told otherwise."""

    engine: EmbeddedEngine
    endpoint: Endpoint
    api: Api
    state: Path
    clock: Clock


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def registry(store: Store) -> Registry:
    return Registry(store, clock=Clock())


@pytest_asyncio.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    (tmp_path / "users.csv").write_text(USERS)
    clock = Clock()
    options = EngineOptions(state=tmp_path / "state", users=tmp_path / "users.csv")
    engine = EmbeddedEngine(options, tuning=Tuning(history=20, bookmark_seconds=0.05, clock=clock))
    endpoint = await engine.start()
    async with connect(endpoint.url, ca_file=endpoint.ca_file, token=endpoint.admin_token) as api:
        yield Running(engine, endpoint, api, options.state, clock)
    await engine.stop()
