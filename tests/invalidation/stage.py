"""A site that outlives a test, and an event loop for it: hypothesis calls plain functions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.invalidation.administrators import Administrator
from tests.invalidation.play import Step, play
from tests.invalidation.site import Site, site_of
from workspace_authz.catalog.compile import CompiledCatalog, compile_catalog
from workspace_authz.devplane.api import Api
from workspace_authz.devplane.engine import Endpoint, Engine, EngineOptions


@dataclass(frozen=True, slots=True)
class Stage:
    """Where plans are played."""

    runner: asyncio.Runner
    site: Site
    catalog: CompiledCatalog

    def __repr__(self) -> str:
        return f"<{self.site.engine.name}>"  # hypothesis shows it beside a plan

    def play(self, steps: Sequence[Step]) -> None:
        """Raises ``AssertionError`` with the story when something is that must not be."""
        self.runner.run(play(self.site, self.catalog, steps))


@contextmanager
def staged(
    make: Callable[[EngineOptions], Engine],
    state: Path,
    *,
    administrator: Callable[[Endpoint, Api], Administrator],
    accounts_late: float = 0.0,
) -> Iterator[Stage]:
    """A stage on a new engine, for as long as the block lasts."""
    with asyncio.Runner() as runner:
        opened = site_of(make, state, administrator=administrator, accounts_late=accounts_late)
        site = runner.run(opened.__aenter__())
        try:
            yield Stage(runner, site, compile_catalog())
        finally:
            runner.run(opened.__aexit__(None, None, None))
