"""Two teams on one MLflow, told as one story, by the SDK in processes of their own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.sdk import Sdk, SdkError, sdk
from tests.harness.server import MlflowServer
from tests.scenarios import steps
from tests.scenarios.conftest import As
from tests.scenarios.people import TEAM_A, TEAM_B, Cluster
from tests.scenarios.waiting import until


def may(person: Sdk) -> bool:
    """Whether somebody may search experiments where they are."""
    try:
        person.run(steps.experiment_names)
    except SdkError as error:
        if error.error_code == "PERMISSION_DENIED":
            return False
        raise
    return True


def a_new(kind: str) -> str:
    return f"{kind}-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def alice(using_sdk: As, cluster: Cluster) -> Sdk:
    return using_sdk(token=cluster.people.alice.token, workspace=TEAM_A)


@pytest.fixture
def bob(using_sdk: As, cluster: Cluster) -> Sdk:
    return using_sdk(token=cluster.people.bob.token, workspace=TEAM_A)


@pytest.fixture
def carol(using_sdk: As, cluster: Cluster) -> Sdk:
    return using_sdk(token=cluster.people.carol.token, workspace=TEAM_B)


@pytest.fixture
def trainer(server: MlflowServer, cluster: Cluster, tmp_path: Path) -> Iterator[Sdk]:
    """In a pod of team-a: nothing but the files of its service account says who and where."""
    (tmp_path / "token").write_text(cluster.trainer)
    (tmp_path / "namespace").write_text(TEAM_A)
    with sdk(server.uri, tmp_path / "home") as pod:
        pod.run(steps.in_a_pod, str(tmp_path))
        yield pod


def test_the_smoke_test_of_openshift_ai(alice: Sdk) -> None:
    """When alice logs a metric with MLFLOW_TRACKING_TOKEN and MLFLOW_WORKSPACE, then it is there."""
    experiment = alice.run(steps.create_experiment, a_new("demo-experiment"))
    run = alice.run(steps.log_run, experiment, metric=0.75)
    assert alice.run(steps.run_content, run)["metrics"] == {"accuracy": 0.75}


def test_a_pod_trains_and_its_team_uses_the_model(trainer: Sdk, bob: Sdk, carol: Sdk) -> None:
    """When a pod logs and registers a model, then its team reads and loads it, the other team does not."""
    model = a_new("classifier")
    run = trainer.run(steps.log_model, model)
    assert bob.run(steps.run_content, run)["metrics"] == {"accuracy": 0.9}
    assert bob.run(steps.get_model, model) == model
    assert bob.run(steps.predict, model, "hello") == ["hello"]
    assert model not in carol.run(steps.model_names)
    assert carol.fails(steps.predict, model, "hello").error_code == "RESOURCE_DOES_NOT_EXIST"
    refused = trainer.fails(steps.delete_model, model)
    assert refused.error_code == "PERMISSION_DENIED"
    assert 'User "system:serviceaccount:team-a:trainer" cannot delete' in refused.message


def test_traces_prompts_and_datasets(alice: Sdk, bob: Sdk, carol: Sdk) -> None:
    """When alice keeps a trace, a prompt and a dataset, then bob reads them, and carol has none."""
    experiment = alice.run(steps.create_experiment, a_new("traced"))
    trace = alice.run(steps.trace, experiment)
    assert bob.run(steps.trace_ids, experiment) == [trace]
    assert bob.fails(steps.create_run, experiment).error_code == "PERMISSION_DENIED"

    prompt = a_new("prompt")
    assert alice.run(steps.register_prompt, prompt, "Say {{ what }}") == 1
    assert bob.run(steps.load_prompt, prompt) == "Say {{ what }}"
    assert bob.fails(steps.register_prompt, prompt, "Do {{ what }}").error_code == "PERMISSION_DENIED"

    dataset = a_new("dataset")
    assert alice.run(steps.create_dataset, dataset, experiment)
    denied = bob.fails(steps.create_dataset, a_new("dataset"), experiment)
    assert denied.error_code == "PERMISSION_DENIED"

    assert carol.run(steps.trace_ids, experiment) == []
    assert carol.fails(steps.create_run, experiment).error_code == "RESOURCE_DOES_NOT_EXIST"


def test_two_teams_use_the_same_names(alice: Sdk, carol: Sdk) -> None:
    """When both teams make an experiment and a model of one name, then each has its own."""
    name = a_new("same")
    one, other = alice.run(steps.create_experiment, name), carol.run(steps.create_experiment, name)
    assert one != other
    assert alice.run(steps.create_model, name) == carol.run(steps.create_model, name)
    alice.run(steps.delete_model, name)
    assert carol.run(steps.get_model, name) == name
    assert alice.run(steps.experiment_by_name, name) == one
    assert carol.run(steps.experiment_by_name, name) == other


def test_a_file_of_one_team_is_not_reached_by_the_other(alice: Sdk, carol: Sdk) -> None:
    experiment = alice.run(steps.create_experiment, a_new("files"))
    run = alice.run(steps.create_run, experiment)
    alice.run(steps.upload, run, "secret.txt", b"of team-a")
    assert alice.run(steps.download, run, "secret.txt") == b"of team-a"
    assert carol.fails(steps.download, run, "secret.txt").error_code == "RESOURCE_DOES_NOT_EXIST"
    assert carol.fails(steps.artifacts, run).error_code == "RESOURCE_DOES_NOT_EXIST"


def test_a_model_goes_to_production(alice: Sdk, bob: Sdk) -> None:
    """When alice moves a version to a stage, then it is there, and bob, who views, moves none."""
    model = a_new("staged")
    experiment = alice.run(steps.create_experiment, a_new("staged"))
    alice.run(steps.create_model, model)
    version = alice.run(steps.create_version, model, alice.run(steps.create_run, experiment))
    assert alice.run(steps.move_to_stage, model, version, "Production") == "Production"
    refused = bob.fails(steps.move_to_stage, model, version, "Archived")
    assert refused.error_code == "PERMISSION_DENIED"


def test_mallory_gets_nowhere(using_sdk: As, cluster: Cluster) -> None:
    mallory = using_sdk(token=cluster.people.mallory.token)
    assert mallory.run(steps.workspace_names) == []
    for team in (TEAM_A, TEAM_B):
        mallory.run(steps.work_in, team)
        for error in (
            mallory.fails(steps.experiment_names),
            mallory.fails(steps.create_experiment, a_new("mine")),
            mallory.fails(steps.create_model, a_new("mine")),
        ):
            assert error.error_code == "PERMISSION_DENIED"
            assert "forbidden" in error.message


def test_without_a_token_the_sdk_is_told_how_to_get_one(using_sdk: As) -> None:
    error = using_sdk(workspace=TEAM_A).fails(steps.experiment_names)
    assert "401" in error.message or error.error_code == "UNAUTHENTICATED"
    assert "oc whoami -t" in error.message


def test_a_binding_lets_bob_into_the_other_team_and_its_removal_sends_him_away(
    using_sdk: As, cluster: Cluster
) -> None:
    visitor = using_sdk(token=cluster.people.bob.token, workspace=TEAM_B)
    assert visitor.fails(steps.experiment_names).error_code == "PERMISSION_DENIED"
    binding = cluster.plane.bind(TEAM_B, "view", user=cluster.people.bob.name)
    until(lambda: TEAM_B in visitor.run(steps.workspace_names))
    until(lambda: may(visitor))
    assert visitor.fails(steps.create_experiment, a_new("too much")).error_code == "PERMISSION_DENIED"
    cluster.plane.delete(binding)
    until(lambda: TEAM_B not in visitor.run(steps.workspace_names))
    until(lambda: not may(visitor))
