"""The overlay ``production`` in real pods: it starts in any order, and a team works with it from its pods."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cluster import programs
from tests.cluster.installation import IMAGE, NAMESPACE, REPLICAS, TEAM, Installation
from tests.cluster.machine import Cluster
from tests.cluster.pods import example, source
from tests.cluster.waiting import logs, phase, until, waiting
from tests.manifests.kube import Kubectl

Object = dict[str, Any]
TRAINING_POD = "pod-with-client-plugin.yaml"


def test_pods_that_are_early_name_the_secret_they_wait_for(installation: Installation) -> None:
    reasons = {reason for reason, _ in installation.early}
    messages = {message for _, message in installation.early}

    assert reasons == {"CreateContainerConfigError"}
    assert messages == {'secret "mlflow-database" not found'}


def test_both_replicas_start_by_themselves_once_everything_is_there(installation: Installation) -> None:
    pods = installation.server_pods
    restarts = [each["restartCount"] for pod in pods for each in pod["status"]["containerStatuses"]]

    assert len(pods) == REPLICAS
    assert restarts == [0] * REPLICAS


def test_the_migration_ran_once(installation: Installation) -> None:
    job = installation.kubectl.json("-n", NAMESPACE, "get", "job", "mlflow-migration")

    assert job["status"]["succeeded"] == 1
    assert job["status"].get("failed", 0) == 0


def test_the_namespace_enforces_restricted_and_its_pods_run_unprivileged(installation: Installation) -> None:
    kubectl = installation.kubectl
    namespace = kubectl.json("get", "namespace", NAMESPACE)
    look = "import os; print(os.getuid(), os.getgid(), open('/proc/self/status').read())"
    said = kubectl.run(
        "-n", NAMESPACE, "exec", "deployment/mlflow", "-c", "mlflow", "--", "python", "-c", look
    )

    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert said.startswith("1001 0 ")
    assert "CapEff:\t0000000000000000" in said
    assert "NoNewPrivs:\t1" in said
    assert "Seccomp:\t2" in said


@pytest.fixture(scope="module")
def trained(installation: Installation) -> str:
    """The log of a team's pod that logged a run and a model with its projected token."""
    kubectl = installation.kubectl
    kubectl.run("apply", "-f", "-", stdin=example(TRAINING_POD, name="train", program=programs.train))
    phase(kubectl, TEAM, "train", wanted="Succeeded")
    return logs(kubectl, TEAM, "train")


def test_a_pod_with_a_projected_token_logs_a_run_with_an_artifact(trained: str) -> None:
    assert f"logged by system:serviceaccount:{TEAM}:trainer: from a pod" in trained


def test_a_storage_initializer_fetches_the_model_and_the_predictor_loads_it(
    installation: Installation, trained: str
) -> None:
    kubectl = installation.kubectl
    kubectl.run("apply", "-f", "-", stdin=_predictor("predict"))
    phase(kubectl, TEAM, "predict", wanted="Succeeded")

    assert "predicted 6.0" in logs(kubectl, TEAM, "predict")


def test_the_collectors_job_frees_the_names_of_what_was_deleted(installation: Installation) -> None:
    kubectl = installation.kubectl
    account = f"--serviceaccount={TEAM}:trainer"
    kubectl.run("-n", TEAM, "create", "rolebinding", "trainer-edits", "--clusterrole=mlflow-edit", account)
    kubectl.run("apply", "-f", "-", stdin=example(TRAINING_POD, name="discard", program=programs.discard))
    phase(kubectl, TEAM, "discard", wanted="Succeeded")

    job = kubectl.json(
        "-n", NAMESPACE, "create", "job", "gc-now", "--from=cronjob/mlflow-gc", "--dry-run=client"
    )
    command = job["spec"]["template"]["spec"]["containers"][0]["command"]
    command[command.index("30d")] = "1s"  # nothing here is old
    kubectl.run("create", "-f", "-", stdin=job)
    phase(kubectl, NAMESPACE, _pod_of(kubectl, "gc-now"), wanted="Succeeded")
    again = example(TRAINING_POD, name="discard-again", program=programs.discard_again)
    kubectl.run("apply", "-f", "-", stdin=again)
    phase(kubectl, TEAM, "discard-again", wanted="Succeeded")

    assert "free again: True" in logs(kubectl, TEAM, "discard-again")


def test_the_archiving_job_moves_the_spans_of_old_traces_and_their_team_still_reads_them(
    installation: Installation, trained: str
) -> None:
    kubectl = installation.kubectl
    job = "archive-now"
    kubectl.run("-n", NAMESPACE, "create", "job", job, "--from=cronjob/mlflow-trace-archival")
    archiving = _pod_of(kubectl, job)
    phase(kubectl, NAMESPACE, archiving, wanted="Succeeded")
    kubectl.run("apply", "-f", "-", stdin=example(TRAINING_POD, name="recall", program=programs.recall))
    phase(kubectl, TEAM, "recall", wanted="Succeeded")

    assert "1 traces were archived." in logs(kubectl, NAMESPACE, archiving)
    assert "asked [{'about': 'a price'}]" in logs(kubectl, TEAM, "recall")


def test_a_pod_whose_image_comes_late_says_so_and_starts_then(
    cluster: Cluster, installation: Installation
) -> None:
    kubectl, late = installation.kubectl, "localhost/late:1"
    pod = example(TRAINING_POD, name="late", program=programs.train)
    pod["spec"]["containers"][0] |= {"image": late, "command": ["python", "-c", "print('started')"]}
    kubectl.run("apply", "-f", "-", stdin=pod)

    def no_image() -> str | None:
        found = kubectl.json("-n", TEAM, "get", "pod", "late")
        return next((text for reason, text in waiting(found) if reason == "ImagePullBackOff"), None)

    message = until(no_image, "the message about the image", kubectl=kubectl)
    cluster.inside("ctr", "-n", "k8s.io", "images", "tag", IMAGE, late)
    phase(kubectl, TEAM, "late", wanted="Succeeded")

    assert late in message


def _pod_of(kubectl: Kubectl, job: str) -> str:
    def look() -> str | None:
        pods = kubectl.json("-n", NAMESPACE, "get", "pods", "-l", f"job-name={job}")["items"]
        return pods[0]["metadata"]["name"] if pods else None

    return until(look, f"a pod of {job}", kubectl=kubectl)


def _predictor(name: str) -> Object:
    """A pod as KServe makes it: a storage initializer with URI and directory; the predictor has no token."""
    pod = example(TRAINING_POD, name=name, program=programs.predict)
    spec = pod["spec"]
    models = {"name": "models", "mountPath": "/mnt/models"}
    spec["volumes"].append({"name": "models", "emptyDir": {}})
    predictor = spec["containers"][0]
    spec["initContainers"] = [
        {
            "name": "storage-initializer",
            "image": IMAGE,
            "command": ["workspace-authz", "fetch"],
            "args": ["mlflow://models/prices/1", "/mnt/models"],
            "env": predictor["env"],
            "volumeMounts": [*predictor["volumeMounts"], models],
        }
    ]
    predictor["command"] = ["python", "-c", source(programs.predict)]
    predictor["env"] = [{"name": "HOME", "value": "/tmp"}]
    predictor["volumeMounts"] = [{**models, "readOnly": True}]
    return pod
