"""A server is ready when all of its workers are."""

from __future__ import annotations

import os
import signal

from tests.harness.server import MlflowServer, wait_until_ready
from tests.operations.exposition import Page
from tests.operations.workers import workers
from tests.scenarios.people import TEAM_A, Cluster
from tests.scenarios.waiting import until


def test_a_worker_that_is_killed_is_missed_until_it_is_replaced(
    server: MlflowServer, cluster: Cluster, scraper: str
) -> None:
    """Given two workers, when one is killed, then the other says so, until uvicorn has started another."""
    search = "/api/2.0/mlflow/experiments/search?max_results=1"
    assert server.ask("GET", search, token=cluster.people.alice.token, workspace=TEAM_A).status == 200
    before = Page.read(server.ask("GET", "/metrics", token=scraper).text)
    victim, survivor = workers(server)

    server.close()
    os.kill(victim, signal.SIGKILL)
    until(lambda: server.ask("GET", "/readyz").status != 200)

    answer = server.ask("GET", "/readyz")
    assert (answer.status, answer.json["problems"]) == (503, ["1 of 2 worker processes answer."])
    assert "[-]workers failed: 1 of 2 worker processes answer." in server.ask("GET", "/readyz?verbose").text
    assert server.ask("GET", "/livez").status == 200
    page = Page.read(server.ask("GET", "/metrics", token=scraper).text)
    assert page.total("workspace_authz_workers_ready") == 1
    assert page.total("workspace_authz_workers_expected") == 2

    wait_until_ready(server)
    assert survivor in workers(server)
    page = Page.read(server.ask("GET", "/metrics", token=scraper).text)
    assert page.total("workspace_authz_workers_ready") == 2
    # Counts of the one that died are kept: a sum that falls looks to Prometheus like a restart.
    for name in ("workspace_authz_decisions_total", "workspace_authz_request_seconds_count"):
        assert page.total(name) >= before.total(name) > 0
