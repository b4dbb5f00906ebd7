"""One GET of ``/metrics`` is the whole server, for those whom Kubernetes lets see it."""

from __future__ import annotations

import pytest

from tests.harness.server import MlflowServer
from tests.operations.exposition import Page
from tests.operations.workers import only, workers
from tests.scenarios.people import TEAM_A, TEAM_B, Cluster

SEARCH = "/api/2.0/mlflow/experiments/search?max_results=1"
MLFLOWS_OWN = "mlflow_http_request_total"


def scrape(server: MlflowServer, token: str) -> Page:
    answer = server.ask("GET", "/metrics", token=token)
    assert answer.status == 200, answer.text
    return Page.read(answer.text)


def test_one_page_has_the_requests_of_all_workers(
    server: MlflowServer, cluster: Cluster, scraper: str
) -> None:
    """Given a request served by each of two workers, when either is scraped, then it tells of both."""
    people, pids = cluster.people, workers(server)
    assert len(pids) == 2
    for pid in pids:
        with only(server, pid):
            before = scrape(server, scraper)  # what a worker served before, it may not have written yet
    for pid in pids:
        with only(server, pid):
            assert server.ask("GET", SEARCH, token=people.alice.token, workspace=TEAM_A).status == 200
            assert server.ask("GET", SEARCH, token=people.mallory.token, workspace=TEAM_A).status == 403
            scrape(server, scraper)  # whoever is looked at writes; the others, which stand still, cannot
    for pid in pids:
        with only(server, pid):
            page = scrape(server, scraper)
        risen = page.since(before)
        assert risen.total("workspace_authz_request_seconds_count", outcome="allow") == 2
        assert risen.total("workspace_authz_refusals_total", code="PERMISSION_DENIED") == 2
        assert risen.total("workspace_authz_decisions_total", resource="experiments", outcome="allow") == 2
        assert risen.total(MLFLOWS_OWN, status="200") == 2
        assert page.total("workspace_authz_workers_ready") == 2


@pytest.mark.parametrize("path", ["/metrics", "/mlflow/metrics"])
def test_it_is_for_whom_kubernetes_lets_see_it(
    server: MlflowServer, cluster: Cluster, scraper: str, path: str
) -> None:
    def status(token: str | None, *headers: tuple[str, str]) -> int:
        return server.ask_root("GET", path, token=token, headers=headers).status

    assert status(None) == 401
    assert status("nobodys") == 401
    assert status(cluster.people.alice.token) == 403  # edit in a namespace is no right on a URL
    assert status(cluster.people.root.token) == 200
    assert status(scraper) == 200
    assert status(scraper, ("Host", "10.1.2.3:8080")) == 200  # scrapers know the pod's address only


def test_a_refusal_says_what_an_admin_would_do(server: MlflowServer, cluster: Cluster) -> None:
    refusal = server.ask("GET", "/metrics", token=cluster.trainer)
    assert refusal.json == {
        "error_code": "PERMISSION_DENIED",
        "message": 'forbidden: User "system:serviceaccount:team-a:trainer" cannot get path "/metrics". '
        "An administrator of the cluster can allow it: kubectl create clusterrolebinding "
        "trainer-mlflow-metrics --clusterrole=mlflow-metrics --serviceaccount=team-a:trainer",
    }


def test_mlflows_own_page_is_not_to_be_had_otherwise(server: MlflowServer, cluster: Cluster) -> None:
    for method in ("POST", "OPTIONS", "PUT"):
        answer = server.ask_root(method, "/metrics", token=cluster.people.root.token)
        assert MLFLOWS_OWN not in answer.text
        assert answer.status in (200, 404, 405)
    assert server.ask_root("GET", "//metrics", token=cluster.people.alice.token).status in (403, 404)


def test_no_label_names_a_user_a_workspace_or_a_token(
    server: MlflowServer, cluster: Cluster, scraper: str
) -> None:
    server.ask("GET", SEARCH, token=cluster.trainer, workspace=TEAM_A)
    server.ask("GET", SEARCH, token=cluster.people.carol.token, workspace=TEAM_B)
    assert server.ask("GET", f"/workspaces/{TEAM_A}{SEARCH}", token=cluster.trainer).status == 200
    text = scrape(server, scraper).text
    for word in (TEAM_A, TEAM_B, "trainer", "carol", 'prometheus"', cluster.trainer, scraper):
        assert word not in text
