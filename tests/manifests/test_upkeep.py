"""The CronJobs of ``gc`` and ``trace-archival`` on a real API server, added to the overlay ``production``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.manifests.kube import Kubectl

CRONJOBS = ("mlflow-gc", "mlflow-trace-archival")
cronjobs = pytest.mark.parametrize("cronjob", CRONJOBS)


@pytest.fixture(scope="module")
def production(cluster: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    """The base with what a production installation adds, in the order that the components ask for."""
    components = ("postgres", "s3", "gc", "trace-archival", "hardened-audience")
    objects = cluster.built(tmp_path_factory.mktemp("overlay"), *components)
    made = {"apiVersion": "v1", "kind": "List", "items": objects}
    cluster.run("apply", "--server-side", "--validate=strict", "-f", "-", stdin=made)
    yield cluster
    cluster.run("delete", "--ignore-not-found", "-f", "-", stdin=made)


def pod_of(kubectl: Kubectl, cronjob: str) -> dict[str, Any]:
    """The pod of a Job that is made from the CronJob, as the API server completes it."""
    made = ("create", "job", "probe", f"--from=cronjob/{cronjob}", "-n", "mlflow", "--dry-run=server")
    template = kubectl.json(*made)["spec"]["template"]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "probe", "labels": {"app.kubernetes.io/name": cronjob}},
        "spec": template["spec"],
    }
    found: dict[str, Any] = kubectl.json("create", "--dry-run=server", "-n", "mlflow", "-f", "-", stdin=pod)
    return found


@cronjobs
def test_its_pod_is_admitted_and_gets_the_tokens_that_it_asks_for(production: Kubectl, cronjob: str) -> None:
    pod = pod_of(production, cronjob)
    assert pod["spec"]["serviceAccountName"] == cronjob
    tokens = [
        source["serviceAccountToken"]
        for volume in pod["spec"]["volumes"]
        for source in volume.get("projected", {}).get("sources", ())
        if "serviceAccountToken" in source
    ]
    # The collector asks the server, which takes tokens for MLflow only; the archiver asks the cluster only.
    assert [token.get("audience") for token in tokens] == [None, "mlflow"][: 2 - CRONJOBS.index(cronjob)]
    assert {token["expirationSeconds"] for token in tokens} == {3600}


@cronjobs
def test_its_pod_is_no_target_of_the_service(production: Kubectl, cronjob: str) -> None:
    selector = production.json("get", "service", "mlflow", "-n", "mlflow")["spec"]["selector"]
    labels = pod_of(production, cronjob)["metadata"]["labels"]
    assert not selector.items() <= labels.items()


@cronjobs
def test_one_at_a_time_runs_and_ends(production: Kubectl, cronjob: str) -> None:
    spec = production.json("get", "cronjob", cronjob, "-n", "mlflow")["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] <= 6 * 3600


@cronjobs
def test_its_account_may_do_this_and_no_more(production: Kubectl, cronjob: str) -> None:
    account = {"user": f"system:serviceaccount:mlflow:{cronjob}", "groups": ["system:authenticated"]}

    def may(verb: str, resource: str, group: str = "") -> bool:
        asked = {"group": group, "resource": resource, "verb": verb, "namespace": "team-x"}
        return bool(
            production.create("SubjectAccessReview", {**account, "resourceAttributes": asked})["allowed"]
        )

    collects = cronjob == CRONJOBS[0]
    assert may("list", "namespaces")
    assert may("update", "experiments", "mlflow.kubeflow.org") is collects
    assert may("get", "experiments", "mlflow.kubeflow.org") is collects
    assert not may("delete", "experiments", "mlflow.kubeflow.org")
    assert not may("get", "registeredmodels", "mlflow.kubeflow.org")
    assert not may("get", "secrets")
