"""One team's slow requests do not make another team wait."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pytest

from tests.harness.http import Answer, Http, bearer
from tests.harness.plane import EMBEDDED
from tests.harness.server import WORKSPACE, MlflowServer, ServerOptions, mlflow_server
from tests.scenarios.people import TEAM_A, TEAM_B, Cluster
from tests.scenarios.waiting import until

pytestmark = pytest.mark.parametrize("engine", [EMBEDDED], indirect=True)

SLOW: Final = 45
"""More than anyio has threads."""
_PATIENT_SECONDS: Final = 300.0
WEBHOOKS: Final = "/api/2.0/mlflow/webhooks"
ENVIRONMENT: Final = {
    "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
    "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https",
    # Longer than the test: only a free thread lets the other team's request pass.
    "MLFLOW_WEBHOOK_REQUEST_TIMEOUT": "280",
    "MLFLOW_WEBHOOK_REQUEST_MAX_RETRIES": "0",
    "WORKSPACE_AUTHZ_WAITING_REQUESTS": "20",
    "WORKSPACE_AUTHZ_WAITING_SECONDS": "300",
}


class Silent:
    """Takes connections on loopback and answers nothing until it is closed."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=200)
        self._taken: list[socket.socket] = []
        self.busy = threading.Event()
        self._thread = threading.Thread(target=self._take, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}/"

    def _take(self) -> None:
        while True:
            try:
                taken, _ = self._socket.accept()
            except OSError:
                return
            self._taken.append(taken)
            if len(self._taken) >= 10:
                self.busy.set()

    def close(self) -> None:
        if not self._thread.is_alive():
            return
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()
        for taken in self._taken:
            taken.close()


@pytest.fixture
def silent() -> Iterator[Silent]:
    listener = Silent()
    yield listener
    listener.close()


@pytest.fixture(scope="module")
def server(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    options = ServerOptions(kubeconfig=cluster.plane.server_kubeconfig, environment=ENVIRONMENT)
    with mlflow_server(tmp_path_factory.mktemp("slow"), options) as running:
        yield running


def test_a_readers_regular_expression_holds_up_nobody(server: MlflowServer, cluster: Cluster) -> None:
    alice, bob, traces = cluster.people.alice.token, cluster.people.bob.token, "/api/3.0/mlflow/traces"

    def ask(path: str, token: str, **fields: object) -> Answer:
        answer = server.ask("POST", path, token=token, workspace=TEAM_A, json_body=fields)
        assert answer.status == 200, answer.text
        return answer

    made = ask("/api/2.0/mlflow/experiments/create", alice, name="searched").json["experiment_id"]
    where = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": made}}
    for trace, value in (("tr-long", "a" * 40 + "b"), ("tr-run", "run-17")):
        info = {"trace_id": trace, "trace_location": where, "request_time": "2026-01-01T00:00:00Z"}
        ask(traces, alice, trace={"trace_info": {**info, "state": "OK", "tags": {"t": value}}})
    refused = server.ask(
        "POST",
        f"{traces}/search",
        token=bob,
        workspace=TEAM_A,
        json_body={"locations": [where], "filter": "tag.t RLIKE '(?=a)'"},
    )
    assert (refused.status, refused.json["error_code"]) == (400, "INVALID_PARAMETER_VALUE"), refused.text
    assert "look-around" in refused.text
    for pattern, found in (("^run-[0-9]+$", ["tr-run"]), ("(a|a)+$", [])):
        searched = ask(f"{traces}/search", bob, locations=[where], filter=f"tag.t RLIKE '{pattern}'")
        assert [trace["trace_id"] for trace in searched.json.get("traces", [])] == found


def test_45_tests_of_a_webhook_that_does_not_answer_hold_up_nobody_else(
    server: MlflowServer, cluster: Cluster, silent: Silent
) -> None:
    trainer, carol = cluster.trainer, cluster.people.carol.token
    hook = {
        "name": "silent",
        "url": silent.url,
        "events": [{"entity": "REGISTERED_MODEL", "action": "CREATED"}],
    }
    made = server.ask("POST", WEBHOOKS, token=trainer, workspace=TEAM_A, json_body=hook)
    assert made.status == 200, made.text
    path = f"{WEBHOOKS}/{made.json['webhook']['webhook_id']}/test"

    def slow(_: int) -> Answer:
        own = Http(server.url, timeout=_PATIENT_SECONDS)
        headers = {**bearer(trainer), WORKSPACE: TEAM_A, "Content-Type": "application/json"}
        try:
            return own.request("POST", path, headers=headers, body=b"{}")
        finally:
            own.close()

    with ThreadPoolExecutor(SLOW) as pool:
        asked = [pool.submit(slow, number) for number in range(SLOW)]
        assert silent.busy.wait(60)
        # No other thread is free for them, and those who ask next are still served.
        for _ in range(20):
            found = server.ask(
                "POST",
                "/api/2.0/mlflow/experiments/search",
                token=carol,
                workspace=TEAM_B,
                json_body={"max_results": 1},
            )
            assert found.status == 200
        ready = server.ask("GET", "/readyz")
        assert ready.status == 200
        # 10 at a time and 20 that wait: the rest is told to come back, before a slot is free.
        until(lambda: sum(one.done() for one in asked) == SLOW - 10 - 20)
        silent.close()
        statuses = [one.result().status for one in asked]
    assert statuses.count(429) == SLOW - 10 - 20
    assert statuses.count(200) == 30
