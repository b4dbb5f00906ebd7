"""Sends costly inputs to both servers and compares what they paid."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from random import Random
from typing import Final
from zlib import crc32

from tests.fuzz.costly.costs import CPU_FLOOR, LIMIT, Row
from tests.fuzz.costly.inputs import Route, costly_inputs, some_of
from tests.fuzz.costly.pair import Pair
from tests.fuzz.wire import Wire
from tests.scenarios.people import TEAM_A
from workspace_authz.catalog.entries import Entry

_LOOKS: Final = 2
"""So often is an input sent again that seems to cost too much."""


@dataclass(slots=True)
class Campaign:
    """The inputs that one seed makes."""

    pair: Pair
    size: int
    chance: int
    seed: str
    rows: list[Row] = field(default_factory=list)

    def try_route(
        self, entry: Entry, *, caller: str, most: int | None = None, only: str = ""
    ) -> Iterator[Row]:
        """Every input for a route, or so many by chance; ``only`` is a regular expression for their names."""
        guarded, stock = (self._inputs(entry, caller, most, of_stock=side) for side in (False, True))
        for (name, own), (_, theirs) in zip(guarded, stock, strict=True):
            if not re.search(only, name):
                continue
            row = self._row(entry, name, caller, own=own, theirs=theirs)
            self.rows.append(row)
            yield row

    def try_slow(self, entry: Entry, *, caller: str) -> Row:
        """The route with clients that send half of a body."""
        wires = [self._route(entry, caller, of_stock=side).wire() for side in (False, True)]
        for wire in wires:
            wire.content = (wire.content or b"") + b" " * self.size
        row = Row(
            f"{entry.method} {entry.path}",
            "slow",
            caller,
            self.size,
            self.pair.guarded.slow_cost(wires[0], caller=caller),
            self.pair.stock.slow_cost(wires[1], caller=caller),
        )
        self.rows.append(row)
        return row

    def _route(self, entry: Entry, caller: str, *, of_stock: bool) -> Route:
        side = self.pair.stock if of_stock else self.pair.guarded
        rng = Random(crc32(f"{entry.method} {entry.path} {caller} {self.seed}".encode()))
        return Route(entry, side.call(entry.route.operation), TEAM_A, self.size, self.chance, rng)

    def _inputs(
        self, entry: Entry, caller: str, most: int | None, *, of_stock: bool
    ) -> list[tuple[str, Wire]]:
        route = self._route(entry, caller, of_stock=of_stock)
        return list(costly_inputs(route)) if most is None else some_of(route, most)

    def _row(self, entry: Entry, name: str, caller: str, *, own: Wire, theirs: Wire) -> Row:
        size = len(own.content or b"") + len(own.target) + sum(len(a) + len(b) for a, b in own.headers)
        guarded, stock = self.pair.guarded, self.pair.stock

        def looked(*, probed: bool) -> Row:
            return Row(
                f"{entry.method} {entry.path}",
                name,
                caller,
                size,
                guarded.cost(own, caller=caller, probed=probed),
                stock.cost(theirs, caller=caller, probed=probed),
            )

        row = looked(probed=False)
        for _ in range(_LOOKS):
            if not set(row.problems) - {LIMIT}:
                break  # also when stock pays as much
            again = looked(probed=False)
            row = Row(
                row.route, name, caller, size, row.guarded.least(again.guarded), row.stock.least(again.stock)
            )
        if row.guarded.cpu > CPU_FLOOR:
            pause = guarded.cost(own, caller=caller, probed=True).pause
            row = replace(row, guarded=replace(row.guarded, pause=pause))
        return row
