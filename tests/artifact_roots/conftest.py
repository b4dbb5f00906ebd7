"""A real API server to which the component ``mlflow-config`` comes piece by piece, MLflow, and S3."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.harness.bucket import S3, s3_server
from tests.harness.http import Answer
from tests.harness.plane import REAL, Plane, User, devplane
from tests.harness.processes import ROOT
from tests.harness.server import MlflowServer, ServerOptions, starting, wait_until_ready
from tests.scenarios.waiting import until
from workspace_authz.devplane import assets

COMPONENT = ROOT / "kustomize" / "components" / "mlflow-config"
GROUP = "/apis/mlflow.kubeflow.org/v1"
SECRET = "mlflow-artifact-connection"
CONFIGS = f"{GROUP}/namespaces/team-a/mlflowconfigs"
SHARED, OWN = "shared", "team-a-data"
"""Buckets: everybody's, and team-a's."""
_PATIENCE_SECONDS = 480.0
TEAMS = ("team-a", "team-b", "team-c")


@dataclass(slots=True)
class Site:
    """MLflow behind the guard, and who administrates each namespace."""

    plane: Plane
    server: MlflowServer
    s3: S3
    admins: dict[str, User]
    editor: User
    """Of team-a."""
    before: dict[str, Any] = field(default_factory=dict)
    """What was seen before the component was complete."""
    made: int = 0

    def ask(self, method: str, path: str, *, team: str = "team-a", json_body: object = None) -> Answer:
        """One request to MLflow by the admin of ``team``."""
        return self.server.ask(
            method, path, token=self.admins[team].token, workspace=team, json_body=json_body
        )

    def create(self, team: str = "team-a") -> Answer:
        """The answer to a new experiment."""
        self.made += 1
        document = {"name": f"experiment-{self.made}"}
        return self.ask("POST", "/api/2.0/mlflow/experiments/create", team=team, json_body=document)

    def location(self, team: str = "team-a") -> str:
        """Where a new experiment keeps its artifacts."""
        made = self.create(team)
        assert made.status == 200, made.text
        return self.location_of(made.json["experiment_id"], team)

    def location_of(self, experiment: str, team: str = "team-a") -> str:
        """The recorded location of an experiment."""
        found = self.ask("GET", f"/api/2.0/mlflow/experiments/get?experiment_id={experiment}", team=team)
        return str(found.json["experiment"]["artifact_location"])

    def roots_at(self, prefix: str, team: str = "team-a") -> bool:
        """Whether a new experiment is created, and its location begins so."""
        made = self.create(team)
        return made.status == 200 and self.location_of(made.json["experiment_id"], team).startswith(prefix)

    def refused(self, reason: str, team: str = "team-a") -> str:
        """The message with which a new experiment is refused, once it holds the reason."""
        until(lambda: reason in self.create(team).text)
        answer = self.create(team)
        assert (answer.status, answer.json["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
        return str(answer.json["message"])

    def secret(self, bucket: str, *, team: str = "team-a", **more: str) -> None:
        """The Secret of the namespace, by its admin, with more keys than the bucket."""
        texts = {"AWS_S3_BUCKET": bucket, "AWS_SECRET_ACCESS_KEY": "not-ours-to-read", **more}
        data = {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}
        self.put(
            f"/api/v1/namespaces/{team}/secrets",
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET}, "data": data},
            team=team,
        )

    def dry(self, spec: dict[str, str], *, name: str = "mlflow") -> Answer:
        """What the API answers to an ``MLflowConfig``, which is not kept."""
        query = "?dryRun=All&fieldValidation=Strict"
        token = self.admins["team-a"].token
        return self.plane.ask("POST", CONFIGS + query, config_of(spec, name=name), token=token)

    def config(self, *, team: str = "team-a", **spec: str) -> Answer:
        """The namespace's ``MLflowConfig``, by its admin; the API's answer."""
        document = config_of({"artifactRootSecret": SECRET, **spec})
        return self.put(f"{GROUP}/namespaces/{team}/mlflowconfigs", document, team=team, must=False)

    def put(self, collection: str, document: dict[str, Any], *, team: str, must: bool = True) -> Answer:
        """Create or change an object as the namespace's admin."""
        token, name = self.admins[team].token, document["metadata"]["name"]
        answer = self.plane.ask("POST", collection, document, token=token)
        if answer.status == 409:
            answer = self.plane.ask("PATCH", f"{collection}/{name}", document, token=token)
        assert not must or answer.status in (200, 201), answer.text
        return answer

    def reset(self) -> None:
        """No namespace has either object, and the server knows."""
        for team in TEAMS:
            for path in (
                f"{GROUP}/namespaces/{team}/mlflowconfigs/mlflow",
                f"/api/v1/namespaces/{team}/secrets/{SECRET}",
            ):
                assert self.plane.ask("DELETE", path).status in (200, 404)
        for team in TEAMS:
            until(partial(self.roots_at, "mlflow-artifacts:/", team))


def config_of(spec: dict[str, str], *, name: str = "mlflow") -> dict[str, Any]:
    """The document of an ``MLflowConfig``."""
    kind = {"apiVersion": "mlflow.kubeflow.org/v1", "kind": "MLflowConfig"}
    return {**kind, "metadata": {"name": name}, "spec": spec}


def apply(plane: Plane, *files: str | Path) -> None:
    """Apply files of the component, or others by their whole paths, with the real kubectl."""
    kubectl = assets.find_binary(assets.KUBECTL)
    command: list[str | Path] = [kubectl, "--kubeconfig", plane.admin_kubeconfig]
    command += ["apply", "--server-side", "--validate=strict"]
    for file in files:
        command += ["-f", COMPONENT / file]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """Where buckets are."""
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="session")
def whole(s3: S3, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Given the setting, first nothing of the component, then its rights, then its kind."""
    admins = {team: User(f"admin-of-{team}") for team in TEAMS}
    editor = User("editor")
    state = tmp_path_factory.mktemp("roots")
    with ExitStack() as stack:
        users = [*admins.values(), editor]
        plane = stack.enter_context(devplane(REAL, state / "plane", users=users))
        for team, admin in admins.items():
            plane.namespace(team)
            plane.bind(team, "admin", user=admin.name)
        plane.bind("team-a", "edit", user=editor.name)
        options = ServerOptions(
            kubeconfig=plane.server_kubeconfig,
            workspace_store="kubernetes://?default_workspace=team-c",
            environment={"WORKSPACE_AUTHZ_ARTIFACT_BUCKETS": f"{SHARED},{OWN}=team-a", **s3.environment},
        )
        server = stack.enter_context(starting(state / "mlflow", options))
        site = Site(plane, server, s3, admins, editor)

        def readiness() -> str:
            try:
                return server.ask("GET", "/readyz").text
            except OSError:
                return ""

        server.process.wait_until(lambda: "MLflowConfigs" in readiness(), seconds=_PATIENCE_SECONDS)
        site.before["rights"] = server.ask("GET", "/readyz")
        apply(plane, "clusterroles.yaml", "clusterrolebinding.yaml")
        wait_until_ready(server)
        site.before["kind"] = server.ask("GET", "/readyz")
        until(lambda: site.create().status == 200)
        site.before["location"] = site.location()
        apply(plane, ROOT / "manifests" / "mlflow-config.yaml")
        token = admins["team-a"].token
        until(lambda: plane.ask("GET", f"{GROUP}/namespaces/team-a/mlflowconfigs", token=token).status == 200)
        server.process.wait_until(
            lambda: "no kind MLflowConfig" not in readiness(), seconds=_PATIENCE_SECONDS
        )
        for bucket in (SHARED, OWN):
            s3.put(f"s3://{bucket}/.keep", b"")
        yield site


@pytest.fixture
def site(whole: Site) -> Site:
    """No namespace has a root of its own yet."""
    whole.reset()
    return whole
