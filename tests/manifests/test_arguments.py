"""What the Deployment and the image tell MLflow, held against MLflow itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlflow.environment_variables
import pytest
import yaml
from mlflow.cli import server
from mlflow.utils.crypto import CRYPTO_KEK_PASSPHRASE_ENV_VAR
from uvicorn.main import main as uvicorn

from tests.manifests import flat
from tests.manifests.kube import ROOT
from workspace_authz.doors.probes import ProbesMiddleware
from workspace_authz.settings.settings import Settings

QUICKSTART = ROOT / "manifests" / "quickstart.yaml"


def objects(file: Path, kind: str) -> list[dict[str, Any]]:
    return [found for found in yaml.safe_load_all(file.read_text()) if found["kind"] == kind]


def container() -> dict[str, Any]:
    (deployment,) = objects(QUICKSTART, "Deployment")
    (only,) = deployment["spec"]["template"]["spec"]["containers"]
    assert isinstance(only, dict)
    return only


def instruction(name: str) -> str:
    """The last instruction of this name in the Dockerfile."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if line.startswith(f"{name} ")]
    return lines[-1].removeprefix(f"{name} ")


@pytest.mark.parametrize(
    "arguments", [container()["args"], json.loads(instruction("CMD"))], ids=["deployment", "image"]
)
def test_mlflow_understands_the_arguments(arguments: list[str]) -> None:
    with server.make_context("server", list(arguments)) as context:
        assert context.params["app_name"] == "workspace-authz"
        assert context.params["enable_workspaces"] is True
        assert context.params["workspace_store_uri"] == "kubernetes://"
        assert (context.params["host"], context.params["port"]) == ("0.0.0.0", 8080)
    assert json.loads(instruction("ENTRYPOINT")) == ["mlflow", "server"]


READ_BY_OTHERS = frozenset(
    {
        "HOME",
        "SSL_CERT_FILE",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "AWS_CA_BUNDLE",
        "PGSSLROOTCERT",
        "PGSSLMODE",
    }
)
"""By Python, OpenSSL, and the clients of databases and buckets."""


def given(overlay: str) -> set[str]:
    """Every variable that an overlay sets by name, in a container or in a ConfigMap that one takes whole."""
    data = {
        each["metadata"]["name"]: each.get("data", {})
        for each in flat.of_kind(flat.objects(overlay), "ConfigMap")
    }
    found: set[str] = set()
    for workload in flat.workloads(flat.objects(overlay)):
        for each in workload.containers:
            found |= {entry["name"] for entry in each.get("env", ())}
            sources = [
                source["configMapRef"]["name"]
                for source in each.get("envFrom", ())
                if "configMapRef" in source
            ]
            found |= {name for source in sources for name in data[source]}
    return found


@pytest.mark.parametrize("overlay", flat.OVERLAYS)
def test_every_variable_is_one_that_somebody_reads(overlay: str) -> None:
    known = {*vars(mlflow.environment_variables), CRYPTO_KEK_PASSPHRASE_ENV_VAR, *READ_BY_OTHERS}
    known |= {str(parameter.envvar) for parameter in server.params if parameter.envvar}
    known |= {f"UVICORN_{parameter.name}".upper() for parameter in uvicorn.params}
    known |= {f"WORKSPACE_AUTHZ_{name}".upper() for name in Settings.model_fields}
    assert given(overlay) - known == set()


def test_uvicorn_keeps_idle_connections_for_longer_than_proxies_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Google's load balancers keep theirs for ten minutes, and Istio's gateway as long as we tell it."""
    (entry,) = [each for each in container()["env"] if each["name"] == "UVICORN_TIMEOUT_KEEP_ALIVE"]
    monkeypatch.setenv(entry["name"], entry["value"])
    with uvicorn.make_context("uvicorn", ["app"], auto_envvar_prefix="UVICORN") as context:
        kept = context.params["timeout_keep_alive"]
    (rule,) = flat.of_kind(flat.objects("kubeflow"), "DestinationRule")
    idle = rule["spec"]["trafficPolicy"]["connectionPool"]["http"]["idleTimeout"]
    assert kept > max(600, int(idle.removesuffix("s")))


def test_the_deployment_of_forward_auth_runs_what_its_document_says() -> None:
    (deployment,) = flat.workloads(flat.objects("forward-auth"))
    (only,) = deployment.containers
    document = (ROOT / "docs" / "forward-auth.md").read_text()
    assert f"\n{' '.join(only['command'])}\n" in document
    assert {"WORKSPACE_AUTHZ_MLFLOW_URL", "WORKSPACE_AUTHZ_FORWARD_AUTH_SECRET_FILE"} <= given("forward-auth")


def test_mlflow_answers_to_the_names_of_the_service() -> None:
    (service,) = objects(QUICKSTART, "Service")
    name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
    (hosts,) = [entry for entry in container()["env"] if entry["name"] == "MLFLOW_SERVER_ALLOWED_HOSTS"]
    services = {name, f"{name}.{namespace}.svc", f"{name}.{namespace}.svc.cluster.local"}
    resolved = f"{name}.{namespace}.svc.cluster.local."  # a name that is complete ends in a dot
    assert {*services, resolved, "localhost:*", "127.0.0.1:*"} <= {*hosts["value"].split(",")}
    # A client leaves the port out of the Host header only where it is the scheme's default.
    assert [port["port"] for port in service["spec"]["ports"]] == [80]


@pytest.mark.parametrize(
    ("probe", "status"), [("startupProbe", 200), ("livenessProbe", 200), ("readinessProbe", 503)]
)
async def test_probes_are_answered_without_a_token_and_before_the_workspaces_are_known(
    probe: str, status: int
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError(f"{scope['path']} is no probe of the guarded server")

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    asked = container()[probe]["httpGet"]["path"]
    scope = {
        "type": "http",
        "method": "GET",
        "path": asked,
        "root_path": "",
        "headers": [],
        "query_string": b"",
    }
    await ProbesMiddleware(app, static_prefix="", runtime=lambda: None)(scope, receive, send)
    assert sent[0]["status"] == status


def test_image_user_may_write_to_the_volume() -> None:
    (deployment,) = objects(QUICKSTART, "Deployment")
    security = deployment["spec"]["template"]["spec"]["securityContext"]
    assert str(security["fsGroup"]) == instruction("USER").partition(":")[0]
    assert container()["securityContext"]["readOnlyRootFilesystem"] is True
    assert {mount["mountPath"] for mount in container()["volumeMounts"]} == {
        "/tmp",
        "/mlflow",
        "/var/run/secrets/kubernetes.io/serviceaccount",
    }
