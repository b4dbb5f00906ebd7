"""What the guard costs: CPU time of the server's processes per request, with it minus without it."""

from __future__ import annotations

from bench.options import Options
from bench.report import head, median, row, spread
from bench.stage import Stage, works
from bench.warm import in_turns

_CLIENTS = 4
_MICRO = 1e6


def run(stage: Stage, options: Options) -> None:
    """Print a table. Both servers have the same provider, event loop and HTTP parser."""
    without, guarded = stage.unguarded(), stage.guarded()
    head("server CPU a request, warm", "without the guard µs", "guarded µs", "difference µs")
    for work in zip(works(without), works(guarded), strict=True):
        pairs = in_turns([(without, work[0]), (guarded, work[1])], clients=_CLIENTS, options=options)
        row(
            work[0].name,
            f"{median(bare.cpu / bare.requests for bare, _ in pairs) * _MICRO:.0f}",
            f"{median(ours.cpu / ours.requests for _, ours in pairs) * _MICRO:.0f}",
            spread([(o.cpu / o.requests - b.cpu / b.requests) * _MICRO for b, o in pairs], digits=0),
        )
