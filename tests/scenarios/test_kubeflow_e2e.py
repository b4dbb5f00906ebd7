"""The six scenarios of Kubeflow's own end-to-end suite, told again (see FEATURES.md, 5a)."""

from __future__ import annotations

import uuid

import pytest

from tests.harness.sdk import Sdk
from tests.harness.server import MlflowServer
from tests.scenarios import steps
from tests.scenarios.conftest import As
from tests.scenarios.people import HIDDEN, TEAM_A, TEAM_B, Cluster


def a_new(kind: str) -> str:
    return f"{kind}-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def editor(using_sdk: As, cluster: Cluster) -> Sdk:
    return using_sdk(token=cluster.people.alice.token, workspace=TEAM_A)


@pytest.fixture
def viewer(using_sdk: As, cluster: Cluster) -> Sdk:
    return using_sdk(token=cluster.people.bob.token, workspace=TEAM_A)


@pytest.fixture
def nobody(using_sdk: As, cluster: Cluster) -> Sdk:
    return using_sdk(token=cluster.unbound, workspace=TEAM_A)


def test_health(server: MlflowServer) -> None:
    """When anybody asks for the health, then it is OK."""
    answer = server.ask("GET", "/health")
    assert (answer.status, answer.text) == (200, "OK")


def test_workspace_discovery(using_sdk: As, cluster: Cluster) -> None:
    """Given a labelled and an unlabelled namespace, when somebody with rights in both lists, one is there."""
    listed = using_sdk(token=cluster.people.root.token).run(steps.workspace_names)
    assert TEAM_A in listed
    assert TEAM_B in listed
    assert HIDDEN not in listed


def test_tracking(editor: Sdk) -> None:
    """Given edit, when a team works with experiments, runs, artifacts and models, then all of it works."""
    experiment = editor.run(steps.create_experiment, a_new("tracked"))
    run = editor.run(steps.log_run, experiment, metric=0.75)
    assert editor.run(steps.run_content, run) == {
        "metrics": {"accuracy": 0.75},
        "params": {"depth": "3"},
        "purpose": "scenario",
        "status": "FINISHED",
    }
    assert editor.run(steps.run_ids, [experiment]) == [run]

    content = bytes(range(256)) * 100
    editor.run(steps.upload, run, "data.bin", content)
    assert editor.run(steps.artifacts, run) == ["data.bin"]
    assert editor.run(steps.download, run, "data.bin") == content

    model = editor.run(steps.create_model, a_new("model"))
    assert editor.run(steps.get_model, model) == model
    assert model in editor.run(steps.model_names)


def test_viewing(editor: Sdk, viewer: Sdk) -> None:
    """Given view, when somebody reads it works, and when they change anything it is refused."""
    name = a_new("viewed")
    experiment = editor.run(steps.create_experiment, name)
    model = editor.run(steps.create_model, a_new("viewed"))

    assert viewer.run(steps.experiment_by_name, name) == experiment
    assert name in viewer.run(steps.experiment_names)
    assert viewer.run(steps.get_model, model) == model
    assert model in viewer.run(steps.model_names)

    refusals = {
        "create": [
            viewer.fails(steps.create_experiment, a_new("denied")),
            viewer.fails(steps.create_model, a_new("denied")),
        ],
        "update": [viewer.fails(steps.create_run, experiment)],
        "delete": [
            viewer.fails(steps.delete_experiment, experiment),
            viewer.fails(steps.delete_model, model),
        ],
    }
    for verb, errors in refusals.items():
        for error in errors:
            assert error.error_code == "PERMISSION_DENIED"
            assert f'User "bob@example.com" cannot {verb} resource' in error.message
    assert viewer.run(steps.experiment_by_name, name) == experiment
    assert viewer.run(steps.get_model, model) == model


def test_across_workspaces(using_sdk: As, cluster: Cluster, editor: Sdk) -> None:
    """Given edit in one team, when its editor works in the other, then everything is refused."""
    name = a_new("own")
    experiment = editor.run(steps.create_experiment, name)
    abroad = using_sdk(token=cluster.people.alice.token, workspace=TEAM_B)
    for step in (
        abroad.fails(steps.experiment_names),
        abroad.fails(steps.create_experiment, a_new("foreign")),
        abroad.fails(steps.experiment_by_name, name),
        abroad.fails(steps.create_run, experiment),
    ):
        assert step.error_code == "PERMISSION_DENIED"
        assert 'in the namespace "team-b"' in step.message


def test_without_privileges(nobody: Sdk, editor: Sdk) -> None:
    """Given a service account that is bound to nothing, when it tries anything, then it is refused."""
    model = editor.run(steps.create_model, a_new("private"))
    for error in (
        nobody.fails(steps.create_experiment, a_new("denied")),
        nobody.fails(steps.experiment_names),
        nobody.fails(steps.get_model, model),
        nobody.fails(steps.model_names),
    ):
        assert error.error_code == "PERMISSION_DENIED"
        assert 'User "system:serviceaccount:team-a:unbound"' in error.message
    assert nobody.run(steps.workspace_names) == []
