"""What browsers do besides requests: preflights and HEAD, compared with an MLflow that nobody guards."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.harness.http import Answer
from tests.harness.server import MlflowServer, ServerOptions, mlflow_server
from tests.scenarios.people import TEAM_A, Cluster
from workspace_authz.doors.browser.assets import Assets

SEARCH = "/ajax-api/2.0/mlflow/experiments/search?max_results=1"
PATHS = [SEARCH, "/", "/health", "/version", "/graphql", "/ajax-api/3.0/mlflow/mcp-servers", "/v1/traces"]
ORIGINS = ["https://evil.example", "null"]


@pytest.fixture(scope="module")
def unguarded(database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """Stock MLflow."""
    options = ServerOptions(database=database, workspaces=False)
    with mlflow_server(tmp_path_factory.mktemp("unguarded"), options) as server:
        yield server


def preflight(server: MlflowServer, path: str, origin: str) -> Answer:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,x-mlflow-workspace",
    }
    return server.ask("OPTIONS", path, headers=headers)


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("path", PATHS)
def test_a_preflight_is_answered_as_by_mlflow(
    server: MlflowServer, unguarded: MlflowServer, path: str, origin: str
) -> None:
    """Given a browser, which sends no credential with a preflight, then the answer is MLflow's own."""
    ours, theirs = preflight(server, path, origin), preflight(unguarded, path, origin)
    assert ours.without("date") == theirs.without("date")


@pytest.mark.parametrize("origin", ORIGINS)
def test_a_refusal_can_be_read_by_a_page_that_mlflow_trusts_and_by_no_other(
    server: MlflowServer, unguarded: MlflowServer, origin: str
) -> None:
    ours = server.ask("GET", SEARCH, headers={"Origin": origin})
    theirs = unguarded.ask("GET", SEARCH, headers={"Origin": origin})
    for name in ("access-control-allow-origin", "access-control-allow-credentials"):
        assert ours.header(name) == theirs.header(name)
    assert ours.header("vary") == ["Origin"]


@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1:8888"])
def test_a_page_on_the_callers_machine_may_read_nothing(server: MlflowServer, origin: str) -> None:
    """Given a page of another program on the caller's machine, then it is foreign, unlike to stock MLflow."""
    asked = preflight(server, SEARCH, origin)
    assert (asked.status, asked.header("access-control-allow-origin")) == (400, [])
    read = server.ask("GET", SEARCH, headers={"Origin": origin})
    assert read.header("access-control-allow-origin") == []


def test_a_foreign_page_cannot_change_anything(server: MlflowServer, cluster: Cluster) -> None:
    """Given a page of another origin, when it posts with somebody's credential, then MLflow refuses it."""
    answer = server.ask(
        "POST",
        "/ajax-api/2.0/mlflow/experiments/create",
        token=cluster.people.alice.token,
        workspace=TEAM_A,
        headers={"Origin": "https://evil.example"},
        json_body={"name": "forged"},
    )
    assert answer.status == 403
    by_name = "/api/2.0/mlflow/experiments/get-by-name?experiment_name=forged"
    assert server.ask("GET", by_name, token=cluster.people.alice.token, workspace=TEAM_A).status == 404


@pytest.mark.parametrize("host", ["evil.example", "mlflow.internal:5000"])
def test_a_foreign_host_is_refused_as_by_mlflow(
    server: MlflowServer, unguarded: MlflowServer, host: str
) -> None:
    """Given a name that somebody rebound to this server, then MLflow's own protection is still in front."""
    for path in (SEARCH, "/ajax-api/3.0/mlflow/mcp-servers"):
        ours = server.ask("GET", path, headers={"Host": host})
        theirs = unguarded.ask("GET", path, headers={"Host": host})
        assert (ours.status, ours.body) == (theirs.status, theirs.body)


@pytest.mark.parametrize("path", ["/", "/health", "/version", SEARCH, "/ajax-api/3.0/mlflow/mcp-servers"])
def test_head_is_answered_as_by_mlflow(
    server: MlflowServer, unguarded: MlflowServer, cluster: Cluster, path: str
) -> None:
    """Given somebody who may, then HEAD is what it is without a guard; given nobody, a 401 without body."""
    token = cluster.people.alice.token
    ours = server.ask("HEAD", path, token=token, workspace=TEAM_A)
    theirs = unguarded.ask("HEAD", path)
    assert (ours.status, ours.body) == (theirs.status, b"")
    assert ours.header("content-type") == theirs.header("content-type")
    anonymous = server.ask("HEAD", path, workspace=TEAM_A)
    assert anonymous.status == (200 if path in ("/", "/health", "/version") else 401)
    assert anonymous.body == b""


def test_the_page_itself_is_mlflows_own_with_our_tags(server: MlflowServer, unguarded: MlflowServer) -> None:
    ours, theirs = server.ask("GET", "/").text, unguarded.ask("GET", "/").text
    tags = Assets(static_prefix="", assistant=False).tags.decode()
    assert ours == theirs.replace("</head>", f"{tags}</head>")


@pytest.mark.parametrize("place", ["/", "/get-artifact?path=x&run_id=1"])
def test_a_page_that_nobody_is_signed_in_for_challenges_the_browser(server: MlflowServer, place: str) -> None:
    """Given a server without a sign-in, then the browser asks for a password before it draws the page."""
    typed = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    answer = server.ask("GET", place, headers=typed, workspace=TEAM_A)
    assert (answer.status, len(answer.header("www-authenticate"))) == (401, 2)
    assert "MLFLOW_TRACKING_TOKEN" in answer.text


def test_the_ui_is_told_why_a_document_is_refused_and_the_record_says_that_it_is(
    server: MlflowServer, cluster: Cluster
) -> None:
    document = {"query": '{ mlflowGetExperiment(input: {experimentId: "0"}) { experiment { name } } }'}
    ask = partial(
        server.ask,
        "POST",
        "/graphql",
        token=cluster.people.mallory.token,
        workspace=TEAM_A,
        json_body=document,
    )
    server.skip_records()
    program, page = ask(), ask(headers={"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"})
    assert (program.status, page.status) == (403, 200)
    assert page.json["errors"][0]["message"] == program.json["message"]
    assert [record["status"] for record in server.records(2)] == [403, 403]
