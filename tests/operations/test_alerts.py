"""The alerts fire when they should, by Prometheus' own checker."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.harness.missing import missing
from tests.harness.processes import ROOT
from tests.harness.server import MlflowServer
from tests.operations.test_observability import COMPONENT, alerts

HISTORIES = Path(__file__).with_name("alerts.yaml")


@pytest.fixture(scope="session")
def promtool() -> str:
    """Where ``scripts/promtool`` put it, or where the machine has it."""
    found = os.environ.get("PROMTOOL") or shutil.which("promtool")
    return found or missing("promtool is missing: scripts/promtool")


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """The rules as Prometheus reads them, without the object that the operator takes them from."""
    file = tmp_path / "rules.yaml"
    resource = yaml.safe_load((COMPONENT / "prometheusrule.yaml").read_text())
    file.write_text(yaml.safe_dump(resource["spec"]))
    return file


def run(*command: str | Path, text: str | None = None) -> str:
    ended = subprocess.run(command, input=text, capture_output=True, text=True, check=False, cwd=ROOT)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def test_prometheus_takes_every_rule(promtool: str, rules: Path) -> None:
    assert f"{len(alerts())} rules found" in run(promtool, "check", "rules", rules)


def test_each_alert_fires_in_trouble_and_none_in_good_health(promtool: str, rules: Path) -> None:
    shutil.copy(HISTORIES, rules.parent)
    run(promtool, "test", "rules", rules.parent / HISTORIES.name)


def test_the_histories_know_every_alert() -> None:
    text = HISTORIES.read_text()
    assert [alert["alert"] for alert in alerts() if f'alertname="{alert["alert"]}"' not in text] == []


def test_prometheus_reads_the_page_and_finds_nothing_to_criticize(
    promtool: str, server: MlflowServer, scraper: str
) -> None:
    page = server.ask("GET", "/metrics", token=scraper).text
    ours = "".join(line for line in page.splitlines(keepends=True) if "workspace_authz_" in line)
    assert run(promtool, "check", "metrics", text=ours) == ""
