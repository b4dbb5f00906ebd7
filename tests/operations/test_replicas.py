"""All workers of all replicas behave as one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from tests.harness.http import Http, bearer
from tests.harness.server import WORKSPACE
from tests.operations.replicas import SETTLING_SECONDS, Replicas, connections
from tests.scenarios.waiting import until

SEARCH = "/api/2.0/mlflow/experiments/search?max_results=1"
LIST = "/api/3.0/mlflow/workspaces"
TEAM = "team-r"


@dataclass(frozen=True)
class Everybody:
    """Every worker, asked by one user."""

    workers: Sequence[Http]
    token: str

    def follow(self, *, allowed: bool) -> None:
        """All of them act so soon."""
        for worker in self.workers:
            until(partial(self._is, worker, allowed=allowed))

    def remember(self, *, allowed: bool) -> None:
        """All of them act so when decisions are kept for long, and keep this one."""
        time.sleep(1.2 * SETTLING_SECONDS)
        for worker in self.workers:
            assert self._is(worker, allowed=allowed)

    def _is(self, worker: Http, *, allowed: bool) -> bool:
        return self._may(worker) is self._lists(worker) is allowed

    def _may(self, worker: Http) -> bool:
        status = worker.request("GET", SEARCH, headers={**bearer(self.token), WORKSPACE: TEAM}).status
        assert status in (200, 403)
        return status == 200

    def _lists(self, worker: Http) -> bool:
        answer = worker.request("GET", LIST, headers=bearer(self.token))
        assert answer.status == 200, answer.text
        return TEAM in [one["name"] for one in answer.json.get("workspaces", ())]


def test_a_grant_and_its_end_take_effect_on_every_worker(replicas: Replicas) -> None:
    """Given decisions that all workers remember, when kubectl changes the right, then all of them follow."""
    kubectl = replicas.kubectl
    kubectl(f"create namespace {TEAM}")
    with ExitStack() as stack:
        each = [stack.enter_context(connections(server)) for server in replicas.servers]
        workers = [worker for some in each for worker in some]
        assert len(workers) == 6
        everybody = Everybody(workers, replicas.dora.token)
        everybody.remember(allowed=False)
        kubectl(f"-n {TEAM} create rolebinding dora --clusterrole=view --user=dora")
        everybody.follow(allowed=True)
        everybody.remember(allowed=True)
        kubectl(f"-n {TEAM} delete rolebinding dora")
        everybody.follow(allowed=False)
