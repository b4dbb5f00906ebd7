"""Lists of very many objects, for somebody who holds rights on seven of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlencode

import pytest
from mlflow.store.model_registry.dbmodels.models import SqlRegisteredModel
from mlflow.store.tracking.dbmodels.models import (
    SqlEvaluationDataset,
    SqlExperiment,
    SqlIssue,
    SqlMCPServer,
)
from sqlalchemy import create_engine, insert, select

from tests.harness.plane import GROUP
from tests.harness.sdk import Sdk, sdk
from tests.harness.server import MlflowServer
from tests.scenarios import steps
from tests.scenarios.people import NAMED, Cluster
from tests.scenarios.waiting import until

MANY: Final = 300
NAMES: Final = tuple(f"many-{number:03}" for number in range(MANY))
SEVEN: Final = tuple(NAMES[number] for number in (0, 1, 99, 100, 150, 250, 299))
LISTED: Final = ("/ajax-api/2.0/mlflow/experiments/search", "/api/2.0/mlflow/experiments/search")


@pytest.fixture(scope="module")
def token(cluster: Cluster) -> str:
    """Lena's, who holds her rights."""
    verbs = ["get", "list", "update"]
    resources = ["experiments", "registeredmodels", "datasets", "mcpservers"]
    rule = {"apiGroups": [GROUP], "resources": resources, "verbs": verbs}
    cluster.plane.role(NAMED, "lena", rules=[{**rule, "resourceNames": list(SEVEN)}])
    cluster.plane.bind(NAMED, "lena", user=cluster.people.lena.name, kind="Role")
    return cluster.people.lena.token


@pytest.fixture(scope="module", params=["server", "oldest_server"])
def guarded(request: pytest.FixtureRequest) -> MlflowServer:
    """MLflow that can be asked for names, and one whose searches must be filtered afterwards."""
    found: MlflowServer = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def ids(guarded: MlflowServer, token: str) -> dict[str, str]:
    """The experiments by name, once lena's rights count.

    Each has an issue; there are as many models, datasets and MCP servers.
    """
    now = int(time.time() * 1000)
    times = {"created_timestamp": now, "last_updated_timestamp": now}
    named: list[dict[str, Any]] = [{"name": name, "workspace": NAMED} for name in NAMES]
    engine = create_engine(f"sqlite:///{guarded.state / 'mlflow.db'}")
    with engine.begin() as database:
        database.execute(
            insert(SqlExperiment), [{**each, "artifact_location": "mlflow-artifacts:/many"} for each in named]
        )
        database.execute(insert(SqlRegisteredModel), [{**each, "last_updated_time": now} for each in named])
        database.execute(
            insert(SqlEvaluationDataset),
            [{**each, "dataset_id": f"d-{each['name']}", "digest": "0"} for each in named],
        )
        database.execute(insert(SqlMCPServer), named)
        found = select(SqlExperiment.name, SqlExperiment.experiment_id).where(SqlExperiment.name.in_(NAMES))
        made = {name: str(key) for name, key in database.execute(found)}
        issues = [
            {"issue_id": f"iss-{name}", "experiment_id": int(key), "name": name, "description": "d", **times}
            for name, key in made.items()
        ]
        database.execute(insert(SqlIssue).values(status="pending"), issues)
    engine.dispose()
    until(
        lambda: guarded.ask("GET", f"{LISTED[1]}?max_results=1", token=token, workspace=NAMED).status == 200
    )
    return made


@pytest.fixture(scope="module")
def lena(
    ids: dict[str, str], guarded: MlflowServer, token: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sdk]:
    with sdk(guarded.uri, tmp_path_factory.mktemp("sdk"), token=token, workspace=NAMED) as process:
        yield process


@pytest.mark.parametrize("step", [steps.experiment_pages, steps.model_pages])
def test_pages_of_searches_are_full_and_complete(lena: Sdk, step: Any) -> None:
    assert lena.run(step, 3) == [list(SEVEN[:3]), list(SEVEN[3:6]), list(SEVEN[6:])]
    assert lena.run(step, 100) == [list(SEVEN)]
    assert lena.run(step, 100, "name LIKE 'many-1%'") == [["many-100", "many-150"]]


def test_pages_that_are_always_filtered_are_full_and_complete(
    guarded: MlflowServer, cluster: Cluster, ids: dict[str, str], token: str
) -> None:
    root = cluster.people.root.token

    def page(following: str, *, size: int = 3, user: str = token) -> Any:
        asked = {"max_results": size, "page_token": following, "filter_string": "status = 'pending'"}
        return guarded.ask(
            "POST", "/api/3.0/mlflow/issues/search", token=user, workspace=NAMED, json_body=asked
        )

    pages: list[list[str]] = []
    following = ""
    while following or not pages:
        document = page(following).json
        pages.append([issue["name"] for issue in document["issues"]])
        following = document.get("next_page_token", "")
        if following:
            assert page(following, size=4).status == page(following, user=root).status == 400
    assert [len(names) for names in pages] == [3, 3, 1]
    assert sorted(name for names in pages for name in names) == sorted(SEVEN)
    assert len(page("", size=300, user=root).json["issues"]) == MANY


@pytest.mark.parametrize("kind", ["datasets", "mcp_servers"])
@pytest.mark.parametrize("size", [3, 100])
def test_pages_of_other_lists_are_full_and_complete(
    guarded: MlflowServer, ids: dict[str, str], token: str, kind: str, size: int
) -> None:
    path = "datasets/search" if kind == "datasets" else "mcp-servers"
    pages: list[list[str]] = []
    query: dict[str, object] = {"max_results": size, "order_by": "name ASC"}
    while len(pages) < MANY:
        target = f"/api/3.0/mlflow/{path}?{urlencode(query)}"
        answer = guarded.ask("GET", target, token=token, workspace=NAMED)
        assert answer.status == 200, answer.text
        document = answer.json
        pages.append([found["name"] for found in document[kind]])
        if not document.get("next_page_token"):
            break
        query["page_token"] = document["next_page_token"]
    assert pages == [list(SEVEN[start : start + size]) for start in range(0, len(SEVEN), size)]


@pytest.mark.parametrize("path", LISTED)
def test_what_the_ui_asks_is_narrowed_too(
    guarded: MlflowServer, ids: dict[str, str], token: str, path: str
) -> None:
    answer = guarded.ask("GET", f"{path}?max_results=5&order_by=name+ASC", token=token, workspace=NAMED)
    assert [found["name"] for found in answer.json["experiments"]] == list(SEVEN[:5])
    for hidden in (
        "name = 'many-002'",
        f"experiment_id = '{ids['many-002']}'",
        "name LIKE '%' OR name = 'x'",
    ):
        body = {"filter": hidden, "max_results": 5}
        answer = guarded.ask("POST", path, token=token, workspace=NAMED, json_body=body)
        assert "many-" not in answer.text.replace(hidden, "")


def test_she_works_in_what_she_found(lena: Sdk, ids: dict[str, str]) -> None:
    assert lena.run(steps.workspace_names) == [NAMED]
    run = lena.run(steps.create_run, ids[SEVEN[0]])
    assert lena.run(steps.run_ids, list(ids.values())) == [run]
    assert "is forbidden" in str(lena.fails(steps.create_run, ids["many-002"]))
    assert lena.run(steps.experiment_by_name, SEVEN[0]) == ids[SEVEN[0]]
