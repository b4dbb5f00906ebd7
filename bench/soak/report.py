"""What came of a run, as tables."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bench.report import head, row
from bench.soak.ledger import Change
from bench.soak.run import Outcome

_COLUMNS = 8


def tell(outcome: Outcome, *, target: float) -> None:
    """Print it all. ``target``: seconds, what the 99th percentile of a change's lateness should be."""
    _requests(outcome)
    _changes(outcome, target=target)
    _memory(outcome)
    print()
    for text in outcome.tally.violations:
        print(f"VIOLATION: {text}")
    print(f"{outcome.tally.violated} violations", flush=True)


def _requests(outcome: Outcome) -> None:
    tally = outcome.tally
    head("requests", "per second", "p50 ms", "p99 ms", "longest ms", "answers")
    number = len(tally.latencies)
    row(
        number,
        f"{number / outcome.seconds:.0f}",
        _ms(percentile(tally.latencies, 50)),
        _ms(percentile(tally.latencies, 99)),
        _ms(max(tally.latencies, default=0.0)),
        ", ".join(f"{status}: {count}" for status, count in sorted(tally.statuses.items())),
    )


def _changes(outcome: Outcome, *, target: float) -> None:
    print("\nTime from the API server's answer to the last request sent that got the old answer; in brackets")
    print("to when such an answer arrived. The change took effect between the two.")
    head("change", "number", "p50 ms", "p99 ms", "worst ms", f"p99 ≤ {_ms(target)} ms")
    for kind in sorted({case.switch.kind for case in outcome.cases}):
        changes = [
            change for case in outcome.cases if case.switch.kind == kind for change in case.ledger.changes[1:]
        ]
        for word, allowed in (("given", True), ("taken", False)):
            _kind(f"{kind} {word}", [one for one in changes if one.allowed is allowed], target=target)


def _kind(name: str, changes: Sequence[Change], *, target: float) -> None:
    late, until = [change.late for change in changes], [change.until for change in changes]
    measured = (
        f"{_ms(percentile(late, number))} ({_ms(percentile(until, number))})" for number in (50, 99, 100)
    )
    row(name, len(late), *measured, "yes" if percentile(late, 99) <= target else "no")


def _memory(outcome: Outcome) -> None:
    samples = outcome.memory.samples
    shown = samples[:: max(1, len(samples) // _COLUMNS)]
    head("seconds", *(f"{moment:.0f}" for moment, _ in shown))
    row("MiB resident", *(f"{size:.0f}" for _, size in shown))
    print(f"\nFrom the third quarter to the last it grew by {outcome.memory.growth:.1f} MiB.")


def percentile(values: Sequence[float], number: int) -> float:
    """The value that ``number`` per cent of them do not exceed; 0 without values."""
    return sorted(values)[math.ceil(len(values) * number / 100) - 1] if values else 0.0


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.0f}"
