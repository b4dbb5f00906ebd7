"""Requests of new callers, compared with those of a known caller, with an API server that is 3 ms away."""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from bench.load import Sample, Work, burst
from bench.options import Options
from bench.raw_reviews import RawReviews
from bench.report import head, median, row, spread
from bench.servers import Server, started
from bench.testbed import Headers, Testbed, headers, works

DELAY_MS = 3.0
_CLIENTS = (1, 32)
_RAW = 50
"""Reviews of the minimal client per round."""
_WRITTEN_SECONDS = 0.5
"""The time after which a request is in the audit log."""


@dataclass(frozen=True, slots=True)
class Delayed:
    """A proxy to the API server that delays every answer."""

    kubeconfig: Path
    counted: Path

    @property
    def connections(self) -> int:
        """The number of connections made so far."""
        return int(self.counted.read_text())


@dataclass(frozen=True, slots=True)
class _Round:
    """Seconds, in the median; and two bursts."""

    one: float
    """One review of the minimal client."""
    two: float
    """Two reviews of it at the same time."""
    warm: Sample
    cold: Sample
    verdict: float
    """From a cold request's arrival to its verdict, as the audit log says."""


def run(testbed: Testbed, options: Options) -> None:
    """Print tables. A cold request has a token and a decision that the server does not know."""
    way = delayed(testbed, DELAY_MS)
    guarded = testbed.guarded(KUBECONFIG=str(way.kubeconfig))
    work, raw, fresh = works(guarded)[0], RawReviews.of(way.kubeconfig), itertools.count(1)
    for clients in _CLIENTS:
        cold = headers(lambda: next(fresh))
        for which in (headers(), cold):  # unmeasured: opens the connections that so many clients need
            asyncio.run(burst(guarded.url, work, which, clients=clients, seconds=options.seconds / 2))
        before = way.connections
        audit_log = _AuditLog(testbed.directory / "audit.jsonl")
        rounds = [
            _round(guarded, work, cold, raw=raw, audit_log=audit_log, clients=clients, options=options)
            for _ in range(options.rounds)
        ]
        _table(work, clients, rounds, connections=way.connections - before)


def _table(work: Work, clients: int, rounds: list[_Round], *, connections: int) -> None:
    def times(of: Callable[[_Round], float], *, digits: int = 2) -> str:
        return spread([of(one) for one in rounds], digits=digits)

    head(f"{work.name}, API {DELAY_MS:g} ms away, {clients} at a time", "measured")
    row("request p50, warm, ms", times(lambda r: r.warm.p50 * 1e3))
    row("request p50, cold, ms", times(lambda r: r.cold.p50 * 1e3))
    if clients == 1:
        row("from a cold request's arrival to its verdict, ms", times(lambda r: r.verdict * 1e3))
        row("a minimal client's review, ms", times(lambda r: r.one * 1e3))
        row("a minimal client's two reviews at once, ms", times(lambda r: r.two * 1e3))
        row("verdict ÷ a minimal client's review", times(lambda r: r.verdict / r.one))
        row("verdict ÷ a minimal client's two reviews at once", times(lambda r: r.verdict / r.two))
    row("throughput cold ÷ warm", times(lambda r: r.cold.throughput / r.warm.throughput))
    row("added server CPU, µs", times(lambda r: (_cpu(r.cold) - _cpu(r.warm)) * 1e6, digits=0))
    row("new connections to the API server", connections)


def _cpu(sample: Sample) -> float:
    return sample.cpu / sample.requests


def _round(
    server: Server,
    work: Work,
    cold: Headers,
    *,
    raw: RawReviews,
    audit_log: _AuditLog,
    clients: int,
    options: Options,
) -> _Round:
    tokens = [next(cold)["authorization"].removeprefix("Bearer ") for _ in range(2 * _RAW)]
    one, two = map(raw.one_review, tokens[:_RAW]), map(raw.two_reviews, tokens[_RAW:])
    medians = median(list(one)), median(list(two))
    warm = _sample(server, work, headers(), clients=clients, options=options)
    audit_log.skip()
    new = _sample(server, work, cold, clients=clients, options=options)
    return _Round(*medians, warm, new, verdict=median(audit_log.durations(new.requests)))


def _sample(server: Server, work: Work, which: Headers, *, clients: int, options: Options) -> Sample:
    cpu = server.cpu_seconds()
    sample = burst(server.url, work, which, clients=clients, seconds=options.seconds / 2)
    return asyncio.run(sample).with_cpu(server.cpu_seconds() - cpu)


@dataclass(slots=True)
class _AuditLog:
    """The audit log, read from where reading stopped."""

    file: Path
    _read: int = 0

    def skip(self) -> None:
        """Skip what has been written so far, and what is about to be written."""
        time.sleep(_WRITTEN_SECONDS)
        self._read = self.file.stat().st_size

    def durations(self, requests: int) -> list[float]:
        """The durations of the requests since, in seconds. Raises ``RuntimeError`` if some are missing."""
        time.sleep(_WRITTEN_SECONDS)
        with self.file.open() as lines:
            lines.seek(self._read)
            found = [json.loads(line)["duration_ms"] / 1e3 for line in lines]
        if len(found) != requests:
            raise RuntimeError(f"{len(found)} audit records of {requests} requests")
        return found


def delayed(testbed: Testbed, milliseconds: float) -> Delayed:
    """Start a delaying proxy before the testbed's API server."""
    file, counted = testbed.directory / "delayed.kubeconfig", testbed.directory / "connections"
    config = yaml.safe_load(Path(testbed.plane["server_kubeconfig"]).read_text())
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
    log = testbed.directory / "delay.log"
    process = testbed.stack.enter_context(started(command, log=log, environment={}))
    if process.stdout is None:
        raise RuntimeError("the delay has no output")
    cluster["server"] = f"https://127.0.0.1:{int(process.stdout.readline())}"
    file.write_text(yaml.safe_dump(config))
    return Delayed(file, counted)
