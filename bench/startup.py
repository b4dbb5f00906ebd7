"""How much longer than stock MLflow a guarded server takes from its start until it serves a user.

Both have one worker and a database that an earlier start has made, and both are asked the same: a search of
experiments in the team's workspace, of the guarded server with a token of somebody with the right.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from bench.options import Options
from bench.report import head, row, spread
from bench.servers import Server, await_answer
from bench.testbed import Testbed, headers

_PATH = "/api/2.0/mlflow/experiments/search?max_results=1"
_EVERY_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class _Start:
    """Seconds from the start of the process."""

    answered: float
    cpu: float
    """That all its processes had used by then."""


def run(testbed: Testbed, options: Options) -> None:
    """Print a table. The two are started alternately; a first start of each makes its database."""
    testbed.plane  # noqa: B018 - started before the clock runs
    with ExitStack() as stack:
        first = replace(testbed, stack=stack)
        data = {server.name: server.log.parent for server in (first.stock(), first.guarded())}
    stock, guarded = [], []
    for _ in range(options.rounds + 1):
        stock.append(_start(testbed, Testbed.starting_stock, data["stock"]))
        guarded.append(_start(testbed, Testbed.starting_guarded, data["guarded"]))
    head("start until a user is served", "stock", "guarded", "difference")
    for what, of in _COLUMNS:
        # The second start of each is the first that counts: the disk is warm then.
        theirs, ours = list(map(of, stock[1:])), list(map(of, guarded[1:]))
        row(what, spread(theirs), spread(ours), spread([b - a for a, b in zip(theirs, ours, strict=True)]))


_COLUMNS: tuple[tuple[str, Callable[[_Start], float]], ...] = (
    ("s", lambda start: start.answered),
    ("s of CPU", lambda start: start.cpu),
)


def _start(testbed: Testbed, starting: Callable[[Testbed, Path], Server], data: Path) -> _Start:
    with ExitStack() as stack:
        begun = time.perf_counter()
        server = starting(replace(testbed, stack=stack), data)
        await_answer(server, _PATH, next(headers()), every=_EVERY_SECONDS)
        return _Start(time.perf_counter() - begun, server.cpu_seconds())
