"""The examples of workloads: a guarded MLflow takes exactly the variables and tokens that they have."""

from __future__ import annotations

import json
import secrets
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.harness import examples
from tests.harness.plane import RBAC
from tests.harness.processes import ROOT
from tests.harness.sdk import sdk
from tests.harness.server import MlflowServer
from tests.harness.url_clients import outcome
from tests.scenarios import model_steps, steps
from tests.scenarios.audiences import Site
from tests.scenarios.fetching import Pod, tree
from tests.scenarios.people import TEAM_A, Cluster
from tests.scenarios.waiting import until
from workspace_authz.client.fetch.outcome import Exit

DEFAULT = "notebooks/poddefault.yaml"
PIPELINE = examples.EXAMPLES / "pipelines" / "kfp_pipeline.py"
_RUN_TASK = """
import json, sys
sys.path.insert(0, sys.argv[1])
import kfp_pipeline
arguments = json.loads(sys.argv[3])
print(json.dumps(getattr(kfp_pipeline, sys.argv[2]).python_func(**arguments)))
"""
"""The body of a component, as it runs in its pod."""
_RUN_WITH_POD_FILES = """
import sys
from pathlib import Path
from mlflow.tracking.request_auth import kubernetes_request_auth_provider as provider
provider._SERVICE_ACCOUNT_TOKEN_PATH = Path(sys.argv[4], "token")
provider._SERVICE_ACCOUNT_NAMESPACE_PATH = Path(sys.argv[4], "namespace")
"""
"""The kubelet's files are elsewhere here."""


def volume(folder: Path, token: str) -> Path:
    """The files of a projected volume."""
    folder.mkdir(exist_ok=True)
    (folder / "token").write_text(token)
    (folder / "namespace").write_text(TEAM_A)
    return folder


@pytest.mark.parametrize(
    "example",
    [
        "pod-with-client-plugin.yaml",
        DEFAULT,
        "pipelines/job.yaml",
        "pipelines/argo-workflow.yaml",
    ],
)
def test_a_workload_logs_with_its_own_variables_and_token(site: Site, tmp_path: Path, example: str) -> None:
    """Given a server that takes tokens for MLflow only, then the example's is one that the plugin finds."""
    workload = examples.workload(example)
    token = site.token("trainer", workload.audience(examples.PLUGIN_MOUNT))
    files = volume(tmp_path / "volume", token)
    variables = workload.environment
    del variables["MLFLOW_TRACKING_URI"]  # tests/manifests says that it is right
    home = tmp_path / "home"
    with sdk(
        site.strict.uri, home, WORKSPACE_AUTHZ_CLIENT_TOKEN_FILE=str(files / "token"), **variables
    ) as script:
        experiment = script.run(steps.create_experiment, f"workload-{secrets.token_hex(4)}")
        run = script.run(steps.log_run, experiment)
    found = site.strict.ask(
        "GET", f"/api/2.0/mlflow/runs/get?run_id={run}", token=site.trainer, workspace=TEAM_A
    )
    assert found.status == 200, found.text


def test_a_pipeline_logs_without_a_secret(site: Site, tmp_path: Path) -> None:
    """Given the compiled pipeline, then its tasks' variables and labels let them log, and read."""
    subprocess.run([ROOT / "scripts" / "setup", "pipelines"], check=True)
    python = ROOT / ".venv-pipelines" / "bin" / "python"
    example = tmp_path / "example"
    example.mkdir()
    (example / PIPELINE.name).write_text(PIPELINE.read_text())
    compiled = outcome(python, example / PIPELINE.name, environment={}, home=tmp_path)
    assert compiled.returncode == 0, compiled.stderr
    pipeline, platform = yaml.safe_load_all((example / "kfp_pipeline.yaml").read_text())
    executors = pipeline["deploymentSpec"]["executors"]

    given = {each["name"]: each["value"] for each in executors["exec-train"]["container"]["env"]}
    assert given.pop("MLFLOW_TRACKING_URI") == examples.workload(DEFAULT).environment["MLFLOW_TRACKING_URI"]
    variables = {**given, "MLFLOW_TRACKING_URI": site.server.uri}
    files = volume(tmp_path / "usual", site.cluster.trainer)
    code = _RUN_WITH_POD_FILES + _RUN_TASK
    trained = outcome(
        python, "-c", code, example, "train", '{"depth": 3}', files, environment=variables, home=tmp_path
    )
    assert trained.returncode == 0, trained.stderr
    assert json.loads(trained.stdout.splitlines()[-1])

    labels = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]["exec-judge"]["podMetadata"][
        "labels"
    ]
    default = examples.of_kind(DEFAULT, "PodDefault")["spec"]
    assert default["selector"]["matchLabels"].items() <= labels.items()
    workload = examples.workload(DEFAULT)
    files = volume(tmp_path / "bound", site.token("trainer", workload.audience(examples.PLUGIN_MOUNT)))
    variables = {
        **workload.environment,
        "MLFLOW_TRACKING_URI": site.strict.uri,
        "WORKSPACE_AUTHZ_CLIENT_TOKEN_FILE": str(files / "token"),
    }
    # Each server has data of its own, so this one is given a run first.
    again = outcome(
        python, "-c", _RUN_TASK, example, "train", '{"depth": 4}', environment=variables, home=tmp_path
    )
    assert again.returncode == 0, again.stderr
    run = json.loads(again.stdout.splitlines()[-1])
    judged = outcome(
        python,
        "-c",
        _RUN_TASK,
        example,
        "judge",
        json.dumps({"run_id": run}),
        environment=variables,
        home=tmp_path,
    )
    assert judged.returncode == 0, judged.stderr
    assert json.loads(judged.stdout.splitlines()[-1]) == 0.9


def test_a_model_server_fetches_its_model_and_nothing_else(
    cluster: Cluster, server: MlflowServer, tmp_path: Path
) -> None:
    """Given the example's account, role and address, then its model comes, and another one is refused."""
    file = "kserve/inferenceservice.yaml"
    address = examples.of_kind(file, "InferenceService")["spec"]["predictor"]["model"]["storageUri"]
    container = examples.of_kind("kserve/clusterstoragecontainer.yaml", "ClusterStorageContainer")["spec"][
        "container"
    ]
    assert [each["name"] for each in container["env"]] == ["MLFLOW_TRACKING_URI"]
    alice = cluster.people.alice.token
    with sdk(server.uri, tmp_path / "alice", token=alice, workspace=TEAM_A) as sdk_of_alice:
        for experiment, name in (("fraud", "fraud-detector"), ("churn-of-others", "churn-detector")):
            made = sdk_of_alice.run(model_steps.register_model, experiment, name, labels=[0, 1, 0, 1])
            sdk_of_alice.run(model_steps.promote, name, made["version"], stage="Production", alias="champion")
    token = cluster.plane.service_account(TEAM_A, "fraud-detector")
    for kind, path in (("Role", "roles"), ("RoleBinding", "rolebindings")):
        cluster.plane.make(f"{RBAC}/namespaces/{TEAM_A}/{path}", examples.of_kind(file, kind))
    pod = Pod(server.uri, tmp_path / "pod", token, TEAM_A)
    models = tmp_path / "models"
    until(lambda: pod.fetch_here(address, models).status != Exit.FORBIDDEN)
    assert "MLmodel" in tree(models)
    assert (
        pod.fetch_here("mlflow://models/churn-detector@champion", tmp_path / "other").status == Exit.FORBIDDEN
    )
