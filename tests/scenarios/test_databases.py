"""Rights on single objects where a database server has MLflow's data: look-ups and lists ask its tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from tests.harness.mariadb import MariaDb
from tests.harness.plane import EMBEDDED
from tests.harness.postgres import Postgres
from tests.harness.sdk import sdk
from tests.harness.server import MlflowServer, ServerOptions, mlflow_server
from tests.scenarios import steps
from tests.scenarios.conftest import studios_on
from tests.scenarios.named import (
    AllAnswers,
    answers_of,
    then_a_right_on_the_object_is_enough,
    then_another_object_is_refused,
    then_lists_have_her_objects_and_no_others,
    then_siblings_and_foreign_objects_answer_alike,
)
from tests.scenarios.naming import FOREIGN, OWN, SIBLING
from tests.scenarios.people import NAMED, TEAM_A, Cluster
from tests.scenarios.studio import Studio
from tests.scenarios.tracking_studio import ENVIRONMENT
from workspace_authz.types import recorded

POSTGRESQL, MYSQL = "PostgreSQL", "MySQL"
BROKEN: Final = {POSTGRESQL: frozenset({"AddDatasetToExperiments"}), MYSQL: frozenset[str]()}
"""MLflow 3.17.2 compares experiments' numbers with texts there, which psycopg 3 does not let pass."""

pytestmark = pytest.mark.parametrize("engine", [EMBEDDED], indirect=True)


@pytest.fixture(scope="module", params=[POSTGRESQL, MYSQL])
def database(request: pytest.FixtureRequest) -> str:
    """The kind of server that has MLflow's data."""
    return str(request.param)


@pytest.fixture(scope="module")
def server(
    database: str, cluster: Cluster, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MlflowServer]:
    holder: Postgres | MariaDb = request.getfixturevalue("postgres" if database == POSTGRESQL else "mariadb")
    options = ServerOptions(
        kubeconfig=cluster.plane.server_kubeconfig,
        backend=holder.url(holder.database()),
        environment=ENVIRONMENT,
    )
    with mlflow_server(tmp_path_factory.mktemp("on-a-database"), options) as server:
        yield server


@pytest.fixture(scope="module")
def objects(server: MlflowServer, cluster: Cluster, named_rights: None) -> Iterator[Mapping[str, Studio]]:
    with studios_on(server, cluster) as studios:
        yield studios


@pytest.fixture(scope="module")
def answers(server: MlflowServer, cluster: Cluster, objects: Mapping[str, Studio]) -> AllAnswers:
    return answers_of(server, cluster.people.nora, objects)


def test_a_right_on_the_object_is_enough(answers: AllAnswers, database: str) -> None:
    then_a_right_on_the_object_is_enough(answers, but=BROKEN[database])


@pytest.mark.parametrize("owner", [SIBLING, FOREIGN])
def test_another_object_is_refused(answers: AllAnswers, owner: str) -> None:
    then_another_object_is_refused(answers, owner)
    then_siblings_and_foreign_objects_answer_alike(answers)


def test_a_list_has_her_objects_and_no_others(answers: AllAnswers) -> None:
    then_lists_have_her_objects_and_no_others(answers)


def test_the_sdk_works_in_an_experiment_that_is_known_by_name(
    server: MlflowServer, cluster: Cluster, objects: Mapping[str, Studio], tmp_path: Path
) -> None:
    own = objects[OWN]
    with sdk(server.uri, tmp_path / "nora", token=cluster.people.nora.token, workspace=NAMED) as nora:
        run, _, trace = nora.run(steps.work_by_name, own.experiment_name)
        assert nora.run(steps.run_content, run)["metrics"] == {"accuracy": 0.5, "loss": 0.1}
        assert nora.run(steps.download, run, "note.txt") == b"content"
        assert trace in nora.run(steps.trace_ids, own.experiment)


LONG: Final = "a" * 253
"""The longest name that a service account may have."""


@pytest.fixture(scope="module")
def long_named(cluster: Cluster) -> str:
    """The token of a service account with that name, which may work with MLflow."""
    token = cluster.plane.service_account(TEAM_A, LONG)
    cluster.plane.bind(TEAM_A, "edit", account=(TEAM_A, LONG))
    cluster.plane.wait_for_access(token, TEAM_A, verb="create", resource="datasets")
    return token


def test_a_service_account_whose_name_exceeds_mlflows_columns_can_create(
    server: MlflowServer, long_named: str
) -> None:
    account = f"system:serviceaccount:{TEAM_A}:{LONG}"

    def made(path: str, document: object) -> Any:
        answer = server.ask("POST", path, token=long_named, workspace=TEAM_A, json_body=document)
        assert answer.status == 200, answer.text
        return answer.json

    experiment = made("/api/2.0/mlflow/experiments/create", {"name": "of-a-long-name"})["experiment_id"]
    run = made("/api/2.0/mlflow/runs/create", {"experiment_id": experiment})["run"]
    dataset = made("/api/3.0/mlflow/datasets/create", {"name": "d", "experiment_ids": [experiment]})
    assert run["info"]["user_id"] == dataset["dataset"]["created_by"] == recorded(account)
    assert account.startswith(run["info"]["user_id"][:200])
