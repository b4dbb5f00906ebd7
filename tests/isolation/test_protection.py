"""Unknown callers learn of no namespace. MLflow's protection against other sites and hosts stays on."""

from __future__ import annotations

import json

import pytest

from tests.harness.http import Answer
from tests.isolation.world import ARTIFACTS, DEFAULT, World
from tests.scenarios.people import ABSENT, HIDDEN, TEAM_A

FLASK = "/api/2.0/mlflow/experiments/search?max_results=1"
NATIVE = "/api/3.0/mlflow/mcp-servers"
EXPLAIN = "/workspace-authz/explain"
QUESTION = {"method": "GET", "path": "/api/2.0/mlflow/experiments/search"}

# What an unknown caller may ask: everything that answers without a credential, and what answers 401.
OPEN = (
    *("/", "/version", "/health", "/static-files/index.html", "/static-files/absent.js", "/build/absent.js"),
    *("/api/3.0/mlflow/server-info", "/ajax-api/3.0/mlflow/server-info", "/livez", "/readyz"),
)
CLOSED = (FLASK, NATIVE, f"{ARTIFACTS}/1/x", "/api/3.0/mlflow/workspaces", "/graphql", "/nowhere", "/metrics")
NAMES = (TEAM_A, HIDDEN, ABSENT, DEFAULT, "kube-system", "No-Namespace", "", "../x", "api")


def comparable(answer: Answer) -> Answer:
    return answer.without("date", "last-modified", "etag", "expires", "cache-control")


@pytest.mark.parametrize("path", [*OPEN, *CLOSED])
def test_no_workspace_header_changes_what_an_unknown_caller_hears(guarded: World, path: str) -> None:
    expected = guarded.server.ask("GET", path)
    assert expected.status == 401 or path in OPEN
    for name in NAMES:
        for token in (None, "no-token-of-anybody"):
            if token and path in CLOSED:
                continue
            answer = guarded.server.ask("GET", path, workspace=name, token=token)
            assert comparable(answer) == comparable(expected), name


@pytest.mark.parametrize("path", CLOSED)
def test_nor_what_somebody_with_a_bad_token_hears(guarded: World, path: str) -> None:
    answers = {comparable(guarded.server.ask("GET", path, workspace=name, token="x")) for name in NAMES}
    assert [answer.status for answer in answers] == [401]


def test_stock_mlflow_tells_unknown_callers_which_workspaces_exist(stock: World) -> None:
    assert stock.server.ask("GET", "/version", workspace=TEAM_A).status == 200
    assert stock.server.ask("GET", "/version", workspace=ABSENT).status == 404


def with_host(world: World, method: str, path: str, host: str) -> Answer:
    body = json.dumps(QUESTION).encode() if path == EXPLAIN else None
    return world.ask(method, path, headers={"Host": host}, body=body)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", FLASK),
        ("GET", NATIVE),
        ("GET", "/"),
        ("GET", "/nowhere"),
        ("POST", "/v1/traces"),
        ("POST", "/gateway/openai/v1/responses"),
        ("POST", EXPLAIN),
    ],
)
def test_another_host_is_refused_everywhere(guarded: World, method: str, path: str) -> None:
    refused = with_host(guarded, method, path, "evil.example")
    assert refused.status == 403
    assert refused.text.startswith("Invalid Host header")
    assert with_host(guarded, method, path, "localhost:5000").status != 403


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_but_for_probes_which_know_the_pods_address_only(guarded: World, path: str) -> None:
    answer = with_host(guarded, "GET", path, "10.1.2.3:8080")
    assert answer.status == 200
    assert answer.json == {"status": "ok"}


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("/api/2.0/mlflow/experiments/create", {"name": "made by another site"}),
        (NATIVE, {"name": "made/by-another-site"}),
        (EXPLAIN, QUESTION),
        ("/graphql", {"query": "{ __typename }"}),
    ],
)
def test_another_sites_requests_change_nothing(guarded: World, path: str, document: object) -> None:
    for origin in ("https://evil.example", "null", "http://localhost:3000"):
        refused = guarded.ask("POST", path, headers={"Origin": origin}, json_body=document)
        assert refused.status == 403
        assert "Cross-origin request blocked" in refused.text
    own = {"Origin": guarded.server.url}
    assert guarded.ask("POST", path, headers=own, json_body=document).status == 200


@pytest.mark.parametrize("path", [FLASK, NATIVE, EXPLAIN])
def test_another_site_gets_no_leave_by_asking_first(guarded: World, path: str) -> None:
    for origin in ("https://evil.example", "http://localhost:3000"):
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        answer = guarded.server.ask("OPTIONS", path, headers=asked)
        assert answer.status == 400
        assert not answer.header("access-control-allow-origin")
