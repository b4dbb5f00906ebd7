"""A webhook hears of its own workspace, only."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.server import ServerOptions, starting
from tests.isolation.listener import Listener, Received, listening
from tests.isolation.world import World
from tests.scenarios.people import TEAM_A, TEAM_B, Cluster

_END_SECONDS = 120.0
MODELS = "/api/2.0/mlflow/registered-models"


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as running:
        yield running


def prompt(world: World, name: str, workspace: str) -> None:
    """Nothing else here makes one, so that stock MLflow has not remembered yet who listens."""
    tags = [{"key": "mlflow.prompt.is_prompt", "value": "true"}]
    world.make(f"{MODELS}/create", {"name": name, "tags": tags}, workspace=workspace)


def heard(world: World, listener: Listener) -> tuple[list[str], str, str]:
    """Make a prompt in team-a, then one in team-b; both have a webhook. What team-a's heard, and both."""

    def arrived(workspace: str, name: str) -> Received:
        return listener.wait_for(lambda one: one.path == f"/{workspace}" and one.json["data"]["name"] == name)

    for workspace in (TEAM_A, TEAM_B):
        document = {
            "name": f"hook-{secrets.token_hex(4)}",
            "url": f"{listener.url}/{workspace}",
            "events": [{"entity": "PROMPT", "action": "CREATED"}],
        }
        world.make("/api/2.0/mlflow/webhooks", document, workspace=workspace)
    names = {workspace: f"prompt-{secrets.token_hex(4)}" for workspace in (TEAM_A, TEAM_B)}
    prompt(world, names[TEAM_A], TEAM_A)
    arrived(TEAM_A, names[TEAM_A])
    prompt(world, names[TEAM_B], TEAM_B)
    listener.wait_for(lambda one: one.json["data"]["name"] == names[TEAM_B])
    # Another event, to know that the last one has been delivered wherever it was to go.
    last = f"last-{names[TEAM_A]}"
    prompt(world, last, TEAM_A)
    arrived(TEAM_A, last)
    events = [one.json["data"]["name"] for one in listener.received if one.path == f"/{TEAM_A}"]
    return events, names[TEAM_A], names[TEAM_B]


def test_stock_mlflow_tells_one_workspace_of_anothers_prompts(stock: World, listener: Listener) -> None:
    events, own, foreign = heard(stock, listener)
    assert own in events
    assert foreign in events


def test_behind_the_guard_a_webhook_hears_of_its_own_prompts(guarded: World, listener: Listener) -> None:
    events, own, foreign = heard(guarded, listener)
    assert own in events
    assert foreign not in events
    assert [one.json["data"]["name"] for one in listener.received if one.path == f"/{TEAM_B}"] == [foreign]


@pytest.mark.parametrize("workers", [1, 2])
def test_with_another_cache_the_server_does_not_start(cluster: Cluster, tmp_path: Path, workers: int) -> None:
    options = ServerOptions(
        kubeconfig=cluster.plane.server_kubeconfig,
        workers=workers,
        environment={"MLFLOW_WEBHOOK_CACHE_TTL": "60"},
    )
    with starting(tmp_path, options) as server:
        assert server.process.process.wait(_END_SECONDS) != 0
        assert "MLFLOW_WEBHOOK_CACHE_TTL must be 0" in server.process.output
        assert "Traceback" not in server.process.output
