"""``MLFLOW_TRACKING_URI=http://host//`` works with stock MLflow, and so it does behind the guard."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from tests.harness.http import Answer
from tests.harness.sdk import sdk
from tests.isolation.world import ARTIFACTS, World
from tests.scenarios import steps
from tests.scenarios.people import TEAM_A, TEAM_B

SEARCH = "/api/2.0/mlflow/experiments/search?max_results=5"


@pytest.mark.parametrize("slashes", ["//", "///"])
def test_the_sdk_works_as_with_stock_mlflow(
    guarded: World, stock: World, tmp_path: Path, slashes: str
) -> None:
    for world in (stock, guarded):
        home = tmp_path / ("stock" if world is stock else "guarded")
        token = world.tokens.get(TEAM_A)
        with sdk(world.server.url + slashes, home, token=token, workspace=TEAM_A) as person:
            experiment = person.run(steps.create_experiment, f"slashes {secrets.token_hex(4)}")
            made = person.run(steps.log_run, experiment)
            person.run(steps.upload, made, "a.txt", b"mine")
            assert person.run(steps.download, made, "a.txt") == b"mine"
            assert person.run(steps.trace, experiment)


@pytest.mark.parametrize(
    "path", [SEARCH, "/health", "/version", "/api/3.0/mlflow/server-info", "/get-artifact"]
)
def test_each_server_answers_as_without_the_slashes(guarded: World, stock: World, path: str) -> None:
    for world in (stock, guarded):
        plain = world.ask("GET", path)
        for more in ("/", "//"):
            answer = world.ask("GET", more + path)
            assert (answer.status, _content(answer)) == (plain.status, _content(plain)), more


def _content(answer: Answer) -> object:
    """Stock MLflow serves some routes twice, by FastAPI and with other blanks by Flask."""
    return answer.json if answer.body.startswith(b"{") else answer.body


def test_slashes_lead_around_no_rule(guarded: World, guarded_ids: dict[str, str]) -> None:
    stranger = World(guarded.server, {TEAM_A: guarded.tokens[TEAM_B]})
    foreign = f"{ARTIFACTS}/workspaces/{TEAM_B}/{guarded_ids[TEAM_B]}/traces.json"
    for more in ("", "/", "//", "/%2f"):
        assert stranger.ask("GET", more + SEARCH).status in (403, 404)
        assert guarded.server.ask_root("GET", more + SEARCH).status == 401
        assert guarded.ask("GET", more + foreign).status in (403, 404)
        assert guarded.ask("PUT", f"{more}{ARTIFACTS}//x", body=b"x").status in (400, 403, 404)
    for path in ("/metrics", "//metrics", "///metrics"):
        assert guarded.server.ask_root("GET", path).status == 401
    assert guarded.ask("GET", "/%2f" + SEARCH[1:]).status == 404
