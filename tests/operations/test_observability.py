"""Alerts, dashboard and runbook speak of what a running server really shows."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.devplane.real import require_binaries
from tests.harness.processes import ROOT
from tests.harness.server import MlflowServer
from tests.manifests.kube import write_overlay
from tests.operations.exposition import Page
from tests.scenarios.people import TEAM_A, Cluster
from workspace_authz.devplane import assets

COMPONENT = ROOT / "kustomize" / "components" / "prometheus"
_METRIC = re.compile(r"(workspace_authz_\w+)(?:\{([^}]*)\})?")
_LABEL = re.compile(r"(\w+)=~?\"")
_TARGETS = frozenset({"namespace", "pod", "job", "instance"})
"""Labels that Prometheus adds itself."""


def alerts() -> list[dict[str, Any]]:
    document = yaml.safe_load((COMPONENT / "prometheusrule.yaml").read_text())
    return [rule for group in document["spec"]["groups"] for rule in group["rules"]]


def expressions(document: object) -> Iterator[str]:
    """Every query of a dashboard."""
    if isinstance(document, dict):
        yield from (value for key, value in document.items() if key in ("expr", "query"))
        for value in document.values():
            yield from expressions(value)
    elif isinstance(document, list):
        for value in document:
            yield from expressions(value)


def dashboard() -> list[str]:
    return [
        each for each in expressions(json.loads((COMPONENT / "dashboard.json").read_text())) if "_" in each
    ]


@pytest.fixture(scope="module")
def page(server: MlflowServer, cluster: Cluster, scraper: str) -> Page:
    """After a request that was decided."""
    path = "/api/2.0/mlflow/experiments/search?max_results=1"
    assert server.ask("GET", path, token=cluster.people.alice.token, workspace=TEAM_A).status == 200
    return Page.read(server.ask("GET", "/metrics", token=scraper).text)


@pytest.mark.parametrize("expression", [*(alert["expr"] for alert in alerts()), *dashboard()])
def test_every_metric_that_is_asked_for_is_there_with_its_labels(page: Page, expression: str) -> None:
    found = _METRIC.findall(expression)
    assert found
    assert [expression.count(bracket) for bracket in "({["] == [
        expression.count(bracket) for bracket in ")}]"
    ]
    grouped = {
        label.strip() for labels in re.findall(r"by \(([^)]*)\)", expression) for label in labels.split(",")
    }
    has = {label for name, _ in found for label in page.labels(name)}
    assert grouped <= has | _TARGETS
    for name, matchers in found:
        assert name in page.names
        assert set(_LABEL.findall(matchers)) <= page.labels(name) | _TARGETS


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: str(alert["alert"]))
def test_every_alert_leads_to_a_section_of_the_runbook(alert: dict[str, Any]) -> None:
    page, _, anchor = alert["annotations"]["runbook_url"].partition("#")
    assert (
        page == "https://docs.example.com/workspace-authz/operations.md"
    )  # a pager has no folder to start from
    file = ROOT / "docs" / "operations.md"
    sections = re.findall(r"^### (Mlflow\S+)$", file.read_text(), re.MULTILINE)
    assert anchor == alert["alert"].lower()
    assert alert["alert"] in sections
    assert alert["labels"]["severity"] in ("critical", "warning", "info")
    assert alert["annotations"]["summary"]


def test_the_runbook_has_no_section_too_many() -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    sections = re.findall(r"^### (Mlflow\S+)$", text, re.MULTILINE)
    assert sections == [alert["alert"] for alert in alerts()]


def test_every_metric_of_ours_is_documented(page: Page) -> None:
    ours = {name for name in page.names if name.startswith("workspace_authz_")}
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in ours}
    text = (ROOT / "docs" / "operations.md").read_text()
    listed = set(re.findall(r"^\| `(workspace_authz_\w+)`", text, re.MULTILINE))
    assert listed == families


def test_the_component_fits_the_base(tmp_path: Path) -> None:
    require_binaries()
    write_overlay(tmp_path, "prometheus")
    kubectl = str(assets.find_binary(assets.KUBECTL))
    ended = subprocess.run([kubectl, "kustomize", tmp_path], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    objects = {(each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(ended.stdout)}
    binding = objects["ClusterRoleBinding", "mlflow-metrics"]
    assert objects["ClusterRole", binding["roleRef"]["name"]]["rules"] == [
        {"nonResourceURLs": ["/metrics"], "verbs": ["get"]}
    ]
    (subject,) = binding["subjects"]
    assert ("ServiceAccount", subject["name"]) in objects
    monitor = objects["ServiceMonitor", "mlflow"]["spec"]
    service = objects["Service", "mlflow"]
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    (endpoint,) = monitor["endpoints"]
    assert endpoint["port"] in [port["name"] for port in service["spec"]["ports"]]
    assert ("Secret", endpoint["authorization"]["credentials"]["name"]) in objects
    assert "mlflow.json" in objects["ConfigMap", "mlflow-dashboard"]["data"]
