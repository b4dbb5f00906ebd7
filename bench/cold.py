"""Callers whom the server has never seen, against a known one, with an API server that is 3 ms away."""

from __future__ import annotations

import asyncio
import itertools
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from bench.load import Sample, Work, burst
from bench.options import Options
from bench.report import head, median, row, spread
from bench.servers import Server, started
from bench.stage import Headers, Stage, headers, works

DELAY_MS = 3.0
_CLIENTS = (1, 32)


@dataclass(frozen=True, slots=True)
class Delayed:
    """A way to the API server that takes its time."""

    kubeconfig: Path
    counted: Path

    @property
    def connections(self) -> int:
        """How many were made so far."""
        return int(self.counted.read_text())


def run(stage: Stage, options: Options) -> None:
    """Print a table. A cold request has a token and a decision that the server does not know."""
    way = delayed(stage, DELAY_MS)
    guarded = stage.guarded(KUBECONFIG=str(way.kubeconfig))
    work, fresh = works(guarded)[0], itertools.count(1)
    head(
        f"{work.name}, API {DELAY_MS:g} ms away",
        "clients",
        "warm p50 ms",
        "cold p50 ms",
        "added round trips",
        "throughput cold ÷ warm",
        "added server CPU µs",
        "new connections",
    )
    for clients in _CLIENTS:
        cold = headers(lambda: next(fresh))
        for which in (headers(), cold):  # unmeasured: opens the connections that so many clients need
            asyncio.run(burst(guarded.url, work, which, clients=clients, seconds=0.5))
        before = way.connections
        pairs = [_pair(guarded, work, cold, clients=clients, options=options) for _ in range(options.rounds)]
        row(
            "",
            clients,
            f"{median(warm.p50 for warm, _ in pairs) * 1e3:.2f}",
            f"{median(cold.p50 for _, cold in pairs) * 1e3:.2f}",
            spread([(cold.p50 - warm.p50) * 1e3 / DELAY_MS for warm, cold in pairs]),
            spread([cold.throughput / warm.throughput for warm, cold in pairs]),
            spread(
                [(cold.cpu / cold.requests - warm.cpu / warm.requests) * 1e6 for warm, cold in pairs],
                digits=0,
            ),
            way.connections - before,
        )


def _pair(
    server: Server, work: Work, cold: Headers, *, clients: int, options: Options
) -> tuple[Sample, Sample]:
    samples = []
    for which in (headers(), cold):
        cpu = server.cpu_seconds()
        sample = burst(server.url, work, which, clients=clients, seconds=options.seconds / 2)
        samples.append(asyncio.run(sample).with_cpu(server.cpu_seconds() - cpu))
    return samples[0], samples[1]


def delayed(stage: Stage, milliseconds: float) -> Delayed:
    """Put a delay before the stage's API server."""
    file, counted = stage.directory / "delayed.kubeconfig", stage.directory / "connections"
    config = yaml.safe_load(Path(stage.plane["server_kubeconfig"]).read_text())
    cluster = config["clusters"][0]["cluster"]
    at = urlsplit(cluster["server"])
    command = [
        sys.executable,
        "-m",
        "bench.delay",
        str(at.hostname),
        str(at.port),
        str(milliseconds),
        str(counted),
    ]
    log = stage.directory / "delay.log"
    process = stage.stack.enter_context(started(command, log=log, environment={}))
    if process.stdout is None:
        raise RuntimeError("the delay has no output")
    cluster["server"] = f"https://127.0.0.1:{int(process.stdout.readline())}"
    file.write_text(yaml.safe_dump(config))
    return Delayed(file, counted)
