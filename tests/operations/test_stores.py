"""MLflow's stores go away and come back: what readiness says, and what callers are told."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.harness.bucket import S3, environment_at, s3_server
from tests.harness.http import Answer
from tests.harness.postgres import Postgres
from tests.harness.processes import free_port
from tests.harness.server import MlflowServer, ServerOptions, starting, wait_until_ready
from tests.scenarios.people import TEAM_A, Cluster

PASSWORD = "hunter2"
BUCKET = "s3://bucket/mlflow"
PROXY = "/api/2.0/mlflow-artifacts"
_SECONDS = 900.0
_LEAK = re.compile(r"127\.0\.0\.1|localhost|psycopg|sqlalche|botocore|boto3|\[SQL|Traceback|<html", re.I)


@dataclass
class Stand:
    """A guarded server, its database and its bucket."""

    server: MlflowServer
    database: Postgres
    s3_port: int
    state: Path
    token: str
    before: list[str] = field(default_factory=list)
    """What readiness said at first."""
    experiment: str = ""
    run: str = ""
    _s3: ExitStack = field(default_factory=ExitStack)

    def start_s3(self) -> S3:
        return self._s3.enter_context(s3_server(self.state / "s3", port=self.s3_port))

    def stop_s3(self) -> None:
        self._s3.close()

    def ask(self, method: str, path: str, json_body: object = None, *, body: bytes | None = None) -> Answer:
        return self.server.ask(
            method, path, token=self.token, workspace=TEAM_A, json_body=json_body, body=body
        )

    def until(self, wanted: str) -> Answer:
        """The first answer of readiness that has ``wanted``."""
        deadline = time.monotonic() + _SECONDS
        said = "nothing"
        while time.monotonic() < deadline:
            with suppress(OSError):  # it is starting
                answer = self.server.ask("GET", "/readyz?verbose")
                if wanted in answer.text:
                    return answer
                said = answer.text
            time.sleep(0.1)
        raise AssertionError(f"{said}\n{self.server.process.output}")


@pytest.fixture(scope="module")
def stand(cluster: Cluster, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """It started when its S3 was away, then without its bucket, and now has an experiment with a run."""
    state, s3_port = tmp_path_factory.mktemp("stores"), free_port()
    with ExitStack() as stack:
        bucket = stack.enter_context(ExitStack())
        options = ServerOptions(
            kubeconfig=cluster.plane.server_kubeconfig,
            backend=postgres.url(postgres.database()).replace("mlflow@", f"mlflow:{PASSWORD}@"),
            arguments=("--artifacts-destination", BUCKET),
            environment=environment_at(f"http://127.0.0.1:{s3_port}"),
        )
        server = stack.enter_context(starting(state, options))
        stand = Stand(server, postgres, s3_port, state, cluster.people.alice.token, _s3=bucket)
        stand.before.append(stand.until("[-]artifacts failed: The artifact store does not answer.").text)
        s3 = stand.start_s3()
        stand.before.append(stand.until("[-]artifacts failed: The bucket").text)
        s3.put(f"{BUCKET}/x", b"")
        wait_until_ready(server)
        made = stand.ask("POST", "/api/2.0/mlflow/experiments/create", {"name": "stores"})
        stand.experiment = made.json["experiment_id"]
        run = stand.ask("POST", "/api/2.0/mlflow/runs/create", {"experiment_id": stand.experiment})
        stand.run = run.json["run"]["info"]["run_id"]
        yield stand


def artifact_requests(stand: Stand) -> list[Answer]:
    """One by each way to an artifact."""
    folder = f"{stand.experiment}/{stand.run}/artifacts"
    part = {"path": "big", "num_parts": 1}
    return [
        stand.ask("PUT", f"{PROXY}/artifacts/{folder}/b.txt", body=b"content"),
        stand.ask("GET", f"{PROXY}/artifacts/{folder}/a.txt"),
        stand.ask("GET", f"{PROXY}/artifacts?path={folder}"),
        stand.ask("DELETE", f"{PROXY}/artifacts/{folder}/b.txt"),
        stand.ask("POST", f"{PROXY}/mpu/create/{folder}", part),
        stand.ask("GET", f"/api/2.0/mlflow/artifacts/list?run_id={stand.run}"),
        stand.ask("GET", f"/get-artifact?run_id={stand.run}&path=a.txt"),
    ]


def database_requests(stand: Stand) -> list[Answer]:
    """Reads and writes."""
    return [
        stand.ask("POST", "/api/2.0/mlflow/experiments/search", {"max_results": 1}),
        stand.ask("POST", "/api/2.0/mlflow/experiments/create", {"name": "another"}),
        stand.ask("GET", f"/api/2.0/mlflow/runs/get?run_id={stand.run}"),
        stand.ask("GET", "/api/2.0/mlflow/registered-models/search"),
        stand.ask("POST", "/ajax-api/3.0/mlflow/traces/search", {"locations": []}),
    ]


def graphql(stand: Stand) -> Answer:
    query = "query Q($data: MlflowGetRunInput!) { mlflowGetRun(input: $data) { run { info { runId } } } }"
    return stand.ask("POST", "/graphql", {"query": query, "variables": {"data": {"runId": stand.run}}})


def test_a_server_that_has_never_reached_its_bucket_is_not_ready(stand: Stand) -> None:
    away, missing = stand.before
    assert "[-]artifacts failed: The artifact store does not answer." in away
    assert "[-]artifacts failed: The bucket of the artifact store does not exist." in missing
    for text in stand.before:
        assert not _LEAK.search(text)
    assert stand.server.ask("GET", "/readyz").status == 200


def test_a_bucket_that_goes_away_is_told_to_callers_in_a_sentence(stand: Stand) -> None:
    stand.stop_s3()
    answers = artifact_requests(stand)
    stand.start_s3().put(f"{BUCKET}/x", b"")
    for answer in answers:
        assert (answer.status, answer.json["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE"), answer.text
        assert answer.json["message"].startswith("The artifact store does not answer. ")
        assert not _LEAK.search(answer.text)
        assert str(stand.s3_port) not in answer.text
    reference = answers[1].json["message"].rpartition(" ")[2].rstrip(".")
    assert f"reference {reference}: EndpointConnectionError: Could not connect" in stand.server.process.output
    # Metadata works on, so the server stays ready.
    assert stand.server.ask("GET", "/readyz").status == 200
    assert artifact_requests(stand)[0].status == 200


def test_a_database_that_is_away_is_told_by_readiness_and_names_no_address(stand: Stand) -> None:
    """Given a PostgreSQL that is stopped, then readiness says so until it is back; then all works at once."""
    assert graphql(stand).status == 200  # builds the schema
    port = str(stand.database.port)
    with stand.database.away():
        told = stand.until("[-]database failed")
        answers, by_graphql = database_requests(stand), graphql(stand)
        artifacts = artifact_requests(stand)
        live = stand.server.ask("GET", "/livez")
    assert "[-]database failed: The database does not answer." in told.text
    wait_until_ready(stand.server)
    assert [answer.status for answer in database_requests(stand)] == [200] * 5
    assert live.status == 200
    for answer in (*answers, *artifacts):
        assert (answer.status, answer.json["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE"), answer.text
        assert answer.json["message"].startswith("MLflow's database gave no answer; try again.")
    assert "MLflow's database gave no answer; try again." in by_graphql.text
    for answer in (*answers, *artifacts, by_graphql, told):
        assert not _LEAK.search(answer.text), answer.text
        assert port not in answer.text
    reference = answers[0].json["message"].rpartition(" ")[2].rstrip(".")
    assert f"reference {reference}: OperationalError: " in stand.server.process.output


def test_no_log_has_the_databases_password(stand: Stand) -> None:
    assert PASSWORD not in stand.server.process.output
