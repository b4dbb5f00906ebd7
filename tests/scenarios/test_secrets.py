"""Tokens appear nowhere, and the audit trail says everything else."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.harness.http import Answer
from tests.harness.server import MlflowServer, ServerOptions, mlflow_server
from tests.scenarios.people import ABSENT, TEAM_A, Cluster

SEARCH = "/api/2.0/mlflow/experiments/search?max_results=1"
INVENTED = "invented-token-that-nobody-holds-7f3a"


@pytest.fixture(scope="module")
def talkative(
    cluster: Cluster, database: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MlflowServer]:
    """A server that logs as much as it can, with its audit trail, and that serves no artifacts."""
    options = ServerOptions(
        kubeconfig=cluster.plane.server_kubeconfig,
        database=database,
        audit="stdout",
        arguments=(
            "--no-serve-artifacts",
            "--default-artifact-root",
            "/tmp/nowhere",
            "--uvicorn-opts",
            "--log-level debug",
        ),
        environment={"MLFLOW_LOGGING_LEVEL": "DEBUG", "PYTHONASYNCIODEBUG": "1"},
    )
    with mlflow_server(tmp_path_factory.mktemp("talkative"), options) as server:
        yield server


def forms_of(token: str) -> Sequence[str]:
    """A token and what a careless program would write of it."""
    half = token[: len(token) // 2]
    return (
        token,
        half,
        base64.b64encode(f"user:{token}".encode()).decode(),
        base64.b64encode(token.encode()).decode(),
    )


def provocations(server: MlflowServer, token: str) -> list[Answer]:
    """Requests that carry ``token`` wherever one can be, and that end in every way there is."""
    encoded = base64.b64encode(f"user:{token}".encode()).decode()
    carriers = [
        {"Authorization": f"Bearer {token}"},
        {"Authorization": f"Basic {encoded}"},
        {"X-Forwarded-Access-Token": token},
        {"Authorization": f"Bearer {token}", "X-Forwarded-Access-Token": "another"},
        {"Authorization": f"Bearer {token} and more"},
        {"Authorization": f"Basic {encoded}!"},
        {"X-MLflow-Authorization": f"Bearer {token}"},
    ]
    paths = [
        SEARCH,
        "/no/such/route",
        "/health",
        "/api/3.0/mlflow/workspaces",
        "/gateway/mlflow/v1/models",
        "/metrics",
    ]
    answers = [
        server.ask("GET", path, headers=carrier, workspace=workspace)
        for carrier in carriers
        for path in paths
        for workspace in (TEAM_A, ABSENT, "Not A Namespace")
    ]
    explain = {"method": "GET", "path": SEARCH}
    answers.append(
        server.ask("POST", "/workspace-authz/explain", token=token, workspace=TEAM_A, json_body=explain)
    )
    return answers


def test_no_token_appears_in_an_answer_or_in_a_log(talkative: MlflowServer, cluster: Cluster) -> None:
    """Given tokens in every place, when requests end in every way, then none is written down."""
    tokens = [cluster.people.alice.token, cluster.people.mallory.token, cluster.trainer, INVENTED]
    answers = [answer for token in tokens for answer in provocations(talkative, token)]
    assert {answer.status for answer in answers} >= {200, 400, 401, 403, 404}
    said = [answer.text + str(answer.headers) for answer in answers]
    talkative.ask("GET", "/the/last/one")
    talkative.process.wait_until(lambda: "/the/last/one" in talkative.process.output, seconds=120)
    said.append(talkative.process.output)
    for token in (*tokens, *cluster.plane.tokens):
        for form in forms_of(token):
            for text in said:
                assert form not in text


def test_the_audit_trail_can_go_to_the_log(talkative: MlflowServer, cluster: Cluster) -> None:
    talkative.ask("GET", "/one-more", token=cluster.people.alice.token)
    talkative.process.wait_until(lambda: '"path":"/one-more"' in talkative.process.output, seconds=120)
    line = next(line for line in talkative.process.output.splitlines() if '"path":"/one-more"' in line)
    record = json.loads(line)
    assert (record["user"], record["decision"], record["status"]) == ("alice", "deny", 404)


def test_a_server_that_serves_no_artifacts_warns_that_the_bucket_decides(talkative: MlflowServer) -> None:
    assert talkative.process.output.count("the bucket's own credentials decide") == 1


def test_no_token_appears_in_what_the_other_scenarios_left(server: MlflowServer, cluster: Cluster) -> None:
    """Given everything that the server wrote so far: log, audit trail, database of MLflow."""
    server.skip_records()
    for file in (
        server.process.log,
        server.audit_file,
        server.state / "mlflow.db",
        cluster.plane.process.log,
    ):
        content = file.read_bytes()
        for token in (*cluster.plane.tokens, cluster.trainer, cluster.unbound):
            assert token.encode() not in content, file


def test_the_audit_file_is_its_owners_alone(server: MlflowServer) -> None:
    assert server.audit_file.stat().st_mode & 0o077 == 0


def test_a_record_tells_who_asked_what_where_and_why_it_was_decided(
    server: MlflowServer, cluster: Cluster
) -> None:
    server.skip_records()
    token = cluster.people.bob.token
    path = "/api/2.0/mlflow/experiments/create"
    assert server.ask("POST", path, token=token, workspace=TEAM_A, json_body={"name": "n"}).status == 403
    record = server.records(1)[0]
    duration, time = record.pop("duration_ms"), record.pop("time")
    reason, source = record.pop("reason"), record["checks"][0].pop("source")
    assert record == {
        "method": "POST",
        "path": None,
        "user": "bob@example.com",
        "workspace": TEAM_A,
        "route": path,
        "operation": "CreateExperiment",
        "checks": [
            {
                "verb": "create",
                "resource": "experiments",
                "namespace": TEAM_A,
                "decision": "no-opinion",
            }
        ],
        "decision": "deny",
        "status": 403,
    }
    assert 'User "bob@example.com" cannot create' in reason
    assert source in ("review", "cache")
    assert duration >= 0
    assert time.startswith("20")


def test_every_request_leaves_one_record_whoever_asks(server: MlflowServer, cluster: Cluster) -> None:
    server.skip_records()
    asked = [
        server.ask(method, path, token=token, workspace=TEAM_A).status
        for method in ("GET", "HEAD", "POST", "OPTIONS", "DELETE")
        for path in (SEARCH, "/health", "/no/such", "/")
        for token in (None, "garbage", cluster.people.alice.token)
    ]
    records = server.records(len(asked))
    assert [record["status"] for record in records] == asked
