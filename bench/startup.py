"""How much longer a guarded server takes until it is ready than stock MLflow until it answers."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace

from bench.options import Options
from bench.report import head, row, spread
from bench.servers import Server
from bench.stage import Stage


def run(stage: Stage, options: Options) -> None:
    """Print a table. The second start of each is the first that counts: the disk is warm then."""
    stage.plane  # noqa: B018 - started before the clock runs
    taken: dict[str, list[float]] = {"stock": [], "guarded": []}
    for _ in range(options.rounds + 1):
        for name, seconds in taken.items():
            with ExitStack() as stack:
                server_of = getattr(replace(stage, stack=stack), name)
                begun = time.perf_counter()
                server: Server = server_of()
                seconds.append(time.perf_counter() - begun)
                assert server.name == name
    stock, guarded = taken["stock"][1:], taken["guarded"][1:]
    head("start", "stock until /health s", "guarded until /readyz s", "difference s")
    row(
        "one worker",
        spread(stock),
        spread(guarded),
        spread([ours - theirs for theirs, ours in zip(stock, guarded, strict=True)]),
    )
