"""What an operator does after the first day: apply again, change the image, upgrade, remove."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.manifests.flat import objects, workloads
from tests.manifests.kube import ROOT, Kubectl

DEPLOYMENT = ("deployment", "mlflow", "-n", "mlflow")
SHIPPED = "workspace-authz:0.1.0"
MINE = "images.internal/ml/workspace-authz:2"
SERVER_SIDE = ("apply", "--server-side", "--validate=strict")
PREVIOUS = "tests/manifests/previous/quickstart.yaml"


@pytest.fixture
def clean(cluster: Kubectl) -> Iterator[Kubectl]:
    """A cluster without an overlay, before and after the test."""
    yield cluster
    for overlay in ("quickstart", "production"):
        cluster.delete(overlay)


def spec(kubectl: Kubectl) -> Mapping[str, Any]:
    """The Deployment's."""
    found: Mapping[str, Any] = kubectl.json("get", *DEPLOYMENT)["spec"]
    return found


def image(kubectl: Kubectl) -> str:
    (container,) = spec(kubectl)["template"]["spec"]["containers"]
    return str(container["image"])


def mine(overlay: str, folder: Path) -> str:
    """The reader's file, as the README makes it."""
    file = folder / "mlflow.yaml"
    file.write_text((ROOT / "manifests" / f"{overlay}.yaml").read_text().replace(SHIPPED, MINE))
    return str(file)


def test_applying_the_readers_file_again_keeps_the_image(clean: Kubectl, tmp_path: Path) -> None:
    file = mine("quickstart", tmp_path)
    for _ in range(2):
        clean.run(*SERVER_SIDE, "-f", file)
        assert image(clean) == MINE


def test_an_image_that_was_set_by_hand_is_not_reset_but_named_as_a_conflict(clean: Kubectl) -> None:
    clean.apply("quickstart")
    clean.run("set", "image", "deployment/mlflow", f"mlflow={MINE}", "-n", "mlflow")

    with pytest.raises(AssertionError, match=r'conflict with "kubectl-set".*\n*.*image'):
        clean.apply("quickstart")

    assert image(clean) == MINE


def test_a_variable_that_was_set_by_hand_stays_when_the_file_is_applied_again(clean: Kubectl) -> None:
    clean.apply("quickstart")
    variable = "WORKSPACE_AUTHZ_PUBLIC_URL=https://mlflow.internal"
    clean.run("set", "env", "deployment/mlflow", variable, "-n", "mlflow")

    clean.apply("quickstart")

    (container,) = spec(clean)["template"]["spec"]["containers"]
    assert f"{variable}" in [f"{each['name']}={each.get('value')}" for each in container["env"]]


@pytest.mark.parametrize("by", [(), ("--server-side",)], ids=["by-client", "by-server"])
def test_the_previous_release_is_upgraded_to_what_a_new_installation_gets(
    by: tuple[str, ...], clean: Kubectl
) -> None:
    """Given yesterday's README, with an image and a variable that were set by hand."""
    clean.apply("quickstart")
    wanted = spec(clean)
    clean.delete("quickstart")
    clean.run("apply", *by, "-f", PREVIOUS)
    clean.run("set", "image", "deployment/mlflow", f"mlflow={MINE}", "-n", "mlflow")
    volume = clean.json("get", "persistentvolumeclaim", "mlflow", "-n", "mlflow")["metadata"]["uid"]

    for kept in ("namespace", "volume"):
        clean.apply(kept, "--force-conflicts")
    clean.apply("quickstart", "--force-conflicts")

    assert spec(clean) == wanted
    assert clean.run("diff", "--server-side", "-f", "manifests/quickstart.yaml") == ""
    assert clean.json("get", "persistentvolumeclaim", "mlflow", "-n", "mlflow")["metadata"]["uid"] == volume


def test_a_new_image_for_the_migration_takes_a_new_job(clean: Kubectl, tmp_path: Path) -> None:
    clean.apply("production")
    file = mine("production", tmp_path)

    with pytest.raises(AssertionError, match="field is immutable"):
        clean.run(*SERVER_SIDE, "-f", file)
    clean.run("delete", "job", "mlflow-migration", "-n", "mlflow")
    clean.run(*SERVER_SIDE, "-f", file)

    job = clean.json("get", "job", "mlflow-migration", "-n", "mlflow")["spec"]["template"]["spec"]
    assert [container["image"] for container in job["containers"]] == [MINE]
    assert clean.run("diff", "--server-side", "-f", file) == ""


def test_only_the_job_changes_the_schema() -> None:
    """The pods wait for it, each time that they start."""
    found = {
        str(each): [container["command"][1:3] for container in each.containers if "command" in container]
        for each in workloads(objects("production"))
    }
    assert found["Job mlflow-migration"] == [["database", "upgrade"]]
    assert found["Deployment mlflow"] == [["database", "check"]]
    assert [name for name, commands in found.items() if ["database", "upgrade"] in commands] == [
        "Job mlflow-migration"
    ]
