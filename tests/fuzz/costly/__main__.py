"""``python -m tests.fuzz.costly``: costly inputs for every route, guarded against stock MLflow.

Prints the worst as a table. Ends with 1 when the guarded server pays too much for one of them. The first path
of an operation gets every kind of input, from a caller with broad rights; other paths and callers get some.
"""

from __future__ import annotations

import argparse
import re
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import dropwhile
from pathlib import Path

from tests.fuzz.costly.campaign import Campaign
from tests.fuzz.costly.costs import MEMORY_FLOOR, exceeds, table
from tests.fuzz.costly.pair import BROAD, NAMED, NOBODY, Pair, pair
from tests.fuzz.world import operations
from workspace_authz.catalog.entries import Entry


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="tests.fuzz.costly", description=__doc__)
    parser.add_argument("--seed", default=str(int(time.time())))
    parser.add_argument("--size", type=int, default=64 * 1024, help="bytes of an input, about")
    parser.add_argument("--chance", type=int, default=2, help="inputs of a kind that has many")
    parser.add_argument("--others", type=int, default=4, help="inputs where not every kind is tried")
    parser.add_argument("--only", default="", help="a regular expression for 'METHOD path'")
    parser.add_argument("--first", default="", help="the operation to begin with")
    parser.add_argument("--rows", type=int, default=40, help="of the table")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # ends the servers
    print(f"COSTLY_SEED={given.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="costly-") as directory, pair(Path(directory)) as servers:
        campaign = Campaign(servers, given.size, given.chance, given.seed)
        before = [side.settled().resident for side in (servers.guarded, servers.stock)]
        for operation, entries in dropwhile(
            lambda item: given.first not in ("", item[0]), operations().items()
        ):
            chosen = [entry for entry in entries if re.search(given.only, f"{entry.method} {entry.path}")]
            _try_operation(campaign, chosen, others=given.others)
            print(f"{len(campaign.rows)} inputs until {operation}", file=sys.stderr, flush=True)
        leaks = _kept(servers, before)
    print(table(campaign.rows, most=given.rows))
    bad = [row for row in campaign.rows if row.problems]
    print(f"{len(campaign.rows)} inputs, {len(bad)} of them cost the guarded server too much")
    return 1 if bad or leaks else 0


def _try_operation(campaign: Campaign, entries: Sequence[Entry], *, others: int) -> None:
    for number, entry in enumerate(entries):
        if number:
            found = list(campaign.try_route(entry, caller=BROAD, most=others))
        else:
            found = [
                *campaign.try_route(entry, caller=BROAD),
                *campaign.try_route(entry, caller=NAMED, most=2 * others),
                *campaign.try_route(entry, caller=NOBODY, most=others),
                campaign.try_slow(entry, caller=BROAD),
            ]
        for row in found:
            if row.problems:
                print(f"| {' | '.join(row.cells)} |", flush=True)


def _kept(servers: Pair, before: Sequence[int]) -> bool:
    """Print what memory both keep. Returns whether the guarded server keeps too much."""
    guarded, stock = (
        side.settled().resident - resident
        for side, resident in zip((servers.guarded, servers.stock), before, strict=True)
    )
    print(f"memory kept at the end: guarded + {guarded >> 20} MiB, stock + {stock >> 20} MiB")
    return exceeds(guarded, stock, floor=2 * MEMORY_FLOOR)


if __name__ == "__main__":
    sys.exit(main())
