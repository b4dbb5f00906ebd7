"""``MLFLOW_TRACKING_AUTH=workspace-authz``, in real SDKs in processes of their own."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.harness.plane import RBAC, Plane
from tests.harness.processes import PROGRAMS as USUAL
from tests.harness.sdk import sdk
from tests.harness.server import MlflowServer
from tests.harness.url_clients import PROGRAMS, oldest_sdk_programs, outcome
from tests.scenarios import steps
from tests.scenarios.audiences import AUDIENCE, Site
from tests.scenarios.people import TEAM_A, TEAM_B, Cluster
from tests.scenarios.waiting import until

PLUGIN = {"MLFLOW_TRACKING_AUTH": "workspace-authz"}
TRAINER = f"system:serviceaccount:{TEAM_A}:trainer"
RUN = "/api/2.0/mlflow/runs/get?run_id="
LIGHT = frozenset({"client", "client.plugin", "client.sources", "client.environment", "errors", "lazy"})
"""What of this project a pod with a mounted token loads."""
SERVERS_ROOMS = frozenset(
    {
        "settings",
        "pipeline",
        "doors",
        "runtime",
        "catalog",
        "identity",
        "authorizer",
        "mlflow_adapter",
        "effects",
    }
)


def mounted(folder: Path, token: str, namespace: str = TEAM_A) -> Mapping[str, str]:
    """The files of a projected volume, and the variable that names them."""
    folder.mkdir(exist_ok=True)
    (folder / "token").write_text(token)
    (folder / "namespace").write_text(namespace)
    return {"WORKSPACE_AUTHZ_CLIENT_TOKEN_FILE": str(folder / "token")}


def kubeconfig_of(plane: Plane, user: Mapping[str, Any], path: Path, *, namespace: str = TEAM_A) -> Path:
    """A person's kubeconfig for the plane."""
    document = yaml.safe_load(plane.admin_kubeconfig.read_text())
    document["users"][0]["user"] = dict(user)
    document["contexts"][0]["context"]["namespace"] = namespace
    path.write_text(yaml.safe_dump(document))
    return path


def script(release: str, environment: Mapping[str, str], home: Path) -> Any:
    """What the training script saw, with the SDK of a release."""
    programs = USUAL if release == "usual" else oldest_sdk_programs()
    command = (programs / "python", "-W", "ignore", PROGRAMS / "plugin_user.py", f"e-{secrets.token_hex(4)}")
    done = outcome(*command, environment={**PLUGIN, **environment}, home=home)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])  # the SDK prints the run's address before
    assert release == "usual" or seen["sdk"].startswith(f"{release}.")
    return seen


@pytest.mark.parametrize("release", ["3.10", "usual"])
def test_a_pod_with_a_token_for_mlflow(site: Site, tmp_path: Path, release: str) -> None:
    """Given nothing but the mounted files, then a script works in the pod's namespace, and loads little."""
    volume = mounted(tmp_path / "volume", site.trainer)
    seen = script(release, {"MLFLOW_TRACKING_URI": site.strict.uri, **volume}, tmp_path)
    assert (seen["listed"], seen["workspace"]) == (["note.txt"], TEAM_A)
    assert {name.removeprefix("workspace_authz.") for name in seen["modules"]} == LIGHT
    found = site.strict.ask("GET", RUN + seen["run"], token=site.trainer, workspace=TEAM_A)
    assert found.status == 200, found.text


def test_a_rotated_token_counts_in_the_middle_of_work(site: Site, tmp_path: Path) -> None:
    """When the kubelet replaces the file by another account's token, then the next call is that account's."""
    variables = mounted(tmp_path / "volume", site.trainer)
    with sdk(site.strict.uri, tmp_path / "home", **PLUGIN, **variables) as pod:
        pod.run(steps.experiment_names)
        mounted(tmp_path / "volume", site.token("unbound", AUDIENCE))
        refused = pod.fails(steps.experiment_names)
    assert f'User "system:serviceaccount:{TEAM_A}:unbound" cannot list' in refused.message


def test_a_workspace_that_somebody_chose_stays(site: Site, tmp_path: Path) -> None:
    """Given a pod of team-b and a workspace that was chosen, then the chosen one counts."""
    variables = mounted(tmp_path / "volume", site.trainer, TEAM_B)
    with sdk(site.strict.uri, tmp_path / "home", workspace=TEAM_A, **PLUGIN, **variables) as pod:
        pod.run(steps.experiment_names)
    with sdk(site.strict.uri, tmp_path / "home", **PLUGIN, **variables) as pod:
        assert f'in the namespace "{TEAM_B}"' in pod.fails(steps.experiment_names).message
        pod.run(steps.work_in, TEAM_A)
        pod.run(steps.experiment_names)
    with sdk(f"{site.strict.uri}/workspaces/{TEAM_A}", tmp_path / "home", **PLUGIN, **variables) as pod:
        pod.run(steps.experiment_names)


def test_a_client_certificate_gets_a_token_of_a_service_account(
    site: Site, cluster: Cluster, tmp_path: Path
) -> None:
    """Given a kubeconfig as kind makes it and an account's name, then its token for MLflow is sent."""
    environment = {
        "MLFLOW_TRACKING_URI": site.strict.uri,
        "KUBECONFIG": str(cluster.plane.certificate_kubeconfig),
        "WORKSPACE_AUTHZ_CLIENT_SERVICE_ACCOUNT": f"{TEAM_A}/trainer",
    }
    site.strict.skip_records()
    seen = script("3.10", environment, tmp_path)
    assert seen["workspace"] == TEAM_A
    rooms = {name.split(".")[1] for name in seen["modules"]}
    assert not rooms & SERVERS_ROOMS
    assert {record["user"] for record in site.strict.records(3) if record["user"]} == {TRAINER}


def test_an_account_that_may_not_be_had_says_what_to_do(
    server: MlflowServer, cluster: Cluster, tmp_path: Path
) -> None:
    config = kubeconfig_of(cluster.plane, {"token": cluster.people.mallory.token}, tmp_path / "kubeconfig")
    variables = {"KUBECONFIG": str(config), "WORKSPACE_AUTHZ_CLIENT_SERVICE_ACCOUNT": "trainer"}
    with sdk(server.uri, tmp_path / "home", **PLUGIN, **variables) as person:
        message = person.fails(steps.experiment_names).message
    assert f"No token for the service account trainer in the namespace {TEAM_A} can be had" in message
    assert "the verb create on serviceaccounts/token" in message


def test_a_service_accounts_kubeconfig_is_narrowed_where_it_may(
    site: Site, cluster: Cluster, tmp_path: Path
) -> None:
    """Given an account's API token, then MLflow gets one for MLflow as soon as the account may make it."""
    plane = cluster.plane
    account = plane.service_account(TEAM_A, "narrowed")
    rights = plane.bind(TEAM_A, "mlflow-integration", account=(TEAM_A, "narrowed"))
    config = kubeconfig_of(plane, {"token": account}, tmp_path / "kubeconfig")
    variables = {"KUBECONFIG": str(config)}
    with sdk(site.strict.uri, tmp_path / "home", **PLUGIN, **variables) as person:
        assert "accepts only tokens for the audience" in person.fails(steps.experiment_names).message
        rules = [{"apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"]}]
        plane.role(TEAM_A, "makes-tokens", rules=rules)
        binding = plane.bind(TEAM_A, "makes-tokens", account=(TEAM_A, "narrowed"), kind="Role")
        path = f"/api/v1/namespaces/{TEAM_A}/serviceaccounts/narrowed/token"
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"audiences": ["x"]},
        }
        until(lambda: plane.ask("POST", path, body, token=account).status == 201)
        plane.wait_for_access(account, TEAM_A, verb="list", resource="experiments")
        person.run(steps.experiment_names)
    for made in (rights, binding, f"{RBAC}/namespaces/{TEAM_A}/roles/makes-tokens"):
        plane.delete(made)
    plane.delete(f"/api/v1/namespaces/{TEAM_A}/serviceaccounts/narrowed")


@pytest.mark.parametrize("auth", ["workspace-authz", "kubernetes-namespaced", "kubernetes"])
def test_a_persons_kubeconfig_with_an_exec_plugin(
    server: MlflowServer, cluster: Cluster, tmp_path: Path, auth: str
) -> None:
    """Given a kubeconfig whose token a command prints, then it and the context's namespace are sent."""
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": cluster.people.alice.token},
    }
    plugin = {
        "apiVersion": credential["apiVersion"],
        "command": "echo",
        "args": [json.dumps(credential)],
        "interactiveMode": "Never",
    }
    config = kubeconfig_of(cluster.plane, {"exec": plugin}, tmp_path / "kubeconfig")
    variables = {"KUBECONFIG": str(config), "MLFLOW_TRACKING_AUTH": auth}
    workspace = TEAM_A if auth == "kubernetes" else None  # which sends no namespace
    with sdk(server.uri, tmp_path / "home", workspace=workspace, **variables) as person:
        name = f"e-{secrets.token_hex(4)}"
        experiment = person.run(steps.create_experiment, name)
    found = server.ask(
        "GET",
        f"/api/2.0/mlflow/experiments/get?experiment_id={experiment}",
        token=cluster.people.alice.token,
        workspace=TEAM_A,
    )
    assert found.json["experiment"]["name"] == name


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"MLFLOW_TRACKING_TOKEN": "left-over"}, "unset MLFLOW_TRACKING_TOKEN"),
        (
            {"MLFLOW_TRACKING_USERNAME": "me", "MLFLOW_TRACKING_PASSWORD": "left-over"},
            "unset MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
        ),
        ({}, "There is no token for http://127.0.0.1"),
    ],
)
def test_what_the_plugin_says(
    server: MlflowServer, tmp_path: Path, variables: Mapping[str, str], words: str
) -> None:
    with sdk(server.uri, tmp_path / "home", workspace=TEAM_A, **PLUGIN, **variables) as person:
        message = person.fails(steps.experiment_names).message
    assert words in message
    assert "left-over" not in message
    assert "left-over" not in person.log.read_text()
